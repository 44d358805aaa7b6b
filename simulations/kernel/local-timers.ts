/**
 * The timers of one simulated process, on its own monotonic clock: they do not fire while it stands still, and those that
 * came due meanwhile fire at once, in order, when it goes on. One event of the world's queue stands for the earliest.
 * Few are alive at a time (an alarm or two and what a process is waiting for), so that a sorted list is enough.
 */
import type { EventQueue, Timer } from './kernel-port.ts';

/** What the timers need of the process's clock. */
export interface LocalClock {
  monotonicMs(trueMs: number): number;
  /** When the monotonic clock will say so; Infinity while it halts. */
  trueMsWhen(monotonicMs: number, trueNowMs: number): number;
}

interface LocalTimer {
  readonly atMs: number;
  readonly order: number;
  readonly call: () => void;
}

export class LocalTimers {
  readonly #queue: EventQueue;
  readonly #clock: LocalClock;
  /** Latest first. */
  readonly #timers: LocalTimer[] = [];
  readonly #onFire = (): void => this.#fire();
  #order = 0;
  #standing = false;
  #armed: { readonly timer: Timer; readonly atMs: number } | undefined;

  constructor(queue: EventQueue, clock: LocalClock) {
    this.#queue = queue;
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.monotonicMs(this.#queue.nowMs);
  }

  /** Calls at that moment of the local clock, unless the returned function was called before. */
  at(atMs: number, call: () => void): () => void {
    this.#order += 1;
    const timer = { atMs, order: this.#order, call };
    const timers = this.#timers;
    timers.push(timer);
    let index = timers.length - 1;
    for (
      let before = timers[index - 1];
      before !== undefined && comesBefore(before, timer);
      before = timers[index - 1]
    ) {
      timers[index] = before;
      index -= 1;
    }
    timers[index] = timer;
    if (index === timers.length - 1) this.#arm();
    return () => {
      const found = timers.indexOf(timer);
      if (found >= 0) timers.splice(found, 1);
    };
  }

  /** The process stands still. */
  halt(): void {
    this.#standing = true;
    this.#disarm();
  }

  /** It goes on; also after the clock's rate changed. */
  goOn(): void {
    this.#standing = false;
    this.#disarm();
    this.#arm();
  }

  /** The process is gone. */
  clear(): void {
    this.#timers.length = 0;
    this.#disarm();
  }

  #arm(): void {
    const next = this.#timers.at(-1);
    if (next === undefined || this.#standing) return;
    if (this.#armed !== undefined && this.#armed.atMs <= next.atMs) return;
    this.#disarm();
    const trueMs = this.#clock.trueMsWhen(next.atMs, this.#queue.nowMs);
    if (!Number.isFinite(trueMs)) return;
    this.#armed = { timer: this.#queue.at(Math.ceil(trueMs), this.#onFire), atMs: next.atMs };
  }

  #disarm(): void {
    if (this.#armed !== undefined) this.#queue.cancel(this.#armed.timer);
    this.#armed = undefined;
  }

  #fire(): void {
    this.#armed = undefined;
    const nowMs = this.nowMs();
    for (let next = this.#timers.at(-1); next !== undefined && next.atMs <= nowMs; next = this.#timers.at(-1)) {
      this.#timers.pop();
      next.call();
      if (this.#standing) return;
    }
    this.#arm();
  }
}

function comesBefore(left: LocalTimer, right: LocalTimer): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}
