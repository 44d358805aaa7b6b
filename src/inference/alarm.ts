/**
 * One timer for many sessions, each of which says when it wants to be woken. The timer is only ever moved forward to an
 * earlier moment; a session that puts its moment off (every token does) costs nothing, and the timer finds the next
 * moment by a sweep when it fires: thousands of sessions, a few sweeps a second.
 */

/** The time as the data plane sees it; tests bring their own. */
export interface PlaneClock {
  nowMs(): number;
  /** Calls once after `delayMs`, unless the returned function was called first. */
  after(delayMs: number, call: () => void): () => void;
  /** Calls once, after what runs now and before anything else that waits. */
  soon(call: () => void): void;
}

export interface Sleeper {
  /** Infinity = never. */
  readonly wakeAtMs: number;
  wake(nowMs: number): void;
}

/** Least time between two sweeps. Source: guess: a paced token may be this late. */
const SWEEP_MS_MIN = 2;

export class Alarm {
  readonly #clock: PlaneClock;
  readonly #sleepers: () => Iterable<Sleeper>;
  #setForMs = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  constructor(clock: PlaneClock, sleepers: () => Iterable<Sleeper>) {
    this.#clock = clock;
    this.#sleepers = sleepers;
  }

  /** Somebody wants to be woken at `atMs` at the latest. */
  by(atMs: number): void {
    if (atMs >= this.#setForMs) return;
    this.#cancel?.();
    this.#setForMs = atMs;
    this.#cancel = this.#clock.after(Math.max(SWEEP_MS_MIN, Math.ceil(atMs - this.#clock.nowMs())), () => {
      this.#cancel = undefined;
      this.#setForMs = Number.POSITIVE_INFINITY;
      this.#sweep();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    // Nothing is earlier than this: nobody can set it again.
    this.#setForMs = Number.NEGATIVE_INFINITY;
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const sleeper of this.#sleepers()) {
      if (sleeper.wakeAtMs <= nowMs) sleeper.wake(nowMs);
      earliestMs = Math.min(earliestMs, sleeper.wakeAtMs);
    }
    this.by(earliestMs);
  }
}
