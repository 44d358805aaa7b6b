import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describeProblem } from '../../simulations/problem.ts';
import { readSeeds } from '../../simulations/seeds.ts';

describe('the seeds that once found something', () => {
  it('are a good list in the repository', () => {
    const result = readSeeds(readFileSync(new URL('../../simulations/seeds.json', import.meta.url), 'utf8'));
    assert.equal(result.type, 'valid', JSON.stringify(result));
  });

  it('are read with what they found', () => {
    const entries = [{ scenario: 'smoke', seed: 7, found: 'a token twice' }];
    assert.deepEqual(readSeeds(JSON.stringify(entries)), { type: 'valid', value: entries });
  });

  it('say what is wrong with them', () => {
    const good = { scenario: 'smoke', seed: 7, found: 'a token twice' };
    const cases: readonly (readonly [text: string, problem: RegExp])[] = [
      ['[', /^expected JSON, got /],
      ['{}', /^expected a list of seeds, got \{\}$/],
      [JSON.stringify([{ ...good, scenario: 'smok' }]), /^\[0\]\.scenario: expected one of .*smoke.*, got smok$/],
      [JSON.stringify([{ ...good, seed: -7 }]), /^\[0\]\.seed: expected a whole number/],
      [JSON.stringify([{ ...good, found: '' }]), /^\[0\]\.found: expected what it found, got ""$/],
      [JSON.stringify([good, { ...good, seed: 8 }, good]), /^\[2\]: expected each seed .*, got smoke 7 again$/],
    ];
    for (const [text, problem] of cases) {
      const result = readSeeds(text);
      const problems = result.type === 'valid' ? [] : result.problems.map(describeProblem);
      assert.equal(problems.length, 1, text);
      assert.match(problems[0] ?? '', problem);
    }
  });
});
