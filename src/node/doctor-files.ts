/**
 * Can this node read and write what it needs, and can nobody else? Its settings, directories, keys and ports, from facts to
 * findings. A key that others may read is a problem, because a node refuses it; a directory that they may enter is a warning, because
 * the keys in it have modes of their own. Pure; see `doctor.ts`.
 */
import type { DoctorFacts, Finding, KeyFact, PathFact, PortFact } from './doctor.ts';

export function fileFindings(facts: DoctorFacts): readonly Finding[] {
  return [
    ...settings(facts),
    ...facts.paths.map(pathFinding),
    ...facts.keys.map(keyFinding),
    ...facts.ports.map(portFinding),
  ];
}

function settings({ settings: found }: DoctorFacts): readonly Finding[] {
  const check = 'settings';
  if (found.type === 'unusable')
    return found.problems.map((message) => ({ check, level: 'problem', ...splitMend(message) }));
  const from = found.file === undefined ? 'no config file; the defaults hold' : `read from ${found.file}`;
  return [
    { check, level: 'ok', what: from },
    ...found.warnings.map((message): Finding => ({ check, level: 'warning', ...splitMend(message) })),
  ];
}

function pathFinding({ what, path, found, rule }: PathFact): Finding {
  const check = 'files';
  if (found.type === 'absent')
    return { check, level: 'ok', what: `${what}: ${path} is not there yet, and will be made` };
  if (found.type === 'problem')
    return {
      check,
      level: 'problem',
      what: `${what}: ${path} cannot be looked at (${found.problem})`,
      mend: 'give it to the user that runs skein, or choose another place with --home',
    };
  const { mode, isDirectory, isOurs, isWritable } = found;
  const wanted = isDirectory ? '700' : '600';
  if (!isWritable)
    return {
      check,
      level: 'problem',
      what: `${what}: ${path} cannot be written${isOurs ? '' : ', because it belongs to another user'}`,
      mend: isOurs
        ? `chmod u+rwX ${path}`
        : `chown it to the user that runs skein, or choose another place with --home`,
    };
  if (rule === 'private' && (mode & 0o077) !== 0)
    return {
      check,
      level: isDirectory ? 'warning' : 'problem',
      what: `${what}: ${path} is open to other users (mode ${octal(mode)})`,
      why: isDirectory
        ? 'keys are in it, and only their own modes protect them'
        : 'who reads it can act as this node or its user',
      mend: `chmod ${wanted} ${path}`,
    };
  if ((mode & 0o022) !== 0)
    return {
      check,
      level: 'warning',
      what: `${what}: other users may write to ${path} (mode ${octal(mode)})`,
      why: 'they could put files there that this node then uses',
      mend: `chmod go-w ${path}`,
    };
  return { check, level: 'ok', what: `${what}: ${path}` };
}

function keyFinding({ what, found }: KeyFact): Finding {
  const check = 'keys';
  if (found.type === 'missing')
    return {
      check,
      level: 'ok',
      what: `there is no ${what} yet: \`skein up\` makes one, \`skein join\` takes that of a swarm`,
    };
  if (found.type === 'refused') return { check, level: 'problem', ...splitMend(found.message) };
  const [warning] = found.warnings;
  return warning === undefined
    ? { check, level: 'ok', what: `the ${what} is readable by this user alone` }
    : { check, level: 'warning', ...splitMend(warning) };
}

function portFinding({ what, port, found, isFixed }: PortFact): Finding {
  const check = 'ports';
  const name = `${what} port ${port}`;
  switch (found) {
    case 'taken':
      return takenFinding(name, isFixed);
    case 'free':
      return { check, level: 'ok', what: `${name} is free` };
    case 'ours':
      return { check, level: 'ok', what: `${name} is used by the running node` };
    case 'forbidden':
      return {
        check,
        level: 'problem',
        what: `this user may not listen on ${name}`,
        why: 'ports below 1024 are reserved on most systems',
        mend: 'choose a port above 1024',
      };
    case 'unknown':
    default:
      return { check, level: 'ok', what: `${name} was not tried` };
  }
}

function takenFinding(name: string, isFixed: boolean): Finding {
  const check = 'ports';
  return isFixed
    ? {
        check,
        level: 'problem',
        what: `${name} is taken by another program`,
        mend: 'end that program, or choose another port',
      }
    : {
        check,
        level: 'warning',
        what: `${name} is taken by another program, so that the node takes any free one`,
        why: 'firewall rules and forwarded ports then miss it after every start',
        mend: 'end that program, or choose a port of its own for skein',
      };
}

/** Our messages say what is wrong, and after the last semicolon what mends it. */
function splitMend(message: string): Pick<Finding, 'what' | 'mend'> {
  const at = message.lastIndexOf('; ');
  return at < 0 ? { what: message } : { what: message.slice(0, at), mend: message.slice(at + 2) };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(3, '0');
}
