/**
 * On how many threads should a model run? llama.cpp's threads wait for each other after every operation, and spin while
 * they wait: one that shares its core with another program makes all of them as slow as itself (measured: two threads on
 * two busy cores had 5 tokens a second, one had 3,142). So one core stays free for everything else, and when others take
 * more than that, threads leave their cores to them. What is free is measured, because a load average counts what waits,
 * also for a disk, and remembers for minutes. Leaving is immediate, coming back is one thread at a time, so that two
 * models that measure each other come to share the cores.
 * Limits: hyper-threads of a core count as one; a burst between two looks is seen too late.
 */
import { invariant } from '../../assert.ts';

/** What happened on this machine since the last look. */
export interface CoreUse {
  readonly elapsedMs: number;
  /** All programs, on all cores. */
  readonly busyMs: number;
  /** This process. */
  readonly ownMs: number;
}

export class ThreadCount {
  readonly #threadsMax: number;
  readonly #cores: number;
  #threads: number;

  /** `physicalCores` of the machine, `availableCores` of them (hyper-threads too) that this process may use. */
  constructor({ physicalCores, availableCores }: { readonly physicalCores: number; readonly availableCores: number }) {
    invariant(physicalCores >= 1 && availableCores >= 1, 'there is a core');
    this.#cores = Math.min(physicalCores, availableCores);
    this.#threadsMax = Math.max(1, this.#cores - 1);
    this.#threads = this.#threadsMax;
  }

  get threads(): number {
    return this.#threads;
  }

  look({ elapsedMs, busyMs, ownMs }: CoreUse): number {
    if (elapsedMs <= 0) return this.#threads;
    const others = Math.max(0, busyMs - ownMs) / elapsedMs;
    // Half a core of others is what every machine has.
    const free = Math.max(1, Math.round(this.#cores - others));
    this.#threads = Math.min(this.#threadsMax, free, this.#threads + 1);
    return this.#threads;
  }
}
