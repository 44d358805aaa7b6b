/**
 * A scenario whose numbers tests may rely on, whatever becomes of those that are run: 12 nodes, faults from 30 s to 180 s,
 * the end at 285 s.
 */
import { BASE } from '../../simulations/scenarios/base.ts';
import type { Scenario } from '../../simulations/scenario.ts';

export const EXAMPLE: Scenario = {
  ...BASE,
  name: 'example',
  nodes: 12,
  bootstraps: 3,
  nat: { public: 1 },
  models: [
    { name: 'chat-8b', holders: 0.7, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 3 },
    { name: 'code-14b', holders: 0.4, contextTokens: 16_384, loadMs: 0, speed: 0.6, demand: 1 },
  ],
  workload: {
    arrivals: 'bursts',
    load: 0.4,
    followUps: 0.5,
    promptTokens: 300,
    answerTokens: 60,
    answerTokensMax: 160,
  },
  network: { ...BASE.network, delayMsMin: 5, delayMsMax: 45 },
  gossip: 'hop',
  faults: { perNodeHour: {}, enable: 1 },
  startWithinMs: 10_000,
  faultsFromMs: 30_000,
  healAtMs: 180_000,
  durationMs: 285_000,
  drainMs: 60_000,
};
