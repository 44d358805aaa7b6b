import assert from 'node:assert/strict';
import { readBudgetMs, readCount, readSeed, readSeeds } from '../../../simulations/cli/amounts.ts';
import { type Checked, describeProblem } from '../../../simulations/problem.ts';

const READERS = {
  seed: readSeed,
  seeds: readSeeds,
  budget: readBudgetMs,
  jobs: (text: string) => readCount('jobs', text, { min: 1, max: 64 }),
} as const;

interface Case {
  readonly option: keyof typeof READERS;
  readonly text: string;
  /** What it means, or how it is refused. */
  readonly means: unknown;
}

/** The value, or the sentences that say what is wrong. */
function said(read: Checked<unknown>): unknown {
  return read.type === 'valid' ? read.value : read.problems.map(describeProblem).join('; ');
}

describe('what a person writes', () => {
  const cases: readonly Case[] = [
    { option: 'seed', text: '0', means: 0 },
    { option: 'seed', text: '9007199254740991', means: 9_007_199_254_740_991 },
    {
      option: 'seed',
      text: '9007199254740992',
      means: /^seed: expected a whole number from 0 to 9007199254740991, got/,
    },
    { option: 'seed', text: '-1', means: /^seed: expected a whole number .*, got -1$/ },
    { option: 'seed', text: '1.5', means: /^seed: expected a whole number .*, got 1.5$/ },
    { option: 'seed', text: '', means: /^seed: expected a whole number .*, got ""$/ },
    { option: 'seed', text: '0x10', means: /^seed: expected a whole number .*, got "0x10"$/ },
    { option: 'seeds', text: '7', means: { first: 7, last: 7 } },
    { option: 'seeds', text: '1..500', means: { first: 1, last: 500 } },
    { option: 'seeds', text: '3..3', means: { first: 3, last: 3 } },
    { option: 'seeds', text: '3..2', means: /^seeds: expected a seed, or a range/ },
    { option: 'seeds', text: '1..1000000', means: { first: 1, last: 1_000_000 } },
    { option: 'seeds', text: '1..1000001', means: /^seeds: expected .* up to 1000000 seeds, got "1..1000001"$/ },
    { option: 'seeds', text: '1-5', means: /^seeds: / },
    { option: 'seeds', text: '-1..5', means: /^seeds: / },
    { option: 'budget', text: '90s', means: 90_000 },
    { option: 'budget', text: '1.5m', means: 90_000 },
    { option: 'budget', text: '24h', means: 86_400_000 },
    { option: 'budget', text: '24.1h', means: /^budget: expected a time up to 24h/ },
    { option: 'budget', text: '0s', means: /^budget: / },
    { option: 'budget', text: '10', means: /^budget: / },
    { option: 'budget', text: '1d', means: /^budget: / },
    { option: 'jobs', text: '64', means: 64 },
    { option: 'jobs', text: '65', means: 'jobs: expected a whole number from 1 to 64, got 65' },
  ];
  for (const { option, text, means } of cases) {
    it(`as ${option} ${JSON.stringify(text)} is ${means instanceof RegExp || typeof means === 'string' ? 'refused' : 'read'}`, () => {
      const what = said(READERS[option](text));
      if (means instanceof RegExp) assert.match(String(what), means);
      else assert.deepEqual(what, means);
    });
  }
});
