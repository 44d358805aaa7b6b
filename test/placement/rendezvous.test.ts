import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type Hash64, hash64, mixHashes, utf8 } from '../../src/bytes.ts';
import type { NodeId } from '../../src/ids.ts';
import { negativeLog2 } from '../../src/placement/log-table.ts';
import { type HashedNodes, rankRows, scrambleNode, WEIGHT_MAX } from '../../src/placement/rendezvous.ts';
import { nodeId } from './candidates.ts';

const nodes = Array.from({ length: 300 }, (_, number) => nodeId(number)).toSorted((left, right) =>
  left < right ? -1 : 1,
);
const hashes = hashNodes(nodes);
const allRows = Int32Array.from(nodes.keys());

function hashNodes(of: readonly NodeId[]): HashedNodes {
  const scrambled = of.map(scrambleNode);
  return {
    low: Int32Array.from(scrambled, ({ low }) => low),
    high: Int32Array.from(scrambled, ({ high }) => high),
  };
}

/** The definition, with whole numbers of any size: nothing taken out of the loop, nothing skipped. */
function reference(key: Hash64, weights: Int32Array, limit: number): number[] {
  const logs = nodes.map((node) => BigInt(negativeLog2(mixHashes(key, hash64(utf8(node))))));
  return [...nodes.keys()]
    .toSorted((left, right) => {
      const difference =
        (logs[left] ?? 0n) * BigInt(weights[right] ?? 0) - (logs[right] ?? 0n) * BigInt(weights[left] ?? 0);
      return difference < 0n ? -1 : difference > 0n ? 1 : left - right;
    })
    .slice(0, limit);
}

describe('weighted rendezvous', () => {
  it('finds the order of the definition, for weights up to the largest, without rounding', () => {
    const weight = fc.oneof(fc.integer({ min: 1, max: WEIGHT_MAX }), fc.constantFrom(1, 2, WEIGHT_MAX - 1, WEIGHT_MAX));
    const inputs = fc.record({
      key: fc.string(),
      weights: fc.array(weight, { minLength: nodes.length, maxLength: nodes.length }),
      limit: fc.integer({ min: 1, max: 8 }),
    });
    fc.assert(
      fc.property(inputs, ({ key, weights, limit }) => {
        const columns = Int32Array.from(weights);
        const keyHash = hash64(utf8(key));
        const ranked = rankRows({ key: keyHash, nodes: hashes, rows: allRows, weights: columns, limit });
        assert.deepEqual(ranked, reference(keyHash, columns, limit));
      }),
      { numRuns: 100, seed: 3 },
    );
  });

  it('names every row once when there are fewer than the limit', () => {
    const rows = Int32Array.of(4, 7, 9);
    const weights = new Int32Array(nodes.length).fill(5);
    const ranked = rankRows({ key: hash64(utf8('few')), nodes: hashes, rows, weights, limit: 6 });
    assert.deepEqual(
      ranked.toSorted((left, right) => left - right),
      [4, 7, 9],
    );
  });

  it('moves only the requests of a node that leaves', () => {
    const weights = new Int32Array(nodes.length).fill(5);
    const without = allRows.filter((row) => row !== 17);
    let moved = 0;
    for (let number = 0; number < 2_000; number += 1) {
      const key = hash64(utf8(`request ${number}`));
      const common = { key, nodes: hashes, weights, limit: 1 };
      const [before] = rankRows({ ...common, rows: allRows });
      const [after] = rankRows({ ...common, rows: without });
      if (before === 17) moved += 1;
      else assert.equal(after, before);
    }
    assert.ok(moved > 0);
  });

  it('gives first places in proportion to the weights', () => {
    const shares = [5, 10, 15, 20, 50];
    const rows = Int32Array.of(0, 1, 2, 3, 4);
    const weights = Int32Array.from(shares, (share) => share * 1_000);
    const counts = new Map<number, number>();
    const samples = 20_000;
    for (let number = 0; number < samples; number += 1) {
      const [first] = rankRows({ key: hash64(utf8(`key ${number}`)), nodes: hashes, rows, weights, limit: 1 });
      counts.set(first ?? -1, (counts.get(first ?? -1) ?? 0) + 1);
    }
    let chiSquare = 0;
    for (const [row, share] of shares.entries()) {
      const expected = (samples * share) / 100;
      chiSquare += ((counts.get(row) ?? 0) - expected) ** 2 / expected;
    }
    // Four degrees of freedom: 18.5 is exceeded once in a thousand times.
    assert.ok(chiSquare < 18.5, `chi-square ${chiSquare}`);
  });
});
