import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { PrefixCache, type Sequence } from '../../../simulations/work/prefix-cache.ts';

const sequence = (hashes: readonly number[], more: Partial<Sequence> = {}): Sequence => ({
  hashes,
  tokens: hashes.map(() => 100),
  model: 0,
  resumedTokens: 0,
  ...more,
});

function run(cache: PrefixCache, which: Sequence, keptTokens: number): number {
  const found = cache.begin(which, keptTokens);
  cache.end(which, keptTokens, keptTokens);
  return found;
}

describe('a prefix cache', () => {
  it('finds prompt and answer of the turn before', () => {
    for (const { kept, found } of [
      { kept: 150, found: 150 },
      { kept: 200, found: 200 },
      // The answer was longer than what is quoted of it.
      { kept: 230, found: 200 },
    ]) {
      const cache = new PrefixCache(1_000);
      assert.equal(run(cache, sequence([1]), kept), 0);
      assert.equal(run(cache, sequence([1, 2, 3]), 400), found);
    }
  });

  it('finds the part of an answer that goes on', () => {
    const cache = new PrefixCache(1_000);
    run(cache, sequence([1]), 130);
    assert.equal(run(cache, sequence([1], { resumedTokens: 20 }), 150), 120);
  });

  it('takes the longest beginning, and gives it to one run at a time', () => {
    const cache = new PrefixCache(10_000);
    run(cache, sequence([1]), 150);
    run(cache, sequence([7]), 150);
    run(cache, sequence([1, 2, 3]), 350);
    const next = sequence([1, 2, 3, 4, 5]);
    assert.equal(cache.begin(next, 600), 350);
    assert.equal(cache.begin(next, 600), 0);
    assert.equal(run(cache, sequence([7, 2, 3]), 350), 150);
  });

  it('shares nothing between models', () => {
    const cache = new PrefixCache(1_000);
    run(cache, sequence([1]), 150);
    assert.equal(run(cache, sequence([1], { model: 1 }), 150), 0);
    assert.equal(run(cache, sequence([1]), 150), 100);
  });

  it('forgets what was untouched longest when room is needed', () => {
    const cache = new PrefixCache(450);
    for (const hash of [1, 2, 3]) run(cache, sequence([hash]), 150);
    run(cache, sequence([1]), 150);
    cache.begin(sequence([4]), 1);
    assert.equal(cache.begin(sequence([2]), 0), 0);
    assert.equal(cache.begin(sequence([3]), 0), 100);
    assert.equal(cache.begin(sequence([1]), 0), 100);
  });

  it('never keeps more than its room, beside what runs', () => {
    const act = fc.record({ hash: fc.integer({ min: 1, max: 8 }), kept: fc.integer({ min: 0, max: 600 }) });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const cache = new PrefixCache(1_000);
        for (const { hash, kept } of acts) {
          const which = sequence([hash]);
          assert.ok(cache.begin(which, kept) <= 100);
          cache.end(which, kept, kept);
          assert.ok(cache.tokens <= 1_000);
        }
        assert.ok(cache.entries <= 8);
      }),
    );
  });
});
