/**
 * The schedule with real processes: as many `skein up` as the schedule has nodes, on loopback, each with a directory of its
 * own and a tap (`tap.io.ts`), started one after the other so that a small machine carries them. When everybody is
 * connected to everybody the strikes begin. Whatever happens, every process is ended by its own pid, and the directories go.
 * Exactness: signals are noted just before they are sent, on the clock of the taps; a signal acts within a millisecond.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type NodeProcess, startNodeProcess } from '../../src/node/node-process.io.ts';
import type { Half } from './comparison.ts';
import type { Moment } from './recording.ts';
import type { Schedule, Strike } from './schedule.ts';
import { readTap, recordingOf, type Tap, type TapLine } from './tap-lines.ts';

/** How long all of them may take to connect to each other, once they run. Source: guess, ten times what it takes. */
const MEET_MS_MAX = 60_000;
/** Between two looks at whether they have. Rare: looking costs what they need. */
const LOOK_MS = 500;

export interface RealOptions {
  readonly schedule: Schedule;
  /** A command that runs each node in its own process: `['chrt', '-r', '1']` puts them before all else on a busy machine. */
  readonly wrapper: readonly string[];
  readonly signal: AbortSignal;
  /** What is going on, and the share that is done. */
  readonly progress: (share: number, what: string) => void;
}

/** How busy the machine was: what real delays owe to it. */
export interface Conditions {
  /** Of the processes that were not struck: timers that fired 20 ms late or more, and the worst of them. */
  readonly lateTimers: number;
  readonly latestMs: number;
  /** From the start command to the first step of the core, at the restart. */
  readonly restartTookMs: number | undefined;
  /** Until all were started, and until all were connected. */
  readonly startedMs: number;
  readonly metMs: number;
}

export interface RealRun extends Half {
  readonly conditions: Conditions;
}

