/**
 * How much may one schema cost? Schemas come from clients. So the parts that can become long count what they do (terms, members
 * compared, leads, letters, elements of rules; about a microsecond each at most) against one sum, and stop when it is spent:
 * the same schema is always either compiled or refused, on every machine. A brief look has a much smaller sum, for where nobody
 * may wait: what it cannot finish is not refused, but left to somebody with more time.
 * Limits: units are not equally long; the sums are chosen by the slowest schemas that are known.
 */

const WORK_MAX = {
  /** Source: measured: the slowest known schema takes 0.3 s of a quiet processor, in a thread where nobody waits for it. An enum
   *  of 4,000 values, an object of 500 optional properties or of 40 strings with formats and patterns needs less. */
  whole: 400_000,
  /** Source: measured: 2 to 5 ms. Enough for an object of fifteen optional members, or a hundred required ones, without formats or
   *  fractions; anything that allows any value needs more. */
  brief: 4_000,
} as const;

export class Work {
  #left: number;
  /** Too little for the constants that are worked out once (`strings.ts`). */
  readonly isBrief: boolean;

  constructor(kind: keyof typeof WORK_MAX = 'whole') {
    this.#left = WORK_MAX[kind];
    this.isBrief = kind === 'brief';
  }

  /** What is left to do is too much. */
  giveUp(): void {
    this.#left = -1;
  }

  spend(units: number): void {
    this.#left -= units;
  }

  get isSpent(): boolean {
    return this.#left < 0;
  }
}
