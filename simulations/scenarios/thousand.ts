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
  faults: { perNodeHour: { crash: 1.5, 'power-loss': 0.7, leave: 1.5, suspend: 1.5, slow: 1.5 }, enable: 1 },
  startWithinMs: 20_000,
  faultsFromMs: 30_000,
  healAtMs: 60_000,
  durationMs: 120_000,
};
