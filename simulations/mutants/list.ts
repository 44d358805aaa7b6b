/**
 * Every mutant that the gate tries, each under a name of its own. They are kept apart by the part of the core that they
 * change; a new one is an entry in one of those files and, where no trial fits, a small world in `mesh-trials.ts` or `work-trials.ts`.
 */
import { invariant } from '../../src/assert.ts';
import { MEMBERSHIP_MUTANTS } from './membership-mutants.ts';
import type { Mutant } from './mutant.ts';
import { PLACEMENT_MUTANTS } from './placement-mutants.ts';
import { REQUEST_MUTANTS } from './request-mutants.ts';

export const MUTANTS: readonly Mutant[] = [...MEMBERSHIP_MUTANTS, ...PLACEMENT_MUTANTS, ...REQUEST_MUTANTS];

invariant(new Set(MUTANTS.map(({ name }) => name)).size === MUTANTS.length, 'every mutant has a name of its own');
