/**
 * A whole run as a file: scenario, seed and plan of faults, replayed as it stands. It carries the scenario itself and not
 * its name, so that a run that once failed is still the same run after the scenario was changed. Written with one fault a
 * line, because people edit these by hand; read with every check that scenarios and plans have.
 */
import { z } from 'zod';
import { checkPlan } from './faults/fault-check.ts';
import type { FaultPlan } from './faults/fault.ts';
import { type Checked, checkShape, exactly, readJson, wholeNumber, within } from './problem.ts';
import { checkScenario } from './scenario-check.ts';
import type { Scenario } from './scenario.ts';

export interface RunFile {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly plan: FaultPlan;
}

export const seedNumber = wholeNumber(0, Number.MAX_SAFE_INTEGER);

/** What is missing is said by the checks of the parts. */
const RUN_SHAPE = exactly({ scenario: z.unknown().optional(), seed: seedNumber, plan: z.unknown().optional() });

function checkRun(input: unknown): Checked<RunFile> {
  const shape = checkShape(RUN_SHAPE, input);
  if (shape.type === 'invalid') return shape;
  const scenario = checkScenario(shape.value.scenario);
  if (scenario.type === 'invalid') return { type: 'invalid', problems: within('scenario', scenario.problems) };
  const plan = checkPlan(shape.value.plan, scenario.value);
  if (plan.type === 'invalid') return { type: 'invalid', problems: within('plan', plan.problems) };
  return { type: 'valid', value: { scenario: scenario.value, seed: shape.value.seed, plan: plan.value } };
}

export function readRun(text: string): Checked<RunFile> {
  const json = readJson(text);
  return json.type === 'invalid' ? json : checkRun(json.value);
}

export function writeRun({ scenario, seed, plan }: RunFile): string {
  const faults = plan.map((fault) => `    ${JSON.stringify(fault)}`).join(',\n');
  const list = plan.length === 0 ? '[]' : `[\n${faults}\n  ]`;
  const indented = JSON.stringify(scenario, undefined, 2).replaceAll('\n', '\n  ');
  return `{\n  "scenario": ${indented},\n  "seed": ${seed},\n  "plan": ${list}\n}\n`;
}
