/**
 * A thousand machines with a little of everything. Gossip is aggregated: every hop of it would be most of the computing.
 * What is asked is whether costs stay within their bounds and the dead are found, as load messages become rare.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const THOUSAND: Scenario = {
  ...BASE,
  name: 'thousand',
  question: 'With a thousand machines, are the dead still found, answers still quick and the traffic still small?',
  nodes: 1_000,
  bootstraps: 8,
  workload: { ...BASE.workload, load: 0.3, ingressNodes: 50 },
  gossip: 'aggregated',
  faults: { perNodeHour: { crash: 1, 'power-loss': 0.5, leave: 1, suspend: 1, slow: 1 }, enable: 1 },
  startWithinMs: 30_000,
  faultsFromMs: 40_000,
  healAtMs: 80_000,
  durationMs: 150_000,
};
