/**
 * What do the clocks of one node say at a moment of true time? Two straight lines that are broken where something
 * happens: a new rate, a step of the wall clock, a sleep. Between two breaks a reading is an addition and a
 * multiplication; every break takes over the reading of the line before it, so the monotonic clock never goes back.
 * The wall clock goes on while the machine sleeps; the monotonic one counts that time or does not, as systems differ.
 * Limits: the past of the last break cannot be asked for; the rate error is the same for both clocks (one oscillator).
 * Source: nodejs/node#47724 for the two behaviours during sleep.
 */
import { invariant } from '../../src/assert.ts';

const PARTS = 1_000_000;

export interface NodeClockOptions {
  /** When the process started: its monotonic clock is 0 there. */
  readonly startMs: number;
  /** Positive = both clocks run fast. */
  readonly partsPerMillion: number;
  /** What the wall clock shows at true time 0, if it ran at the right rate until the start. */
  readonly wallOffsetMs: number;
}

export class NodeClock {
  /** True time of the last break, and what the clocks said there. */
  #brokenMs: number;
  #monotonicMs = 0;
  #wallMs: number;
  #rate: number;
  #sleep: 'counts' | 'halts' | undefined;

  constructor({ startMs, partsPerMillion, wallOffsetMs }: NodeClockOptions) {
    this.#brokenMs = startMs;
    this.#wallMs = startMs + wallOffsetMs;
    this.#rate = rateOf(partsPerMillion);
  }

  /** The machine sleeps; no process of it runs. */
  get isSuspended(): boolean {
    return this.#sleep !== undefined;
  }

  monotonicMs(trueMs: number): number {
    return this.#sleep === 'halts' ? this.#monotonicMs : this.#monotonicMs + this.#passedMs(trueMs);
  }

  wallMs(trueMs: number): number {
    return this.#wallMs + this.#passedMs(trueMs);
  }

  /**
   * The first whole ms of true time, not before `trueNowMs`, at which the monotonic clock shows at least `monotonicMs`.
   * Infinity while it stands still before that.
   */
  trueMsWhen(monotonicMs: number, trueNowMs: number): number {
    if (this.monotonicMs(trueNowMs) >= monotonicMs) return Math.ceil(trueNowMs);
    if (this.#sleep === 'halts') return Infinity;
    const trueMs = Math.ceil(this.#brokenMs + (monotonicMs - this.#monotonicMs) / this.#rate);
    // The division may round down to a moment at which the clock is a hair short.
    return this.monotonicMs(trueMs) >= monotonicMs ? trueMs : trueMs + 1;
  }

  setRate(partsPerMillion: number, trueMs: number): void {
    this.#breakAt(trueMs);
    this.#rate = rateOf(partsPerMillion);
  }

  stepWall(byMs: number, trueMs: number): void {
    this.#breakAt(trueMs);
    this.#wallMs += byMs;
  }

  suspend(clock: 'counts' | 'halts', trueMs: number): void {
    this.#breakAt(trueMs);
    this.#sleep = clock;
  }

  resume(trueMs: number): void {
    this.#breakAt(trueMs);
    this.#sleep = undefined;
  }

  /** A new process: its monotonic clock begins at 0, and the machine is awake. */
  restart(trueMs: number): void {
    this.#breakAt(trueMs);
    this.#monotonicMs = 0;
    this.#sleep = undefined;
  }

  #breakAt(trueMs: number): void {
    const [monotonicMs, wallMs] = [this.monotonicMs(trueMs), this.wallMs(trueMs)];
    this.#brokenMs = trueMs;
    this.#monotonicMs = monotonicMs;
    this.#wallMs = wallMs;
  }

  #passedMs(trueMs: number): number {
    invariant(trueMs >= this.#brokenMs, 'a clock is not asked about the past');
    return (trueMs - this.#brokenMs) * this.#rate;
  }
}

function rateOf(partsPerMillion: number): number {
  invariant(partsPerMillion > -PARTS, 'a clock runs forward');
  return 1 + partsPerMillion / PARTS;
}
