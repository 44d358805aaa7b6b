import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { Prng } from '../src/prng.ts';

const draw = (prng: Prng, count: number): number[] => Array.from({ length: count }, () => prng.nextUint32());

describe('seeded randomness', () => {
  it('is the same sequence everywhere', () => {
    assert.deepEqual(draw(new Prng('skein'), 5), [3454628511, 3581892716, 151531605, 3944561101, 4108752753]);
    assert.deepEqual(draw(new Prng('skein').fork('x'), 3), [1658779992, 2221933583, 300963257]);
  });

  it('differs from seed to seed and from label to label', () => {
    const streams = [
      new Prng('a'),
      new Prng('b'),
      new Prng('a').fork('x'),
      new Prng('a').fork('y'),
      new Prng('b').fork('x'),
    ];
    assert.equal(new Set(streams.map((prng) => draw(prng, 4).join())).size, streams.length);
  });

  it('forks the same stream however much was drawn before or elsewhere', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(20), fc.nat(20), (label, before, elsewhere) => {
        const parent = new Prng('parent');
        draw(parent, before);
        draw(parent.fork('other'), elsewhere);
        assert.deepEqual(draw(parent.fork(label), 4), draw(new Prng('parent').fork(label), 4));
      }),
    );
  });

  it('is not moved on by forking', () => {
    const prng = new Prng('parent');
    prng.fork('child').nextUint32();
    assert.deepEqual(draw(prng, 4), draw(new Prng('parent'), 4));
  });

  it('stays within its limits', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 1_000_000 }), (seed, limit) => {
        const prng = new Prng(seed);
        for (let index = 0; index < 20; index += 1) {
          const below = prng.nextBelow(limit);
          assert.ok(Number.isInteger(below) && below >= 0 && below < limit);
          const ratio = prng.nextRatio();
          assert.ok(ratio >= 0 && ratio < 1);
        }
      }),
    );
  });

  it('draws each of few values about equally often', () => {
    const prng = new Prng('dice');
    const counts = new Map<number, number>();
    for (let index = 0; index < 60_000; index += 1) {
      const value = prng.nextBelow(6);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    assert.equal(counts.size, 6);
    // 10,000 expected each, deviation 91: five of them.
    for (const count of counts.values()) assert.ok(Math.abs(count - 10_000) < 460, String(count));
  });
});
