/**
 * Which seeds once found something? `seeds.json` lists them with what they found, and they run for ever: a seed that
 * failed once is the cheapest test there is. An entry names its scenario, so that one that was renamed is noticed here.
 * Limit: a scenario that changes gives the old seed another run; what matters for good belongs in a test with its plan.
 */
import { z } from 'zod';
import { type Checked, type Problem, checkShape, checked, exactly, readJson } from './problem.ts';
import { seedNumber } from './run-file.ts';
import { SCENARIOS, scenarioNames } from './scenarios/index.ts';

export interface SeedEntry {
  readonly scenario: string;
  readonly seed: number;
  /** What it once found, as a sentence. */
  readonly found: string;
}

/** Source: guess: CI runs all of them. */
const SEEDS_MAX = 1_000;

const SEEDS_SHAPE = z
  .array(
    exactly({
      scenario: z.string({ error: 'the name of a scenario' }),
      seed: seedNumber,
      found: z.string({ error: 'what it found' }).min(1, { error: 'what it found' }),
    }),
    { error: 'a list of seeds' },
  )
  .max(SEEDS_MAX, { error: `up to ${SEEDS_MAX} seeds` });

export function readSeeds(text: string): Checked<readonly SeedEntry[]> {
  const json = readJson(text);
  if (json.type === 'invalid') return json;
  const shape = checkShape(SEEDS_SHAPE, json.value);
  if (shape.type === 'invalid') return shape;
  return checked(
    shape.value,
    shape.value.flatMap((entry, index) => [
      ...unknownScenario(entry, index),
      ...(shape.value.findIndex((other) => other.scenario === entry.scenario && other.seed === entry.seed) === index
        ? []
        : [
            {
              field: `[${index}]`,
              expected: 'each seed of a scenario once',
              got: `${entry.scenario} ${entry.seed} again`,
            },
          ]),
    ]),
  );
}

function unknownScenario({ scenario }: SeedEntry, index: number): readonly Problem[] {
  return SCENARIOS.has(scenario)
    ? []
    : [{ field: `[${index}].scenario`, expected: `one of ${scenarioNames().join(', ')}`, got: scenario }];
}
