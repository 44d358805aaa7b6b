/**
 * The baseline: which runs are compared, and the figures that they had. A file that is committed, one line a run, so that
 * a change of it can be read in a review. Its own list of scenarios and seeds says what is run; a new one begins with one
 * seed of each scenario of the rotation. Limit: a scenario that is gone is found as a run that is gone.
 */
import { z } from 'zod';
import type { Baseline, BaselineEntry } from '../report/compare.ts';
import { type Checked, checkShape, exactly, readJson } from '../problem.ts';
import { seedNumber } from '../run-file.ts';
import { SCENARIOS, SWARM_ROTATION } from '../scenarios/index.ts';

/** Source: guess: what a machine of continuous integration runs in minutes. */
const ENTRIES_MAX = 1_000;
const FIRST_SEED = 1;

const BASELINE_SHAPE = z
  .array(
    exactly({
      scenario: z.string({ error: 'the name of a scenario' }),
      seed: seedNumber,
      figures: z.record(z.string(), z.number({ error: 'a number' }), { error: 'an object with numbers' }),
    }),
    { error: 'a list of runs' },
  )
  .max(ENTRIES_MAX, { error: `up to ${ENTRIES_MAX} runs` });

export type BaselineRun = Pick<BaselineEntry, 'scenario' | 'seed'>;

export function readBaseline(text: string): Checked<Baseline> {
  const json = readJson(text);
  return json.type === 'invalid' ? json : checkShape(BASELINE_SHAPE, json.value);
}

export function writeBaseline(baseline: Baseline): string {
  const lines = baseline.map((entry) => `  ${JSON.stringify(entry)}`).join(',\n');
  return baseline.length === 0 ? '[]\n' : `[\n${lines}\n]\n`;
}

/** What can be run of a baseline. */
export function runsOf(baseline: Baseline): readonly BaselineRun[] {
  return baseline.filter(({ scenario }) => SCENARIOS.has(scenario)).map(({ scenario, seed }) => ({ scenario, seed }));
}

/** For the first baseline. */
export function firstRuns(): readonly BaselineRun[] {
  return [...new Set(SWARM_ROTATION.map(({ name }) => name))].map((scenario) => ({ scenario, seed: FIRST_SEED }));
}
