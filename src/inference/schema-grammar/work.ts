/**
 * How much may one schema cost? Schemas come from clients. So the parts that can become long count what they do (terms, members
 * compared, leads, letters, elements of rules; about a microsecond each at most) against one sum, and stop when it is spent:
 * the same schema is always either compiled or refused, on every machine.
 * Limits: units are not equally long; `WORK_MAX` is chosen by the slowest schemas that are known. It is more than an event loop
 * can wait for: a node compiles in a thread (`grammar-workshop.io.ts`).
 */

/** Source: measured: the slowest known schema takes 0.3 s of a quiet processor. An enum of 4,000 values, an object of 500 optional
 *  properties, or some forty strings with a format and a pattern each, need less. */
const WORK_MAX = 400_000;

export class Work {
  #left = WORK_MAX;

  spend(units: number): void {
    this.#left -= units;
  }

  get isSpent(): boolean {
    return this.#left < 0;
  }
}
