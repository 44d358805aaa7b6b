/**
 * An hour with consumer machines, in which their owners live three: lids close and open, people play, some switch off for
 * the night, and now and then a machine restarts. Far longer than the others, so it is not in the rotation of seeds.
 * Gossip is aggregated, because an hour of every hop would cost much computing and change nothing about who is there.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const CHURN: Scenario = {
  ...BASE,
  name: 'churn',
  question: 'Does a mesh of machines whose owners close lids, play and go to bed keep answering?',
  nodes: 14,
  machines: { gaming: 3, mac: 3, laptop: 7, mini: 1 },
  // Nobody asks much at home.
  workload: { ...BASE.workload, load: 0.2, answerTokens: 120, answerTokensMax: 300 },
  gossip: 'aggregated',
  faults: {
    // Restarts, updates, crashes, a line that drops. Source: guess: each machine about once.
    perNodeHour: { leave: 0.4, crash: 0.3, 'power-loss': 0.1, loss: 0.3 },
    enable: 1,
    habitSpeed: 3,
  },
  startWithinMs: 60_000,
  faultsFromMs: 120_000,
  // Everybody is woken five minutes before the end, at once: the largest herd that a morning can bring.
  healAtMs: 3_300_000,
  durationMs: 3_600_000,
  drainMs: 120_000,
};
