/**
 * The small worlds in which mutants of membership are tried: nobody asks for an answer, and what happens to the mesh has one
 * cause. What all trials have in common is said in `work-trials.ts`, whose worlds have work to do.
 */
import type { Trial } from './mutant.ts';

const SCENARIO = 'smoke';
const NOBODY_ASKS: readonly string[] = ['workload.arrivals=none', 'workload.load=0'];
const LOSSLESS = 'network.loss=0';

export const SHUFFLED: Trial = {
  name: 'shuffled',
  about: 'lossy lines with much jitter: messages of one author overtake each other',
  scenario: SCENARIO,
  seed: 1,
  overrides: [
    ...NOBODY_ASKS,
    'nodes=9',
    'network.loss=0.1',
    'network.jitterMs=60',
    'healAtMs=15000',
    'durationMs=20000',
    'drainMs=5000',
  ],
  plan: [],
};

export const TORN: Trial = {
  name: 'torn',
  about: 'two halves hold each other for dead, then meet again',
  scenario: SCENARIO,
  seed: 1,
  overrides: [...NOBODY_ASKS, LOSSLESS, 'nodes=6', 'healAtMs=45000', 'durationMs=60000'],
  plan: [
    {
      kind: 'partition',
      groups: [
        [0, 1, 2],
        [3, 4, 5],
      ],
      direction: 'both',
      atMs: 20_000,
      durationMs: 25_000,
    },
  ],
};

export const FORGED: Trial = {
  name: 'forged',
  about: "one member speaks in the others' names",
  scenario: SCENARIO,
  seed: 1,
  overrides: [...NOBODY_ASKS, 'healAtMs=14000', 'durationMs=15000', 'drainMs=1000'],
  plan: [{ kind: 'liar', node: 4, lie: 'forge', atMs: 9_000, durationMs: 5_000 }],
};

export const FROZEN: Trial = {
  name: 'frozen',
  about: 'a process stands still for more than a minute and then reads what had come',
  scenario: SCENARIO,
  seed: 1,
  overrides: [...NOBODY_ASKS, 'nodes=4', 'healAtMs=100000', 'durationMs=110000'],
  plan: [{ kind: 'pause', node: 3, atMs: 20_000, durationMs: 80_000 }],
};

export const ASLEEP: Trial = {
  name: 'asleep',
  about: 'two lids are closed for a while; one monotonic clock goes on, the other stands still',
  scenario: SCENARIO,
  seed: 1,
  overrides: ['nodes=5', 'workload.load=0.2', 'healAtMs=50000', 'durationMs=75000'],
  plan: [
    { kind: 'suspend', node: 3, clock: 'halts', atMs: 15_000, durationMs: 10_000 },
    { kind: 'suspend', node: 4, clock: 'counts', atMs: 30_000, durationMs: 20_000 },
  ],
};

export const STALLED: Trial = {
  name: 'stalled',
  about: 'two processes stand still for four seconds, shorter than a sleep and longer than a suspicion',
  scenario: SCENARIO,
  seed: 1,
  overrides: [...NOBODY_ASKS, 'nodes=5', 'healAtMs=80000', 'durationMs=90000'],
  plan: [
    { kind: 'pause', node: 3, atMs: 70_000, durationMs: 4_000 },
    { kind: 'pause', node: 4, atMs: 70_000, durationMs: 4_000 },
  ],
};

export const KILLED: Trial = {
  name: 'killed',
  about: 'one process is killed and its connections are reset',
  scenario: SCENARIO,
  seed: 1,
  overrides: [...NOBODY_ASKS, LOSSLESS, 'healAtMs=30000', 'durationMs=40000'],
  plan: [{ kind: 'crash', node: 3, state: 'kept', atMs: 20_000, durationMs: 10_000 }],
};

export const SLANDERED: Trial = {
  name: 'slandered',
  about: 'one member accuses all others',
  scenario: SCENARIO,
  seed: 1,
  overrides: [...NOBODY_ASKS, LOSSLESS, 'healAtMs=90000', 'durationMs=95000'],
  plan: [{ kind: 'liar', node: 4, lie: 'accuse', atMs: 68_000, durationMs: 20_000 }],
};

export const FLOODED: Trial = {
  name: 'flooded',
  about: 'one member sends a hundred messages a second',
  scenario: SCENARIO,
  seed: 1,
  overrides: [...NOBODY_ASKS, 'nodes=6', 'healAtMs=60000', 'durationMs=62000'],
  plan: [{ kind: 'liar', node: 4, lie: 'flood', atMs: 10_000, durationMs: 50_000 }],
};

export const QUIET: Trial = {
  name: 'quiet',
  about: 'nothing happens for two minutes',
  scenario: SCENARIO,
  seed: 1,
  overrides: [...NOBODY_ASKS, LOSSLESS, 'nodes=4', 'healAtMs=110000', 'durationMs=120000'],
  plan: [],
};
