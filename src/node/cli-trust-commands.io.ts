/**
 * The words of `skein invite`, `skein trust`, `skein key` and `skein join`: which there are, what they take, and what help
 * says about them. The work is in a file for each, which is loaded when its command runs.
 */
import type { Command } from 'commander';
import type { RotationStep } from '../discovery/rotation.ts';

/** Named here again, so that help loads no cryptography. */
const STEPS: readonly RotationStep[] = ['stage', 'use', 'finish'];

/** How `skein` declares commands and reads their flags. */
export interface CommandHouse {
  /** A command that only has to find the node of this machine. */
  readonly query: (parent: Command, name: string, description: string) => Command;
  readonly flagsOf: (command: Command) => Readonly<Record<string, unknown>>;
  readonly isJson: (command: Command) => boolean;
  readonly done: (exitCode: number) => void;
}

export function addTrustCommands(program: Command, house: CommandHouse): void {
  addInvite(program, house);
  const trust = program
    .command('trust')
    .description('who is trusted, who is out, and who says so')
    .exitOverride()
    .addHelpText('after', TRUST_HELP);
  addOwner(trust, house);
  addLists(trust, house);
  addCertificates(trust, house);
  addKey(program, house);
}

const TRUST_HELP = `
Without an owner key whoever holds the swarm key belongs. \`skein trust init\` makes an owner key on this machine; from then
on \`skein trust revoke\` shuts a node out of the whole mesh within seconds, and \`skein trust mode certified\` lets in
only nodes with a certificate.`;

function addInvite(program: Command, { query, done, flagsOf, isJson }: CommandHouse): void {
  query(program, 'invite', 'print a link that lets another machine join')
    .option('--qr', 'show it as a QR code as well')
    .option('--once', 'a code for one machine that does not hold the key; the running node exchanges it')
    .option(
      '--ttl <time>',
      'how long it is good for, such as 90m, 24h or 7d (default: 24h; with --once: 10m, the most)',
    )
    .option('--once-port <number>', 'with --once: port where the code is exchanged (default: any free one)')
    .action(async (_, command: Command) => {
      const options = command.opts();
      const { invite } = await import('./cli-invite.io.ts');
      done(
        await invite({
          flags: flagsOf(command),
          json: isJson(command),
          qr: options['qr'] === true,
          once: options['once'] === true,
          ttl: textOf(options['ttl']),
          port: textOf(options['oncePort']),
        }),
      );
    });
}

function addOwner(trust: Command, { query, done, ...house }: CommandHouse): void {
  query(trust, 'init', "make this machine the owner's: makes the owner key").action(async (_, command: Command) => {
    done(await (await import('./cli-trust.io.ts')).trustInit(commandOf(command, house)));
  });
  query(trust, 'pin', 'trust this owner, on a machine that joined before there was one')
    .argument('<owner>', 'what `skein trust init` printed')
    .action(async (owner: string, _, command: Command) => {
      done(await (await import('./cli-trust.io.ts')).trustPin(commandOf(command, house), owner));
    });
}

function addLists(trust: Command, { query, done, ...house }: CommandHouse): void {
  query(trust, 'add', 'trust a node, or let a revoked one in again')
    .argument('<node>', NODE_ARGUMENT)
    .option('--label <text>', 'what lists call it')
    .action(async (node: string, _, command: Command) => {
      const label = textOf(command.opts()['label']);
      done(await (await import('./cli-trust.io.ts')).trustAdd(commandOf(command, house), node, label));
    });
  query(trust, 'revoke', 'shut a node out of the whole mesh')
    .argument('<node>', NODE_ARGUMENT)
    .action(async (node: string, _, command: Command) => {
      done(await (await import('./cli-trust.io.ts')).trustRevoke(commandOf(command, house), node));
    });
  query(trust, 'list', 'show the owner, who is trusted, who is out and whose certificate ends when').action(
    async (_, command: Command) => {
      done(await (await import('./cli-trust.io.ts')).trustList(commandOf(command, house)));
    },
  );
  query(trust, 'mode', 'who is let in everywhere: open, allowlist (trusted nodes) or certified')
    .argument('<mode>', 'open, allowlist or certified')
    .option('--force', 'even if nodes that are here now are shut out')
    .action(async (mode: string, _, command: Command) => {
      const force = command.opts()['force'] === true;
      done(await (await import('./cli-trust.io.ts')).trustMode(commandOf(command, house), mode, force));
    });
}

