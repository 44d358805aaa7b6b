import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { backOffMs, doublingsMax } from '../src/back-off.ts';

describe('a pause that doubles', () => {
  it('starts with the shortest, doubles, and ends with the longest', () => {
    const pauses = [0, 1, 2, 5, 6, 7, 1_000_000].map((count) => backOffMs({ minMs: 1_000, maxMs: 60_000 }, count));
    assert.deepEqual(pauses, [1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]);
  });

  it('knows when it is the longest', () => {
    for (const { maxMs, expected } of [
      { maxMs: 1_000, expected: 0 },
      { maxMs: 1_001, expected: 1 },
      { maxMs: 32_000, expected: 5 },
      { maxMs: 32_001, expected: 6 },
      { maxMs: 60_000, expected: 6 },
    ])
      assert.equal(doublingsMax({ minMs: 1_000, maxMs }), expected, `${maxMs}`);
  });

  it('never falls, and is never outside its bounds', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.integer({ min: 0, max: 1e9 }),
        fc.nat(80),
        (minMs, more, count) => {
          const bounds = { minMs, maxMs: minMs + more };
          const [now, next] = [backOffMs(bounds, count), backOffMs(bounds, count + 1)];
          assert.ok(now >= bounds.minMs && next <= bounds.maxMs && now <= next);
          assert.ok(next === Math.min(2 * now, bounds.maxMs));
        },
      ),
    );
  });

  it('that starts with nothing is a bug', () => {
    assert.throws(() => backOffMs({ minMs: 0, maxMs: 1 }, 1), /invariant/);
  });
});
