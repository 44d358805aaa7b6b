/**
 * V8: after a flash crowd the mesh is as before. At the latest twice its length after its end, or when a mesh that works
 * at two thirds of its speed has served what waits, some ten seconds have
 * queues and busy answers of at most 1.5 times the level before it plus a small constant: a mesh that stays congested when
 * the crowd is gone (metastable) never has them. The level before is the mean of the minute before the crowd.
 * The time is at least `DRAIN_MS`, because a crowd shorter than one answer cannot be gone in twice its length, and
 * `BACKLOG_FACTOR` times what the backlog takes with the speed that the usual load leaves free. The backlog is what waits when the
 * crowd has gone, at most `BACKLOG_PER_SLOT` (what comes beyond that is to be turned away), against the most that was done in
 * ten seconds since it came; it is never more than what a crowd of f times the
 * load rho brings beyond what the mesh can do, (rho f - 1) / (1 - rho) of its length. Not covered: crowds that follow each other within the time that is judged, and those
 * in which or after which more than a tenth of the slots is missing, or as good as missing because their machines are slow.
 * Limits: sums per `BIN_MS`, kept for the longest crowd.
 */
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { Fault } from '../faults/fault.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { endMs } from './calm.ts';

export const V8_LIMITS = {
  /** Source: the promise. */
  levelFactor: 1.5,
  lengthFactor: 2,
  /** Requests that wait in the whole mesh, and the same per slot. Source: guess: what bursts of the usual demand leave. */
  queuedSlack: 2,
  queuedSlackPerSlot: 0.1,
  /** Busy answers per second. Source: guess: one burst of the usual demand in ten seconds. */
  busySlackPerSecond: 1,
} as const;

const BIN_MS = 10_000;
const BEFORE_MS = 60_000;
/** Least time of the level before. Source: guess. */
const BEFORE_BINS_MIN = 2;
/** Source: computed: two waiting answers of 120 tokens a slot at 8 tokens per second. */
const DRAIN_MS = 30_000;

/** A mesh that works at full speed takes 1. Source: guess: a backlog is not spread over the machines as evenly as arrivals are. */
const BACKLOG_FACTOR = 1.5;
/** Waiting requests that are worth their wait. Written out, so that a longer queue in the parameters is not its own excuse.
 *  Source: `PLACEMENT.queuePerSlotMax` as it was measured in the placement study. */
const BACKLOG_PER_SLOT = 8;

type Crowd = Extract<Fault, { kind: 'flash-crowd' }>;

interface Bin {
  readonly fromMs: number;
  queued: number;
  slots: number;
  busy: number;
  /** Runs that ended. */
  done: number;
}

interface Watched {
  readonly crowd: Crowd;
  /** The latest that any backlog allows; earlier once it is known what waits. */
  deadlineMs: number;
  before: { readonly queued: number; readonly slots: number; readonly busy: number } | undefined;
  /** Part of the machines was missing. */
  short: boolean;
  best: { readonly queued: number; readonly busy: number } | undefined;
  /** The most of any bin since it came: waiting, and done. */
  queuedMax: number;
  doneMax: number;
  state: 'coming' | 'here' | 'gone' | 'judged';
}

class Crowds implements Checker {
  readonly ignoresGossip = true;
  readonly #breaches: Breaches;
  readonly #watched: readonly Watched[];
  readonly #slow: readonly Extract<Fault, { kind: 'slow' }>[];
  readonly #load: number;
  #bin: Bin = newBin(0);
  #recent: Bin[] = [];
  /** The most of any ten seconds: the mesh with everybody there. */
  #slotsMax = 0;

  constructor(context: CheckContext) {
    this.#breaches = new Breaches(context);
    this.#slow = context.plan.filter((fault) => fault.kind === 'slow');
    const { load } = context.scenario.workload;
    this.#load = load;
    const crowds = context.plan.filter((fault) => fault.kind === 'flash-crowd');
    this.#watched = crowds
      .map((crowd): Watched => {
        const deadlineMs = deadlineOf(crowd, backlogMs(crowd, load));
        const nothing = { before: undefined, short: false, best: undefined, queuedMax: 0, doneMax: 0 };
        return { crowd, deadlineMs, ...nothing, state: 'coming' };
      })
      .filter(({ crowd, deadlineMs }) =>
        crowds.every((other) => other === crowd || other.atMs > deadlineMs || endMs(other) < crowd.atMs - BEFORE_MS),
      );
  }

