/**
 * Requests enter everywhere, at machines whose pictures of the load are old by the same delay, and the machines differ
 * twenty times in speed. Whoever sends to the least loaded in such a picture sends everything to the same place.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const HERD: Scenario = {
  ...BASE,
  name: 'herd',
  question: 'Do many entrances with the same old picture of the load send all their work to the same machine?',
  nodes: 14,
  machines: { server: 1, gaming: 3, mac: 3, laptop: 5, mini: 2 },
  models: [{ name: 'chat-8b', holders: 1, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 1 }],
  workload: { ...BASE.workload, arrivals: 'steady', load: 0.6 },
  network: { ...BASE.network, delayMsMin: 40, delayMsMax: 150, jitterMs: 10 },
  faults: { perNodeHour: { delay: 8, slow: 4 }, enable: 0.5 },
};
