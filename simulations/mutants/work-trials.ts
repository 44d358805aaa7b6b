/**
 * The small worlds in which mutants of placement and of requests are tried. Like those of membership (`mesh-trials.ts`), each
 * is a handful of machines for a minute or so, as quiet as it can be but for the one thing that it is about, so that a trial
 * costs a few seconds and what a checker sees has one cause. The core itself must keep every promise in all of them; the
 * gate asks that first.
 */
import type { Trial } from './mutant.ts';

const SCENARIO = 'smoke';
const LOSSLESS = 'network.loss=0';
const EVENLY = 'workload.arrivals=steady';

export const CRUSHED: Trial = {
  name: 'crushed',
  about: 'four laptops are asked forty times what they can do',
  scenario: SCENARIO,
  seed: 3,
  overrides: ['machines={"laptop":1}', 'nodes=4', 'workload.load=1', EVENLY, 'healAtMs=30000', 'durationMs=40000'],
  plan: [{ kind: 'flash-crowd', factor: 40, atMs: 10_000, durationMs: 15_000 }],
};

export const CROWDED: Trial = {
  name: 'crowded',
  about: 'a crowd comes for five seconds, and goes',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    'machines={"gaming":1}',
    'nodes=4',
    'workload.load=0.4',
    EVENLY,
    'faultsFromMs=25000',
    'healAtMs=36000',
    'durationMs=80000',
  ],
  plan: [{ kind: 'flash-crowd', factor: 25, atMs: 30_000, durationMs: 5_000 }],
};

export const CUT_SHORT: Trial = {
  name: 'cut-short',
  about: 'machines lose their power in the middle of answers',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    'machines={"mac":1}',
    'nodes=4',
    LOSSLESS,
    'workload.load=0.5',
    'workload.answerTokens=120',
    'workload.answerTokensMax=200',
    EVENLY,
    'healAtMs=70000',
    'durationMs=110000',
    'drainMs=35000',
  ],
  plan: [
    { kind: 'power-loss', node: 1, atMs: 16_000, durationMs: 16_000 },
    { kind: 'power-loss', node: 2, atMs: 34_000, durationMs: 16_000 },
    { kind: 'power-loss', node: 3, atMs: 52_000, durationMs: 16_000 },
  ],
};

export const PLAYED_ON: Trial = {
  name: 'played-on',
  about: 'the owner of a machine plays for most of a minute: what it accepted gets no first token',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    'machines={"mac":1}',
    'nodes=4',
    LOSSLESS,
    'workload.load=0.1',
    EVENLY,
    'workload.promptTokens=2',
    'workload.answerTokens=5',
    'workload.answerTokensMax=10',
    'faultsFromMs=12000',
    'healAtMs=60000',
    'durationMs=70000',
    'drainMs=9000',
  ],
  plan: [{ kind: 'slow', node: 3, factor: 1_000, atMs: 12_000, durationMs: 48_000 }],
};

export const LONG_ANSWERS: Trial = {
  name: 'long-answers',
  about: 'answers longer than what a client takes at once',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    'machines={"mac":1}',
    'nodes=4',
    LOSSLESS,
    'workload.load=0.3',
    'workload.answerTokens=400',
    'workload.answerTokensMax=500',
    EVENLY,
    'durationMs=100000',
    'drainMs=45000',
  ],
  plan: [],
};

export const IMPATIENT: Trial = {
  name: 'impatient',
  about: 'some clients go away in the middle of their answers',
  scenario: SCENARIO,
  seed: 2,
  overrides: [
    'machines={"gaming":1}',
    LOSSLESS,
    'workload.load=0.5',
    'workload.answerTokens=300',
    'workload.answerTokensMax=400',
    EVENLY,
    'durationMs=60000',
  ],
  plan: [],
};

export const BUSY: Trial = {
  name: 'busy',
  about: 'thirty short requests a second at six entrances',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    'machines={"gaming":1}',
    'nodes=6',
    'workload.load=0.6',
    EVENLY,
    'workload.answerTokens=20',
    'workload.answerTokensMax=40',
    'workload.promptTokens=60',
    'workload.followUps=0',
    'durationMs=50000',
  ],
  plan: [],
};

export const BOASTED: Trial = {
  name: 'boasted',
  about: 'one machine of nine says for minutes that it is idle and twenty times as fast as it is',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    'machines={"mac":1}',
    'nodes=9',
    'workload.load=0.2',
    EVENLY,
    'workload.followUps=0',
    'workload.answerTokensMax=60',
    'faultsFromMs=20000',
    'healAtMs=185000',
    'durationMs=190000',
    'drainMs=5000',
  ],
  plan: [{ kind: 'liar', lie: 'load', node: 5, atMs: 20_000, durationMs: 165_000 }],
};

export const ONE_DOOR: Trial = {
  name: 'one-door',
  about: 'thirty requests a second at one entrance, and a round trip of a quarter of a second to everybody else',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    'machines={"gaming":1}',
    'nodes=24',
    'gossip=aggregated',
    'network.delayMsMin=100',
    'network.delayMsMax=150',
    'workload.ingressNodes=1',
    'workload.load=0.4',
    EVENLY,
    'workload.followUps=0',
    'workload.promptTokens=60',
    'workload.answerTokens=30',
    'workload.answerTokensMax=60',
    'healAtMs=15000',
    'durationMs=40000',
    'drainMs=5000',
  ],
  plan: [],
};

export const NEWS: Trial = {
  name: 'news',
  about: 'one machine of forty says that it is idle and twenty times as fast as it is, and nobody has measured it yet',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    'machines={"mac":1}',
    'nodes=40',
    'gossip=aggregated',
    'workload.load=0.5',
    EVENLY,
    'workload.followUps=0',
    'workload.promptTokens=60',
    'workload.answerTokensMax=60',
    'faultsFromMs=5000',
    'healAtMs=20000',
    'durationMs=25000',
    'drainMs=5000',
  ],
  plan: [{ kind: 'liar', lie: 'load', node: 5, atMs: 5_000, durationMs: 15_000 }],
};

export const LEAVING: Trial = {
  name: 'leaving',
  about: 'an owner ends a machine that is at work',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    'machines={"gaming":1}',
    'nodes=4',
    LOSSLESS,
    'workload.load=0.7',
    EVENLY,
    'workload.answerTokens=80',
    'workload.answerTokensMax=200',
    'healAtMs=50000',
    'durationMs=80000',
    'drainMs=25000',
  ],
  plan: [{ kind: 'leave', node: 2, atMs: 20_000, durationMs: 25_000 }],
};

export const SKEWED: Trial = {
  name: 'skewed',
  about: 'one node runs other protocol parameters for a while',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    'machines={"mac":1}',
    'nodes=4',
    LOSSLESS,
    'workload.load=0.3',
    EVENLY,
    'healAtMs=40000',
    'durationMs=65000',
  ],
  plan: [{ kind: 'version-skew', node: 2, atMs: 10_000, durationMs: 30_000 }],
};

export const TWO_MODELS: Trial = {
  name: 'two-models',
  about: 'two models, each held by a part of the nodes',
  scenario: 'steady',
  seed: 1,
  overrides: ['nodes=6', LOSSLESS, EVENLY, 'faultsFromMs=10000', 'healAtMs=20000', 'durationMs=60000', 'drainMs=30000'],
  plan: [],
};
