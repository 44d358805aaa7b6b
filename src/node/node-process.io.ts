/**
 * A node as a child process: start it, wait until it says that it is ready, end it. The demo, the benchmarks and the
 * end-to-end tests all run real nodes this way, so that what they show is what a person gets.
 * A child prints one JSON line on stdout when it is ready (`skein up --json`); stderr is kept, bounded, for errors.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../package-root.io.ts';

const launcher = fileURLToPath(new URL('bin/skein.js', packageRoot()));

/** How long a node may take to its ready line. Source: guess, ten times what a slow machine needs. */
const READY_MS_MAX = 30_000;

/** How much of stderr is kept. Source: guess: a few stack traces. */
const STDERR_CHARACTERS_MAX = 65_536;

/** Out of everybody's way: loopback only, any free ports, no discovery. */
const ON_LOOPBACK = ['--no-mdns', '--api-port', '0', '--listen', '/ip4/127.0.0.1/tcp/0'] as const;

/** What `skein up --json` prints when it is ready. */
export interface Ready {
  readonly event: 'ready';
  readonly node: string;
  readonly name: string;
  readonly api: string;
  readonly addresses: readonly string[];
  readonly swarm: string;
  readonly invite: string;
  readonly models: readonly string[];
}

export interface NodeProcessOptions {
  /** Its `SKEIN_HOME`. */
  readonly home: string;
  /** `['up']`, or `['join', link]`. */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  /** Its network, API port and discovery. Default: `ON_LOOPBACK`. */
  readonly network?: readonly string[];
  /** A command that runs the node in its own process, e.g. `['ip', 'netns', 'exec', NAME]`. */
  readonly wrapper?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface NodeProcess extends Ready {
  readonly pid: number;
  readonly home: string;
  /** What it printed on stderr so far. */
  errors(): string;
  /** Sends `signal` and waits for the end; the exit code, or null when the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** Only sends `signal`. */
  signal(signal: NodeJS.Signals): void;
}

/** Starts a node, on loopback unless told otherwise; rejects with its stderr when it ends before it is ready. */
export async function startNodeProcess(options: NodeProcessOptions): Promise<NodeProcess> {
  const { command = ['up'], args = [], network = ON_LOOPBACK } = options;
  const child = spawnSkein([...command, '--json', ...network, ...args], options);
  const errors = keepTail(child.stderr);
  const ready = await readyLine(child, errors);
  return {
    ...ready,
    pid: child.pid ?? 0,
    home: options.home,
    errors,
    signal: (signal) => void child.kill(signal),
    end: async (signal) => {
      const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      child.kill(signal);
      await exited;
      return child.exitCode;
    },
  };
}

/** Runs one command to its end. */
export async function runSkein(
  args: readonly string[],
  options: Pick<NodeProcessOptions, 'home' | 'environment'>,
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawnSkein(args, options);
  const [out, err] = [keepTail(child.stdout), keepTail(child.stderr)];
  await once(child, 'close');
  return { code: child.exitCode, out: out(), err: err() };
}

function spawnSkein(
  args: readonly string[],
  options: Pick<NodeProcessOptions, 'home' | 'environment' | 'wrapper'>,
): ChildProcess {
  const [program = '', ...rest] = [...(options.wrapper ?? []), process.execPath, launcher, ...args];
  return spawn(program, rest, {
    // Nothing of the caller's own settings leaks into the child.
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: options.home,
      SKEIN_HOME: options.home,
      NO_COLOR: '1',
      ...options.environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function readyLine(child: ChildProcess, errors: () => string): Promise<Ready> {
  const { stdout } = child;
  if (stdout === null) throw new Error('a node process without stdout');
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS_MAX);
  try {
    for await (const line of createInterface({ input: stdout })) {
      const event: unknown = JSON.parse(line);
      if (isReady(event)) return event;
    }
  } finally {
    clearTimeout(timer);
    // Keeps the pipe flowing: a full one would block the node.
    stdout.resume();
  }
  throw new Error(`the node ended before it was ready (exit code ${child.exitCode}):\n${errors()}`);
}

function isReady(event: unknown): event is Ready {
  return typeof event === 'object' && event !== null && 'event' in event && event.event === 'ready';
}

function keepTail(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-STDERR_CHARACTERS_MAX);
  });
  return () => text;
}