/** Rejects when a node does not start, and when they do not meet; aborted in the middle of the strikes, it returns what it has. */
export async function runReal(options: RealOptions): Promise<RealRun> {
  const home = await mkdtemp(join(tmpdir(), 'skein-calibration-'));
  const crowd = new Crowd(home, options);
  try {
    return await crowd.play();
  } finally {
    await crowd.end();
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Crowd {
  readonly #home: string;
  readonly #options: RealOptions;
  readonly #nodes: NodeProcess[] = [];
  /** All that were ever started, by the order of starts. */
  readonly #started: { readonly node: number; readonly process: NodeProcess; readonly tap: string }[] = [];
  readonly #moments: Moment[] = [];
  /** When the schedule began, later by what was waited for. */
  #baseMs = 0;
  #restartedAtMs: number | undefined;

  constructor(home: string, options: RealOptions) {
    this.#home = home;
    this.#options = options;
  }

  async play(): Promise<RealRun> {
    const { schedule, progress } = this.#options;
    const beganMs = monotonicMs();
    for (let node = 0; node < schedule.nodes; node += 1) {
      progress(0, `starting node ${node + 1} of ${schedule.nodes}`);
      // eslint-disable-next-line no-await-in-loop
      await this.#join(node);
    }
    const startedMs = monotonicMs() - beganMs;
    await this.#meet();
    this.#baseMs = monotonicMs();
    const metMs = this.#baseMs - beganMs;
    try {
      await this.#strikeAll();
    } catch (error) {
      // Ctrl-C: what was seen so far is worth showing.
      if (!this.#options.signal.aborted) throw error;
    }
    return this.#result(startedMs, metMs);
  }

  async end(): Promise<void> {
    await Promise.all(this.#started.map(async ({ process }) => process.end('SIGKILL')));
  }

  async #strikeAll(): Promise<void> {
    const { strikes, endMs } = this.#options.schedule;
    for (const [index, strike] of strikes.entries()) {
      // eslint-disable-next-line no-await-in-loop
      await this.#until(strike.atMs);
      // eslint-disable-next-line no-await-in-loop
      await this.#strike(index, strike);
    }
    await this.#until(endMs);
  }

  async #join(node: number): Promise<void> {
    const [first] = this.#nodes;
    const command = first === undefined ? ['up'] : ['join', first.invite];
    this.#nodes[node] = await this.#start(node, { command });
  }

  async #start(
    node: number,
    how: {
      readonly command: readonly string[];
      readonly network?: readonly string[];
      readonly args?: readonly string[];
    },
  ): Promise<NodeProcess> {
    this.#options.signal.throwIfAborted();
    const tap = join(this.#home, `tap-${this.#started.length}.jsonl`);
    const process = await startNodeProcess({
      home: join(this.#home, String(node)),
      ...how,
      wrapper: this.#options.wrapper,
      environment: {
        NODE_OPTIONS: `--import=${new URL(`tap.io${extname(import.meta.url)}`, import.meta.url).href}`,
        CALIBRATION_TAP: tap,
      },
    });
    this.#started.push({ node, process, tap });
    return process;
  }

  async #meet(): Promise<void> {
    const deadlineMs = monotonicMs() + MEET_MS_MAX;
    let waiting: readonly NodeProcess[] = this.#nodes;
    for (;;) {
      this.#options.progress(0, `${waiting.length} nodes are not connected to all others yet`);
      // eslint-disable-next-line no-await-in-loop
      const met = await Promise.all(waiting.map(async (node) => (await connectedTo(node)) === this.#nodes.length));
      waiting = waiting.filter((_, index) => met[index] !== true);
      if (waiting.length === 0) return;
      if (monotonicMs() > deadlineMs)
        throw new Error(`${waiting.length} nodes did not connect to all others within ${MEET_MS_MAX} ms`);
      // eslint-disable-next-line no-await-in-loop
      await delay(LOOK_MS, undefined, { signal: this.#options.signal });
    }
  }

  async #strike(index: number, strike: Strike): Promise<void> {
    const node = this.#nodes[strike.node];
    if (node === undefined) throw new Error(`there is no node ${strike.node}`);
    this.#note(index, 'begun');
    switch (strike.kind) {
      case 'kill': {
        node.signal('SIGKILL');
        await this.#until(strike.atMs + strike.durationMs);
        await this.#restart(index, strike.node);
        // What took longer than in a simulated world moves everything after it.
        this.#baseMs = monotonicMs() - strike.atMs - strike.durationMs;
        return;
      }
      case 'stop': {
        node.signal('SIGSTOP');
        await this.#until(strike.atMs + strike.durationMs);
        this.#note(index, 'ended');
        return node.signal('SIGCONT');
      }
      case 'leave':
        return node.signal('SIGTERM');
    }
  }

  /** At its old address, with the first node's as the one it was given: what a simulated node has as well. */
  async #restart(index: number, number: number): Promise<void> {
    const [first] = this.#nodes;
    const listen = plain(this.#nodes[number]?.addresses[0]);
    this.#restartedAtMs = monotonicMs();
    this.#nodes[number] = await this.#start(number, {
      command: ['up'],
      network: ['--no-mdns', '--api-port', '0', '--listen', listen],
      args: ['--bootstrap', plain(first?.addresses[0])],
    });
    const tap = await this.#linesOf(this.#started.length - 1);
    const atMs = tap.find(({ type }) => type === 'started')?.atMs;
    if (atMs === undefined) throw new Error('the restarted node left no trace of its start');
    this.#moments.push({ strike: index, what: 'ended', atMs });
  }

  #note(strike: number, what: Moment['what']): void {
    this.#moments.push({ strike, what, atMs: monotonicMs() });
  }

  async #until(atMs: number): Promise<void> {
    const { schedule, progress, signal } = this.#options;
    for (;;) {
      const elapsedMs = monotonicMs() - this.#baseMs;
      if (elapsedMs >= atMs) return;
      progress(elapsedMs / schedule.endMs, 'striking real processes');
      // eslint-disable-next-line no-await-in-loop
      await delay(Math.min(LOOK_MS, atMs - elapsedMs), undefined, { signal });
    }
  }

  async #linesOf(started: number): Promise<readonly TapLine[]> {
    const file = this.#started[started]?.tap;
    return file === undefined ? [] : readTap(await readFile(file, 'utf8'));
  }

  async #result(startedMs: number, metMs: number): Promise<RealRun> {
    const { schedule } = this.#options;
    const taps: Tap[] = await Promise.all(
      this.#started.map(async ({ node }, index) => ({ node, lines: await this.#linesOf(index) })),
    );
    const ids = this.#nodes.map(({ node }) => node);
    const recording = recordingOf(taps, this.#moments, (id) => ids.indexOf(id));
    return { schedule, recording, conditions: { ...this.#conditions(taps), startedMs, metMs } };
  }

  #conditions(taps: readonly Tap[]): Omit<Conditions, 'startedMs' | 'metMs'> {
    const firstMs = this.#moments[0]?.atMs ?? Infinity;
    const struck = new Set(this.#options.schedule.strikes.map(({ node }) => node));
    const late = taps
      .filter(({ node }) => !struck.has(node))
      .flatMap(({ lines }) =>
        lines.flatMap((line) => (line.type === 'late' && line.atMs >= firstMs ? [line.lateMs] : [])),
      );
    const kill = this.#options.schedule.strikes.findIndex(({ kind }) => kind === 'kill');
    const backAtMs = this.#moments.find(({ strike, what }) => strike === kill && what === 'ended')?.atMs;
    const restartTookMs =
      backAtMs === undefined || this.#restartedAtMs === undefined ? undefined : backAtMs - this.#restartedAtMs;
    return { lateTimers: late.length, latestMs: Math.max(0, ...late), restartTookMs };
  }
}

/** Living nodes that this one is connected to, itself included. */
async function connectedTo({ api }: NodeProcess): Promise<number> {
  const response = await fetch(`${api}/api/status`);
  // Our own node's answer; what is read is compared with the number that is waited for.
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  const status = (await response.json()) as {
    readonly nodes?: readonly { readonly verdict?: unknown; readonly connected?: unknown }[];
  };
  return (status.nodes ?? []).filter(({ verdict, connected }) => verdict === 'alive' && connected === true).length;
}

/** Without the id at its end. */
function plain(address: string | undefined): string {
  return (address ?? '').replace(/\/p2p\/[^/]+$/, '');
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
