/**
 * Time and randomness of a simulated world. True time is whole ms from the start of the run; what a node's own clocks say
 * is `node-clock.ts`. Equal times run in the order in which they were asked for.
 */

export interface Timer {
  readonly atMs: number;
}

export interface EventQueue {
  readonly nowMs: number;
  /** `atMs` in the past or now = as soon as what runs now is over, in order. */
  at(atMs: number, call: () => void): Timer;
  cancel(timer: Timer): void;
  /** Runs everything up to and including `untilMs`, then stands there. */
  run(untilMs: number): void;
}

/**
 * Randomness by name: the same (seed, purpose, entity) gives the same numbers whatever else happens in the run, so that
 * taking one fault out of a plan does not re-roll the rest.
 */
export interface KeyedRandom {
  /** An independent sequence, for example of ('jitter', 3, 7). */
  stream(purpose: string, ...entity: readonly number[]): RandomStream;
}

export interface RandomStream {
  /** Uniform in [0, 2^32). */
  uint32(): number;
  /** Uniform in [0, 1). */
  ratio(): number;
  /** A whole number in [0, limit). */
  below(limit: number): number;
  /** Exponential with this mean. */
  exponential(mean: number): number;
  /** Lognormal with this median and the standard deviation of its logarithm. */
  lognormal(median: number, sigma: number): number;
}
