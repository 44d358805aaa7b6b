/**
 * Servers die in the middle of answers, one after the other and faster than the dead are noticed. Each client must still
 * read its whole answer, without a gap and without a word twice.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const FAILOVER_STORM: Scenario = {
  ...BASE,
  name: 'failover-storm',
  question:
    'When servers die one after the other in the middle of answers, does every client still read all of its own?',
  nodes: 14,
  models: [{ name: 'chat-8b', holders: 1, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 1 }],
  workload: { ...BASE.workload, answerTokens: 120, answerTokensMax: 200, load: 0.35 },
  faults: {
    perNodeHour: { crash: 15, 'power-loss': 10, leave: 8, pause: 8, suspend: 4, 'disk-full': 3, 'version-skew': 2 },
    enable: 0.7,
  },
};
