import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { LOG_ERROR_MAX, LOG_MAX, LOG_ONE, negativeLog2 } from '../../src/placement/log-table.ts';

const UINT32_MAX = 0xffffffff;

function truth(hash: number): number {
  return -Math.log2((hash + 1) / 2 ** 32) * LOG_ONE;
}

describe('the logarithm of a hash', () => {
  it('is 0 for the largest hash and the maximum for 0, and exact at powers of two', () => {
    assert.equal(negativeLog2(UINT32_MAX), 0);
    assert.equal(negativeLog2(0), LOG_MAX);
    for (let bits = 0; bits < 32; bits += 1) assert.equal(negativeLog2(2 ** bits - 1), (32 - bits) * LOG_ONE);
  });

  it('stays within the documented error of Math.log2, at every step of the table and in between', () => {
    let worst = 0;
    for (let step = 4_096; step < 8_192; step += 1)
      for (const offset of [-1, 0, 1, 2 ** 18, 2 ** 18 + 12_345]) {
        const hash = step * 2 ** 19 + offset - 1;
        worst = Math.max(worst, Math.abs(negativeLog2(hash) - truth(hash)));
      }
    assert.ok(worst <= LOG_ERROR_MAX, `worst error ${worst}`);
    assert.ok(worst > 0.1, 'the comparison sees errors');
  });

  it('stays within the documented error for any hash', () => {
    fc.assert(
      fc.property(fc.nat(UINT32_MAX), (hash) => Math.abs(negativeLog2(hash) - truth(hash)) <= LOG_ERROR_MAX),
      { numRuns: 2_000, seed: 1 },
    );
  });

  it('never rises where the hash rises', () => {
    const pairs = fc.tuple(fc.nat(UINT32_MAX - 1), fc.integer({ min: 1, max: 2 ** 20 }));
    fc.assert(
      fc.property(pairs, ([hash, more]) => negativeLog2(Math.min(UINT32_MAX, hash + more)) <= negativeLog2(hash)),
      { numRuns: 2_000, seed: 2 },
    );
    // Where two segments of the table meet, one hash at a time.
    for (let step = 4_097; step < 8_192; step += 1)
      for (let hash = step * 2 ** 19 - 20; hash < step * 2 ** 19 + 20; hash += 1)
        assert.ok(negativeLog2(hash + 1) <= negativeLog2(hash), `at ${hash}`);
  });
});
