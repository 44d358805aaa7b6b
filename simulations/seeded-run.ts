/**
 * Which run is a seed? The plan of faults is drawn before the run, from the same randomness that the world then uses, so
 * that a scenario and a seed are the whole run, and the file of it (`run-file.ts`) is the same run written down. The name
 * of the scenario is part of the randomness: seed 7 of one scenario has nothing in common with seed 7 of another.
 */
import { generatePlan } from './faults/fault-plan.ts';
import { SeededRandom } from './kernel/keyed-random.ts';
import type { RunFile } from './run-file.ts';
import type { Scenario } from './scenario.ts';

export function seededRun(scenario: Scenario, seed: number): RunFile {
  return { scenario, seed, plan: generatePlan({ scenario, random: new SeededRandom(worldSeed(scenario, seed)) }) };
}

export function worldSeed({ name }: Pick<Scenario, 'name'>, seed: number): string {
  return `${name}/${seed}`;
}
