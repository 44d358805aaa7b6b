/**
 * Five machines, three quarters of a minute and a few crashes: whether the simulator works at all, in a second. For
 * continuous integration, for examples in documents, and for tests of the tools around it.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const SMOKE: Scenario = {
  ...BASE,
  name: 'smoke',
  question: 'Does a handful of machines answer at all, with a crash or two?',
  nodes: 5,
  bootstraps: 2,
  models: [{ name: 'chat-8b', holders: 1, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 1 }],
  workload: { ...BASE.workload, answerTokens: 30, answerTokensMax: 60 },
  faults: { perNodeHour: { crash: 60, pause: 40 }, enable: 1 },
  startWithinMs: 2_000,
  faultsFromMs: 8_000,
  healAtMs: 20_000,
  durationMs: 45_000,
  drainMs: 12_000,
};