  observe(event: WorldEvent, atMs: number): void {
    if (this.#watched.length === 0) return;
    while (atMs >= this.#bin.fromMs + BIN_MS) this.#closeBin();
    if (event.type === 'sampled') {
      // The mean over the bin of what all nodes hold: a bin has ten samples of each.
      this.#bin.queued += event.sample.queued / 10;
      this.#bin.slots += event.sample.slots / 10 / this.#slowness(event.node, atMs);
    } else if (event.type === 'run-ended') this.#bin.done += 1;
    else if (event.type === 'offered' && event.answer === 'refused' && event.code === 'busy') this.#bin.busy += 1;
  }

  finish(atMs: number): void {
    if (this.#watched.length > 0) while (atMs >= this.#bin.fromMs + BIN_MS) this.#closeBin();
  }

  #slowness(node: number, atMs: number): number {
    const factors = this.#slow.filter((fault) => fault.node === node && fault.atMs <= atMs && endMs(fault) >= atMs);
    return Math.max(1, ...factors.map(({ factor }) => factor));
  }

  #closeBin(): void {
    const bin = this.#bin;
    this.#bin = newBin(bin.fromMs + BIN_MS);
    this.#slotsMax = Math.max(this.#slotsMax, bin.slots);
    for (const watched of this.#watched) this.#follow(watched, bin);
    this.#recent.push(bin);
    if (this.#recent.length > BEFORE_MS / BIN_MS) this.#recent.shift();
  }

  #follow(watched: Watched, bin: Bin): void {
    const { crowd } = watched;
    const toMs = bin.fromMs + BIN_MS;
    if (watched.state === 'coming' && toMs > crowd.atMs) {
      watched.state = 'here';
      watched.before = meanOf(this.#recent);
    }
    const { before } = watched;
    if (watched.state === 'coming' || watched.state === 'judged' || before === undefined) return;
    if (watched.state === 'here') this.#measure(watched, bin);
    // Its load was meant for all of them: who was gone before it came is missing too.
    if (bin.slots < this.#slotsMax * 0.9) watched.short = true;
    if (bin.fromMs >= endMs(crowd)) watched.best = better(watched.best, bin, before);
    // The last bin that begins before the deadline still counts.
    if (toMs < watched.deadlineMs) return;
    watched.state = 'judged';
    if (watched.best !== undefined && !watched.short) this.#judge(watched, watched.best, before);
  }

  /** What waits, and how fast the mesh is, until the first ten seconds after the crowd are over. */
  #measure(watched: Watched, { fromMs, queued, done }: Bin): void {
    const { crowd } = watched;
    watched.queuedMax = Math.max(watched.queuedMax, queued);
    watched.doneMax = Math.max(watched.doneMax, done);
    if (fromMs < endMs(crowd)) return;
    watched.state = 'gone';
    const freePerMs = (watched.doneMax / BIN_MS) * (1 - this.#load);
    if (freePerMs <= 0) return;
    const backlog = Math.min(watched.queuedMax, BACKLOG_PER_SLOT * (watched.before?.slots ?? 0));
    const drainMs = (BACKLOG_FACTOR * backlog) / freePerMs;
    watched.deadlineMs = Math.min(watched.deadlineMs, deadlineOf(crowd, drainMs));
  }

  #judge(
    { crowd, deadlineMs }: Watched,
    best: NonNullable<Watched['best']>,
    before: NonNullable<Watched['before']>,
  ): void {
    const most = normal(before);
    for (const kind of ['queued', 'busy'] as const) {
      if (best[kind] <= most[kind]) continue;
      const what = kind === 'queued' ? 'requests wait in the mesh' : 'busy answers in 10 s';
      const detail = `${best[kind].toFixed(1)} ${what} ${deadlineMs - endMs(crowd)} ms after a crowd of ${crowd.durationMs} ms, ${before[kind].toFixed(1)} before it, at most ${most[kind].toFixed(1)} promised`;
      this.#breaches.add(kind, { atMs: deadlineMs, nodes: [], detail });
    }
  }
}

function deadlineOf(crowd: Crowd, backlogTakesMs: number): number {
  return endMs(crowd) + Math.ceil(Math.max(DRAIN_MS, V8_LIMITS.lengthFactor * crowd.durationMs, backlogTakesMs));
}

/** What more came than could be done takes this long with what the usual load leaves free. */
function backlogMs({ factor, durationMs }: Crowd, load: number): number {
  return load >= 1 ? Infinity : (BACKLOG_FACTOR * durationMs * Math.max(0, load * factor - 1)) / (1 - load);
}

function newBin(fromMs: number): Bin {
  return { fromMs, queued: 0, slots: 0, busy: 0, done: 0 };
}

function meanOf(bins: readonly Bin[]): Watched['before'] {
  if (bins.length < BEFORE_BINS_MIN) return undefined;
  const mean = (read: (bin: Bin) => number): number => bins.reduce((sum, bin) => sum + read(bin), 0) / bins.length;
  return { queued: mean((bin) => bin.queued), slots: mean((bin) => bin.slots), busy: mean((bin) => bin.busy) };
}

function normal(before: NonNullable<Watched['before']>): { readonly queued: number; readonly busy: number } {
  const { levelFactor, queuedSlack, queuedSlackPerSlot, busySlackPerSecond } = V8_LIMITS;
  return {
    queued: levelFactor * before.queued + queuedSlack + queuedSlackPerSlot * before.slots,
    busy: levelFactor * before.busy + (busySlackPerSecond * BIN_MS) / 1_000,
  };
}

/** The ten seconds that are nearest to normal: both figures of one bin, by the worse of the two. */
function better(best: Watched['best'], bin: Bin, before: NonNullable<Watched['before']>): NonNullable<Watched['best']> {
  const most = normal(before);
  const strain = ({ queued, busy }: { readonly queued: number; readonly busy: number }): number =>
    Math.max(queued / most.queued, busy / most.busy);
  return best === undefined || strain(bin) < strain(best) ? { queued: bin.queued, busy: bin.busy } : best;
}

export const crowdsPass: CheckerKind = {
  id: 'V8',
  promise:
    'queues and busy answers are back to normal within twice the length of a flash crowd, or half as long again as its backlog takes',
  when: 'always',
  create: (context) => new Crowds(context),
};
