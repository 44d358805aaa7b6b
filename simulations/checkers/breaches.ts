/**
 * What a checker has to say, kept short: each kind of breach is reported at most `BREACHES_MAX` times, because the first
 * few say what is wrong and a run of hours would say it a million times. Which of them come first is the order of the
 * trace, so that two runs of one seed report the same.
 */
import type { CheckContext, Violation } from '../checker.ts';

/** Source: guess: more than a person reads. */
export const BREACHES_MAX = 20;

export class Breaches {
  readonly #context: Pick<CheckContext, 'report'>;
  readonly #counts = new Map<string, number>();

  constructor(context: Pick<CheckContext, 'report'>) {
    this.#context = context;
  }

  /** `kind` is a constant word of the checker. */
  add(kind: string, violation: Omit<Violation, 'id'>): void {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    if (count > BREACHES_MAX) return;
    this.#counts.set(kind, count);
    this.#context.report(violation);
  }
}
