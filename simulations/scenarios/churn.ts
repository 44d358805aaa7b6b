/**
 * Three hours of consumer machines: lids close and open, people play, some switch off for the night, and now and then a
 * machine restarts. As slow as life rather than dense, so it is not in the rotation of seeds. Gossip is
 * aggregated, because three hours of every hop would cost minutes of computing and change nothing about who is there.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const CHURN: Scenario = {
  ...BASE,
  name: 'churn',
  question: 'Does a mesh of machines whose owners close lids, play and go to bed keep answering?',
  nodes: 18,
  machines: { gaming: 4, mac: 4, laptop: 8, mini: 2 },
  // Nobody asks much at home.
  workload: { ...BASE.workload, load: 0.2, answerTokens: 120, answerTokensMax: 300 },
  gossip: 'aggregated',
  faults: {
    // Restarts, updates, crashes, a line that drops. Source: guess: each machine about once in an evening.
    perNodeHour: { leave: 0.15, crash: 0.1, 'power-loss': 0.03, loss: 0.1 },
    enable: 1,
    habitSpeed: 1,
  },
  startWithinMs: 60_000,
  faultsFromMs: 120_000,
  // Everybody is woken ten minutes before the end, at once: the largest herd that a morning can bring.
  healAtMs: 10_200_000,
  durationMs: 10_800_000,
  drainMs: 120_000,
};
