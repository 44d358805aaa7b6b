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
  nodes: 12,
  models: [{ name: 'chat-8b', holders: 1, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 1 }],
  workload: { ...BASE.workload, answerTokens: 120, answerTokensMax: 200, load: 0.35 },
  faults: {
    perNodeHour: { crash: 20, 'power-loss': 14, leave: 10, pause: 12, suspend: 6, 'disk-full': 5, 'version-skew': 3 },
    enable: 0.7,
  },
};
