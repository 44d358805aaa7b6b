/**
 * "Within so much time at p99" as a verdict: of all trials at most one in a hundred may be late. A trial is one incident
 * (a crash, an interruption), and its observers share its fate, so a trial counts as late by the share of its observers
 * that were: 7 of 9 are 0.78. The promise is broken when the 99 % lower bound of the late ones exceeds what is allowed;
 * one wholly late trial out of one is just enough.
 */
import { poissonLowerBound } from './poisson.ts';

export class LateShare {
  readonly #allowed: number;
  #trials = 0;
  #late = 0;

  constructor(allowed = 0.01) {
    this.#allowed = allowed;
  }

  get trials(): number {
    return this.#trials;
  }

  get late(): number {
    return this.#late;
  }

  add(lateShare: number): void {
    this.#trials += 1;
    this.#late += lateShare;
  }

  get isExceeded(): boolean {
    return poissonLowerBound(this.#late) > this.#allowed * this.#trials;
  }

  /** "3.0 of 4 late, allowed 1 %". */
  get text(): string {
    return `${this.#late.toFixed(1)} of ${this.#trials} late, allowed ${this.#allowed * 100} %`;
  }
}