function addCertificates(trust: Command, { query, done, ...house }: CommandHouse): void {
  query(trust, 'certify', 'give a node a certificate, or renew it; the mesh carries it there')
    .argument('<node>', NODE_ARGUMENT)
    .option('--label <text>', 'what lists call it')
    .option('--days <number>', 'how long it is good for, at most 30 (default: 30)')
    .option('--role <role...>', 'what it may do: serve, route, admin, audit (default: serve route)')
    .option('--out <path>', 'write it to a file as well, for a machine that is not in the mesh')
    .action(async (node: string, _, command: Command) => {
      const { label, days, role, out }: Readonly<Record<string, unknown>> = command.opts();
      const roles = Array.isArray(role) ? role.map(String) : undefined;
      const options = { label: textOf(label), days: textOf(days), roles, out: textOf(out) };
      done(await (await import('./cli-trust.io.ts')).trustCertify(commandOf(command, house), node, options));
    });
  query(trust, 'import', 'take a certificate from a file')
    .argument('<file>', 'what `skein trust certify --out` wrote')
    .action(async (file: string, _, command: Command) => {
      done(await (await import('./cli-trust.io.ts')).trustImport(commandOf(command, house), file));
    });
}

function addKey(program: Command, { query, done, ...house }: CommandHouse): void {
  const key = program.command('key').description('show and change the swarm key').exitOverride();
  query(key, 'show', 'show which key is used, by its fingerprint; never the key').action(
    async (_, command: Command) => {
      done(await (await import('./cli-key.io.ts')).keyShow(commandOf(command, house)));
    },
  );
  query(key, 'rotate', 'change the swarm key without a cut, in three steps')
    .option('--stage', '1. make a new key, which all nodes accept as well')
    .option('--use', '2. all nodes dial with it')
    .option('--finish', '3. the old key is refused')
    .option('--status', 'how many nodes are ready for the next step')
    .option('--leaked', 'the old key is in strange hands: change it by hand, not through the mesh')
    .option('--force', 'leave behind the nodes that are not ready')
    .action(async (_, command: Command) => {
      const options = command.opts();
      const chosen = [...STEPS, 'status', 'leaked'].filter((name) => options[name] === true);
      const [step] = chosen;
      if (step === undefined || chosen.length > 1 || !isStep(step))
        command.error('skein key rotate: expected exactly one of --stage, --use, --finish, --status, --leaked');
      const force = options['force'] === true;
      done(await (await import('./cli-key.io.ts')).keyRotate(commandOf(command, house), { step, force }));
    });
}

/** `skein join`: the link is read, kept out of the process list as far as that goes, and the node starts. */
export async function join(
  argument: string | undefined,
  command: Command,
  { version, flagsOf, isJson }: Pick<CommandHouse, 'flagsOf' | 'isJson'> & { readonly version: string },
): Promise<number> {
  // The link is the key, and everybody on this machine can read the arguments of a process.
  if (argument !== undefined) process.title = 'skein join';
  const options = command.opts();
  const { readLink } = await import('./cli-join.io.ts');
  const { fail } = await import('./exit.io.ts');
  const link = await readLink(argument, textOf(options['file']));
  if (typeof link !== 'string') return fail([link.message], link.exitCode);
  const { up } = await import('./cli-up.io.ts');
  return up({
    flags: flagsOf(command),
    json: isJson(command),
    version,
    link,
    force: options['force'] === true,
    onlyJoin: options['start'] === false,
  });
}

const NODE_ARGUMENT = 'its id, the end of it as `skein status` shows it, or its name';

function commandOf(
  command: Command,
  { flagsOf, isJson }: Pick<CommandHouse, 'flagsOf' | 'isJson'>,
): { readonly flags: Readonly<Record<string, unknown>>; readonly json: boolean } {
  return { flags: flagsOf(command), json: isJson(command) };
}

function isStep(text: string): text is RotationStep | 'status' | 'leaked' {
  return text === 'status' || text === 'leaked' || STEPS.some((step) => step === text);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
