/**
 * Starts the process of a model inside of its sandbox. What this machine offers is found out once, by starting something
 * harmless in bubblewrap: whether it is installed says little, because distributions and containers forbid its namespaces.
 */
import { type ChildProcess, execFile, fork, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { packageRoot } from '../../package-root.io.ts';
import { sandboxCommand, type SandboxLayer, type SandboxProbe } from './sandbox.ts';
import { type SeccompArchitecture, seccompFilter } from './seccomp-filter.ts';

/** Source: guess: it takes 50 ms. */
const PROBE_MS_MAX = 5_000;
/** The first descriptors after stdin, stdout and stderr. */
const CHANNEL_FD = 3;
const FILTER_FD = 4;

const run = promisify(execFile);
let probed: Promise<SandboxProbe> | undefined;

/** What this machine has; asked once for each process of ours. */
export async function probeSandbox(): Promise<SandboxProbe> {
  probed ??= probe();
  return probed;
}

async function probe(): Promise<SandboxProbe> {
  if (process.platform !== 'linux') return { problem: 'bubblewrap exists only on Linux' };
  const bubblewrap = find('bwrap');
  if (bubblewrap === undefined) return { problem: 'bubblewrap (bwrap) is not installed' };
  const architecture = SECCOMP_ARCHITECTURES.find((known) => known === process.arch);
  const prlimit = find('prlimit');
  const offer: SandboxProbe = {
    bubblewrap,
    ...(prlimit === undefined ? {} : { prlimit }),
    ...(architecture === undefined ? {} : { architecture }),
  };
  try {
    const args = ['--unshare-all', '--die-with-parent', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev'];
    await run(bubblewrap, [...args, process.execPath, '--version'], { timeout: PROBE_MS_MAX, env: {} });
    return offer;
  } catch (error) {
    const text = error instanceof Error ? (error.message.trim().split('\n').at(-1) ?? '') : String(error);
    return { problem: `bubblewrap does not work here (${text})` };
  }
}

const SECCOMP_ARCHITECTURES: readonly SeccompArchitecture[] = ['x64', 'arm64'];

function find(program: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/bin', '/usr/local/bin'];
  return directories
    .map((directory) => join(directory, program))
    .find((path) => path.startsWith('/') && existsSync(path));
}

export interface SandboxedChild {
  readonly layers: readonly SandboxLayer[];
  readonly probe: SandboxProbe;
  /** The module that it runs. */
  readonly module: URL;
  readonly nodeOptions: readonly string[];
  /** The files that it serves. */
  readonly files: readonly string[];
  /** Directories of its own. Absent = it writes nothing. */
  readonly writable?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly memoryBytesMax: number;
}

/** A child with an IPC channel, nothing on stdin and stdout, and its last words on stderr. */
export function startSandboxed(child: SandboxedChild): ChildProcess {
  const { layers, probe: has, module, nodeOptions, files, writable = [], environment, memoryBytesMax } = child;
  const devices = graphicsDevices();
  const command = {
    layers,
    probe: has,
    node: process.execPath,
    nodeArguments: [...nodeOptions, fileURLToPath(module)],
    // Drivers look for their cards in /sys.
    readable: [process.execPath, ...codePaths(), ...files, ...(devices.length > 0 ? ['/sys', '/opt'] : [])],
    writable,
    devices,
    environment,
    memoryBytesMax,
    channelFd: CHANNEL_FD,
    filterFd: FILTER_FD,
  };
  const { file, args } = sandboxCommand(command);
  if (!layers.includes('bubblewrap')) {
    const execArgv = args.slice(0, -1);
    return fork(module, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [...execArgv], env: environment });
  }
  const filter = has.architecture === undefined ? undefined : openFilter(has.architecture);
  try {
    const stdio = ['ignore', 'ignore', 'pipe', 'ipc', filter ?? 'ignore'] as const;
    return spawn(file, args, { stdio: [...stdio], env: environment });
  } finally {
    if (filter !== undefined) closeSync(filter);
  }
}

/** The package, and the packages that it uses, which may lie beside it. */
function codePaths(): readonly string[] {
  const root = fileURLToPath(packageRoot());
  const engine = fileURLToPath(import.meta.resolve('node-llama-cpp'));
  const at = engine.lastIndexOf(join('node_modules', 'node-llama-cpp'));
  const modules = at === -1 ? dirname(engine) : join(engine.slice(0, at), 'node_modules');
  // `node_modules` may be a link to where the packages are.
  const code = ['src', 'dist', 'package.json', 'node_modules'].map((name) => join(root, name));
  return [...new Set([...code.filter((path) => existsSync(path)), modules])];
}

/** A descriptor of the filter's bytes; its file is gone when this returns. */
function openFilter(architecture: SeccompArchitecture): number {
  const directory = mkdtempSync(join(tmpdir(), 'skein-'));
  try {
    const path = join(directory, 'filter');
    writeFileSync(path, seccompFilter(architecture), { mode: 0o600 });
    return openSync(path, 'r');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Source: copied (the device files of NVIDIA's, AMD's and Intel's drivers); not tried here, for want of a card. */
function graphicsDevices(): readonly string[] {
  const nvidia = readdirSync('/dev').filter((name) => /^nvidia(?:\d+|ctl|-uvm|-uvm-tools|-modeset)?$/.test(name));
  const found = [...nvidia, 'dri', 'kfd'].map((name) => join('/dev', name)).filter((path) => existsSync(path));
  return found;
}
