/**
 * T: how often the nodes of a scenario tell their load, by the production cadence. It depends on the size of the mesh and of a load
 * message, which has a row for each model of its author; the largest there is sets the pace of the slowest.
 */
import { loadIntervalMs } from '../../src/gossip/cadence.ts';
import type { Scenario } from '../scenario.ts';

/** Source: measured: 146 bytes with one model, 216 with six. */
const BYTES_WITHOUT_MODELS = 132;
const BYTES_PER_MODEL = 14;

export function scenarioIntervalMs({ nodes, models }: Pick<Scenario, 'nodes' | 'models'>): number {
  return loadIntervalMs(nodes, BYTES_WITHOUT_MODELS + BYTES_PER_MODEL * Math.max(1, models.length));
}
