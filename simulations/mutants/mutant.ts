/**
 * A deliberate bug of the core, as data: what a careless engineer might do, the text of one source file that it changes,
 * the small world in which it must show, and the checkers that must see it there. A checker that no mutant sets off may
 * be blind; a mutant that sets nothing off shows what nobody looks at, and is no mutant of this gate before somebody does. The text is replaced when the file is loaded, in a
 * process of its own, and must occur exactly once: a change of the core that makes a mutant void is noticed so.
 */
import type { FaultPlan } from '../faults/fault.ts';

/** A small world: a scenario, what is different from it, and what goes wrong. */
export interface Trial {
  readonly name: string;
  /** What of the core it puts to the test. */
  readonly about: string;
  readonly scenario: string;
  readonly seed: number;
  /** As after `--set`: field=value. */
  readonly overrides: readonly string[];
  /** Written by hand, because what the seed draws would seldom hit; undefined = drawn from the seed. */
  readonly plan?: FaultPlan;
}

export interface Edit {
  /** Below the root of the repository. */
  readonly file: string;
  /** Occurs there exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Edit {
  readonly name: string;
  /** What was forgotten or misread. */
  readonly bug: string;
  readonly trial: Trial;
  /** Any of these checkers must see it. */
  readonly expected: readonly [string, ...string[]];
}
