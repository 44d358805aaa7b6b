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
  nodes: 20,
  machines: { server: 1, gaming: 4, mac: 4, laptop: 8, mini: 3 },
  models: [{ name: 'chat-8b', holders: 1, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 1 }],
  workload: { ...BASE.workload, load: 0.7 },
  network: { ...BASE.network, delayMsMin: 40, delayMsMax: 150, jitterMs: 10 },
  faults: { perNodeHour: { 'flash-crowd': 0.5, delay: 4, slow: 2 }, enable: 0.5 },
  durationMs: 255_000,
  healAtMs: 150_000,
};
