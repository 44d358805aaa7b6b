/**
 * Can this machine run models, and keep running? Node's version, the sandbox, the engine's binary, memory against the models
 * that are here, open files and disks, from facts to findings. Pure; see `doctor.ts`.
 * Limits: what a graphics card could take is not counted, because nobody says how much of a model goes there.
 */
import type { DiskFact, DoctorFacts, EngineFact, Finding, MemoryFact, SandboxFact } from './doctor.ts';

const MIB = 1_048_576;
const GIB = 1_073_741_824;
/** Source: guess: a connection is one descriptor, and a mesh of 32 with its files needs a few hundred. */
const OPEN_FILES_FEW = 1_024;
const OPEN_FILES_TOO_FEW = 128;
/** Source: guess: peers, keys and one log. */
const STATE_BYTES_MIN = 16 * MIB;
/** Source: guess: the smallest model that is of use. */
const MODELS_BYTES_LOW = GIB;
/** Kept for everything else on the machine. Source: requirement (512 MB), as the engine keeps it. */
const HEADROOM_BYTES = 512 * MIB;

export function machineFindings(facts: DoctorFacts): readonly Finding[] {
  return [
    nodeVersion(facts),
    ...sandbox(facts.sandbox),
    ...engine(facts.engine),
    ...memory(facts.memory),
    ...openFiles(facts.openFilesMax),
    ...facts.disks.map(disk),
  ];
}

function nodeVersion({ nodeVersion: version, nodeVersionMin }: DoctorFacts): Finding {
  const check = 'node';
  if (isAtLeast(version, nodeVersionMin)) return { check, level: 'ok', what: `Node ${version}` };
  return {
    check,
    level: 'problem',
    what: `this is Node ${version}, and skein needs ${nodeVersionMin} or newer`,
    mend: 'install a newer Node and start skein with it',
  };
}

/** By the numbers between the dots, from the left. */
function isAtLeast(version: string, least: string): boolean {
  const [have, want] = [version, least].map((text) => text.split('.').map((part) => Number.parseInt(part, 10)));
  for (const [index, part] of (want ?? []).entries()) {
    const own = have?.[index] ?? 0;
    if (own !== part) return own > part;
  }
  return true;
}

function sandbox(fact: SandboxFact | undefined): readonly Finding[] {
  const check = 'sandbox';
  if (fact === undefined) return [];
  const { mode, problem, namespacesForbiddenBy } = fact;
  if (mode === 'off')
    return [
      {
        check,
        level: 'warning',
        what: 'model files are opened without a sandbox (engine.sandbox = "off")',
        why: 'a bad model file could take over this user',
        mend: 'set engine.sandbox to "auto"',
      },
    ];
  if (problem === undefined)
    return [{ check, level: 'ok', what: 'bubblewrap works: models run without network and without your files' }];
  const isRequired = mode === 'require';
  return [
    {
      check,
      level: isRequired ? 'problem' : 'warning',
      what: isRequired ? `no model file is served: ${problem}` : `models run with less protection: ${problem}`,
      ...(namespacesForbiddenBy === undefined ? {} : { why: FORBIDDEN[namespacesForbiddenBy] }),
      mend: sandboxMend(problem, namespacesForbiddenBy),
    },
  ];
}

const FORBIDDEN = {
  apparmor:
    'AppArmor forbids user namespaces to programs without a profile (kernel.apparmor_restrict_unprivileged_userns = 1)',
  kernel: 'this kernel forbids user namespaces to ordinary users',
} as const;

function sandboxMend(problem: string, forbiddenBy: SandboxFact['namespacesForbiddenBy']): string {
  if (forbiddenBy === 'apparmor')
    return 'give bwrap an AppArmor profile with the rule "userns," (Ubuntu: the profile bwrap-userns-restrict in apparmor-profiles)';
  if (forbiddenBy === 'kernel')
    return 'sysctl -w kernel.unprivileged_userns_clone=1, and user.max_user_namespaces above 0';
  if (problem.includes('not installed')) return 'install the package bubblewrap';
  return problem.includes('only on Linux')
    ? "nothing: other systems have Node's own permissions only"
    : 'let this user make namespaces; a container may need --security-opt for it';
}

function engine(fact: EngineFact | undefined): readonly Finding[] {
  const check = 'engine';
  switch (fact?.type) {
    case 'loads':
      return [{ check, level: 'ok', what: `llama.cpp loads (${fact.detail})` }];
    case 'slow':
      return [
        {
          check,
          level: 'warning',
          what: `llama.cpp did not load within ${Math.round(fact.waitedMs / 1_000)} s`,
          mend: 'try again when this machine is less busy',
        },
      ];
    case 'fails':
      return [
        {
          check,
          level: 'problem',
          what: `llama.cpp does not load: ${fact.reason}`,
          why: 'without it this node serves no model file',
          mend: fact.mend,
        },
      ];
    case 'not-needed':
    case undefined:
    default:
      return [];
  }
}

function memory(fact: MemoryFact | undefined): readonly Finding[] {
  const check = 'memory';
  if (fact === undefined) return [];
  const { totalBytes, availableBytes, models } = fact;
  const room = Math.max(0, totalBytes - HEADROOM_BYTES);
  const tooLarge = models.filter(({ sizeBytes }) => sizeBytes > room);
  const fitsLater = models.filter(({ sizeBytes }) => sizeBytes <= room && sizeBytes > availableBytes);
  return [
    { check, level: 'ok', what: `${gib(availableBytes)} of ${gib(totalBytes)} of memory are available` },
    ...tooLarge.map(({ name, sizeBytes }): Finding => ({
      check,
      level: 'warning',
      what: `${name} (${gib(sizeBytes)}) does not fit into this machine's memory`,
      why: 'unless a graphics card takes most of it, it will not load',
      mend: 'use a smaller model, or one with fewer bits',
    })),
    ...fitsLater.map(({ name, sizeBytes }): Finding => ({
      check,
      level: 'warning',
      what: `${name} (${gib(sizeBytes)}) is larger than the memory that is free right now`,
      mend: 'end other programs before it is used',
    })),
  ];
}

function openFiles(max: number | undefined): readonly Finding[] {
  const check = 'open-files';
  if (max === undefined) return [];
  const what = `${max} files and connections may be open at once`;
  if (max >= OPEN_FILES_FEW) return [{ check, level: 'ok', what }];
  const level = max < OPEN_FILES_TOO_FEW ? 'problem' : 'warning';
  return [
    {
      check,
      level,
      what,
      why: 'every connection needs one',
      mend: 'ulimit -n 4096 before `skein up`, or LimitNOFILE=4096 in its service',
    },
  ];
}

function disk({ what, path, freeBytes }: DiskFact): Finding {
  const check = 'disk';
  const text = `${gib(freeBytes)} free for ${what} (${path})`;
  if (freeBytes < STATE_BYTES_MIN)
    return { check, level: 'problem', what: text, why: 'keys and known peers cannot be kept', mend: 'free some room' };
  if (what === 'models' && freeBytes < MODELS_BYTES_LOW)
    return {
      check,
      level: 'warning',
      what: text,
      why: 'hardly a model fits there',
      mend: 'free some room, or set models.directory',
    };
  return { check, level: 'ok', what: text };
}

function gib(bytes: number): string {
  return bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.round(bytes / MIB)} MiB`;
}
