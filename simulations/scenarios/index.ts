/**
 * Which scenarios are there, and which of them does a seed of the swarm run? Every scenario by its name, and the rotation:
 * seed i runs the scenario in place i mod n, so that any row of consecutive seeds sees them all. In the rotation are the
 * short ones; `anything` is there twice, because most of what nobody thought of is found by it.
 */
import { invariant } from '../../src/assert.ts';
import type { Scenario } from '../scenario.ts';
import { ANYTHING } from './anything.ts';
import { CHURN } from './churn.ts';
import { FAILOVER_STORM } from './failover-storm.ts';
import { FLASH_CROWD } from './flash-crowd.ts';
import { HERD } from './herd.ts';
import { LIARS } from './liars.ts';
import { NAT_EVENING } from './nat-evening.ts';
import { PARTITION } from './partition.ts';
import { SLOW_AND_GRAY } from './slow-and-gray.ts';
import { SMOKE } from './smoke.ts';
import { STEADY } from './steady.ts';
import { THOUSAND } from './thousand.ts';

const ALL: readonly Scenario[] = [
  STEADY,
  CHURN,
  PARTITION,
  FLASH_CROWD,
  HERD,
  FAILOVER_STORM,
  SLOW_AND_GRAY,
  LIARS,
  NAT_EVENING,
  THOUSAND,
  ANYTHING,
  SMOKE,
];

export const SCENARIOS: ReadonlyMap<string, Scenario> = new Map(ALL.map((scenario) => [scenario.name, scenario]));

export const SWARM_ROTATION: readonly Scenario[] = [
  STEADY,
  ANYTHING,
  PARTITION,
  FAILOVER_STORM,
  SLOW_AND_GRAY,
  FLASH_CROWD,
  ANYTHING,
  LIARS,
  NAT_EVENING,
  HERD,
];

export function scenarioNames(): readonly string[] {
  return [...SCENARIOS.keys()].toSorted();
}

/** The scenario that this seed of the swarm runs. */
export function swarmScenario(seed: number): Scenario {
  const scenario = SWARM_ROTATION[seed % SWARM_ROTATION.length];
  invariant(scenario !== undefined, 'a seed is a whole number from 0');
  return scenario;
}

invariant(SCENARIOS.size === ALL.length, 'every scenario has a name of its own');
