/**
 * What do the scenarios have in common? Ten machines of a few homes with two models and usual home lines, for three and
 * a half minutes: short enough for hundreds of seeds, long enough for a death (15 s), its return and most of a minute of
 * requests after everything healed. Every scenario is a small difference from this one. The figures of lengths and
 * bursts are those of the placement study; those of lines and machines are guesses.
 */
import type { Scenario } from '../scenario.ts';

export const BASE: Scenario = {
  name: 'base',
  question: 'Does an ordinary mesh of ten machines work?',
  nodes: 10,
  // Source: guess: what people own.
  machines: { gaming: 3, mac: 3, laptop: 4, mini: 2 },
  nat: { public: 1 },
  bootstraps: 3,
  // Source: guess: a small model that most can hold, a larger one for a third of them.
  models: [
    { name: 'chat-8b', holders: 0.7, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 3 },
    { name: 'code-14b', holders: 0.4, contextTokens: 16_384, loadMs: 0, speed: 0.6, demand: 1 },
  ],
  workload: {
    arrivals: 'bursts',
    load: 0.4,
    followUps: 0.5,
    promptTokens: 300,
    // Source: the study's median of 120 tokens, shortened so that the slowest machine and the slowest reader end in the drain.
    answerTokens: 60,
    answerTokensMax: 160,
  },
  network: {
    // Source: the study's round trips of 10 to 90 ms.
    delayMsMin: 5,
    delayMsMax: 45,
    jitterMs: 3,
    loss: 0.005,
    lossBurstMs: 300,
    // Source: guess: 20 Mbit/s up, with a fifth of a second of buffer.
    bytesPerSecond: 2_500_000,
    queueMs: 200,
  },
  gossip: 'hop',
  faults: { perNodeHour: {}, enable: 1 },
  startWithinMs: 5_000,
  faultsFromMs: 20_000,
  healAtMs: 110_000,
  durationMs: 210_000,
  drainMs: 55_000,
};
