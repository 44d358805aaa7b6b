/**
 * How much of this machine does the process of a model see? As little as can be arranged: on Linux, bubblewrap gives it no
 * network, no files but the engine's and the one model, no rights, and no other processes; seccomp forbids what an
 * engine never needs; `prlimit` bounds its memory; Node's own permissions keep its JavaScript from writing anywhere else than in its own directory, where it has one. What is
 * not there is left out and said (`auto`), or the model is not served (`require`). Pure: the probing is `sandbox.io.ts`.
 * Limits: what a process writes into its directory in memory is bounded by the system's bound for such directories only; a model on a graphics card sees the card's devices, and with them its driver; on other systems than Linux only Node's
 * permissions hold, and those do not bind native code.
 */
import type { SeccompArchitecture } from './seccomp-filter.ts';

export const SANDBOX_MODES = ['require', 'auto', 'off'] as const;

export type SandboxMode = (typeof SANDBOX_MODES)[number];

/** From the outermost. */
export type SandboxLayer = 'bubblewrap' | 'seccomp' | 'prlimit' | 'permission';

/** What this machine has. */
export interface SandboxProbe {
  /** The path of a bubblewrap that was seen working. */
  readonly bubblewrap?: string;
  /** Why it does not work, for people. */
  readonly problem?: string;
  readonly prlimit?: string;
  readonly architecture?: SeccompArchitecture;
}

export type SandboxPlan =
  | { readonly type: 'plan'; readonly layers: readonly SandboxLayer[]; readonly problem?: string }
  /** The mode requires what is not there. */
  | { readonly type: 'refused'; readonly reason: string };

export function planSandbox(mode: SandboxMode, probe: SandboxProbe): SandboxPlan {
  if (mode === 'off') return { type: 'plan', layers: [] };
  const { bubblewrap, problem, prlimit, architecture } = probe;
  if (bubblewrap === undefined) {
    const reason = problem ?? 'bubblewrap (bwrap) is not installed';
    if (mode === 'require')
      return { type: 'refused', reason: `${reason}, and the setting engine.sandbox = "require" asks for it` };
    return { type: 'plan', layers: ['permission'], problem: reason };
  }
  const layers: SandboxLayer[] = ['bubblewrap'];
  if (architecture !== undefined) layers.push('seccomp');
  if (prlimit !== undefined) layers.push('prlimit');
  return { type: 'plan', layers: [...layers, 'permission'] };
}

export interface SandboxCommand {
  readonly layers: readonly SandboxLayer[];
  readonly probe: SandboxProbe;
  /** The program that runs inside, and its arguments. */
  readonly node: string;
  readonly nodeArguments: readonly string[];
  /** Everything that it may read; directories whole. */
  readonly readable: readonly string[];
  /** Directories in which it may write; none that anybody else uses. */
  readonly writable: readonly string[];
  /** Devices of graphics cards, and what their drivers read: those that exist. */
  readonly devices: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Private memory at most, the mapped file not counted. */
  readonly memoryBytesMax: number;
  /** Descriptors that the parent prepared: the channel to it, and the filter's file. */
  readonly channelFd: number;
  readonly filterFd: number;
}

/** Directories of the system that programs need to start; those that do not exist are skipped. Source: measured (Debian), copied (bubblewrap's demos). */
const SYSTEM_PATHS = ['/usr', '/lib', '/lib32', '/lib64', '/bin', '/etc/ld.so.cache', '/etc/alternatives'] as const;
/** How many cores there are, and how much memory this process may take. */
const SYSTEM_FACTS = ['/sys/devices/system', '/sys/fs/cgroup'] as const;

/** The command line that starts the process inside of its layers. */
export function sandboxCommand(command: SandboxCommand): { readonly file: string; readonly args: readonly string[] } {
  const { layers, probe, node, nodeArguments, writable } = command;
  const permissions = [...PERMISSIONS, ...writable.map((path) => `--allow-fs-write=${path}`)];
  const inner = [...(layers.includes('permission') ? permissions : []), ...nodeArguments];
  if (!layers.includes('bubblewrap') || probe.bubblewrap === undefined) return { file: node, args: inner };
  const limited =
    layers.includes('prlimit') && probe.prlimit !== undefined
      ? [probe.prlimit, `--data=${command.memoryBytesMax}`, '--core=0', node, ...inner]
      : [node, ...inner];
  return { file: probe.bubblewrap, args: [...bubblewrapArguments(command), '--', ...limited] };
}

/** Native code of the engine is an addon, and it tests its own binary in a process of its own. Source: measured. Node warns of
 *  both, and its warnings would be taken for the last words of a process that died. */
const PERMISSIONS = [
  '--permission',
  '--allow-addons',
  '--allow-child-process',
  '--allow-fs-read=*',
  '--disable-warning=SecurityWarning',
];

function bubblewrapArguments(command: SandboxCommand): readonly string[] {
  const { layers, readable, writable, devices, environment, channelFd, filterFd } = command;
  return [
    '--unshare-all',
    '--die-with-parent',
    '--new-session',
    '--cap-drop',
    'ALL',
    '--clearenv',
    ...[...SYSTEM_PATHS, ...SYSTEM_FACTS].flatMap((path) => ['--ro-bind-try', path, path]),
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    ...devices.flatMap((path) => ['--dev-bind-try', path, path]),
    ...readable.flatMap((path) => ['--ro-bind-try', path, path]),
    ...writable.flatMap((path) => ['--bind-try', path, path]),
    '--chdir',
    '/tmp',
    ...Object.entries({ ...environment, HOME: '/tmp', TMPDIR: '/tmp' }).flatMap(([name, value]) => [
      '--setenv',
      name,
      value,
    ]),
    '--setenv',
    'NODE_CHANNEL_FD',
    `${channelFd}`,
    '--setenv',
    'NODE_CHANNEL_SERIALIZATION_MODE',
    'json',
    ...(layers.includes('seccomp') ? ['--seccomp', `${filterFd}`] : []),
  ];
}

/** How the status says it. */
export function sandboxText(layers: readonly SandboxLayer[]): string {
  return layers.length === 0 ? 'none' : layers.join(' + ');
}
