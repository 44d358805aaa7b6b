import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ThreadCount } from '../../../src/inference/llama/thread-count.ts';

describe('the number of threads', () => {
  for (const { physicalCores, availableCores, threads } of [
    { physicalCores: 1, availableCores: 1, threads: 1 },
    { physicalCores: 2, availableCores: 2, threads: 1 },
    { physicalCores: 8, availableCores: 16, threads: 7 },
    { physicalCores: 64, availableCores: 4, threads: 3 },
  ])
    it(`leaves one of ${physicalCores} cores free where ${availableCores} may be used`, () => {
      assert.equal(new ThreadCount({ physicalCores, availableCores }).threads, threads);
    });

  it('never exceeds what others leave', () => {
    for (const [othersCores, threads] of [
      [0, 7],
      [1.4, 7],
      [1.6, 6],
      [5, 3],
      [7.6, 1],
      [16, 1],
    ] as const)
      assert.equal(open().look(use(othersCores, 4)), threads, `${othersCores} cores busy`);
  });

  it('does not count what it does itself', () => {
    const count = open();
    for (let look = 0; look < 5; look += 1) assert.equal(count.look(use(0, 7)), 7);
  });

  it('comes back one thread at a time', () => {
    const count = open();
    assert.equal(count.look(use(6, 7)), 2);
    assert.deepEqual(
      [1, 2, 3, 4, 5, 6].map(() => count.look(use(0, 2))),
      [3, 4, 5, 6, 7, 7],
    );
  });

  it('keeps its number where no time went by', () => {
    assert.equal(open().look({ elapsedMs: 0, busyMs: 100, ownMs: 0 }), 7);
  });

  it('is at least one and leaves a core, whatever is measured', () => {
    const looks = fc.array(fc.record({ elapsedMs: fc.nat(5_000), busyMs: fc.nat(100_000), ownMs: fc.nat(100_000) }));
    fc.assert(
      fc.property(looks, (uses) => {
        const count = open();
        for (const one of uses) {
          const threads = count.look(one);
          assert.ok(Number.isInteger(threads) && threads >= 1 && threads <= 7);
        }
      }),
    );
  });
});

function open(): ThreadCount {
  return new ThreadCount({ physicalCores: 8, availableCores: 16 });
}

function use(othersCores: number, ownCores: number): { elapsedMs: number; busyMs: number; ownMs: number } {
  return { elapsedMs: 2_000, busyMs: 2_000 * (othersCores + ownCores), ownMs: 2_000 * ownCores };
}
