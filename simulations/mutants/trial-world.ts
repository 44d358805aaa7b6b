/**
 * A trial as a run: its scenario with what is different, and its plan, checked as everything is that was written by hand.
 */
import { CHECKERS } from '../checkers/index.ts';
import { checkPlan } from '../faults/fault-check.ts';
import { type Checked, describeProblem } from '../problem.ts';
import type { RunOptions } from '../run.ts';
import { withOverrides } from '../scenario-check.ts';
import type { Scenario } from '../scenario.ts';
import { SCENARIOS } from '../scenarios/index.ts';
import { seededRun } from '../seeded-run.ts';
import type { Trial } from './mutant.ts';

export type LoadedTrial =
  | { readonly type: 'valid'; readonly options: Omit<RunOptions, 'commit' | 'reproduce'> }
  | { readonly type: 'invalid'; readonly reason: string };

export function loadTrial({ scenario: name, seed, overrides, plan }: Trial): LoadedTrial {
  const named = SCENARIOS.get(name);
  if (named === undefined) return { type: 'invalid', reason: `there is no scenario ${name}` };
  const scenario = withOverrides(named, overrides);
  if (scenario.type === 'invalid') return refused(scenario);
  if (plan === undefined) return valid(scenario.value, { seed, plan: seededRun(scenario.value, seed).plan });
  const checkedPlan = checkPlan(plan, scenario.value);
  return checkedPlan.type === 'invalid'
    ? refused(checkedPlan)
    : valid(scenario.value, { seed, plan: checkedPlan.value });
}

function valid(scenario: Scenario, run: Pick<RunOptions, 'seed' | 'plan'>): LoadedTrial {
  return { type: 'valid', options: { scenario, ...run, checkers: CHECKERS } };
}

function refused({ problems }: Extract<Checked<unknown>, { type: 'invalid' }>): LoadedTrial {
  return { type: 'invalid', reason: problems.map(describeProblem).join('; ') };
}
