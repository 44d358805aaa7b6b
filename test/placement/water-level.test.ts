import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { FILL_ONE, fillOf, needOf, type WaterInput, waterLevel } from '../../src/placement/water-level.ts';

interface Pool {
  readonly costs: readonly number[];
  readonly slots: readonly number[];
  readonly need: number;
}

function input({ costs, slots, need }: Pool): WaterInput {
  const rows = Int32Array.from(costs.keys());
  return { costsMs: Int32Array.from(costs), slotsMs: Int32Array.from(slots), rows, need, fillMax: 64 };
}

function held({ costs, slots }: Pool, level: number): number {
  return costs.reduce((sum, cost, row) => sum + fillOf(level - cost, slots[row] ?? 1, 64), 0);
}

describe('the water level', () => {
  it('fills the cheapest first and reaches others as the need grows', () => {
    const pool = { costs: [100, 300, 1_000], slots: [200, 200, 200] };
    const cases = [
      { requests: 1, level: 300 },
      // Above 300 two nodes fill together, above 1000 all three.
      { requests: 2, level: 400 },
      { requests: 8, level: 1_000 },
      { requests: 11, level: 1_200 },
    ];
    for (const { requests, level } of cases)
      assert.equal(waterLevel(input({ ...pool, need: requests * FILL_ONE })), level, `${requests} requests`);
  });

  it('fills every node up when all together cannot hold the need', () => {
    assert.equal(waterLevel(input({ costs: [10, 50], slots: [5, 7], need: 1_000 * FILL_ONE })), 50 + 64 * 7);
  });

  it('is the least level that holds the need, for any costs', () => {
    const pools = fc
      .array(fc.tuple(fc.integer({ min: 0, max: 2 ** 30 }), fc.integer({ min: 1, max: 10_000_000 })), {
        minLength: 1,
        maxLength: 40,
      })
      .chain((rows) =>
        fc.record({
          costs: fc.constant(rows.map(([cost]) => cost)),
          slots: fc.constant(rows.map(([, slot]) => slot)),
          need: fc.integer({ min: FILL_ONE, max: 64 * FILL_ONE * rows.length }),
        }),
      );
    fc.assert(
      fc.property(pools, (pool) => {
        const level = waterLevel(input(pool));
        assert.ok(Number.isSafeInteger(level));
        assert.ok(held(pool, level) >= pool.need, 'the level holds the need');
        assert.ok(held(pool, level - 1) < pool.need, 'one ms less does not');
      }),
      { numRuns: 300, seed: 5 },
    );
  });

  it('does not move with nodes that stay dry', () => {
    const pool = { costs: [100, 120], slots: [50, 50], need: FILL_ONE };
    const level = waterLevel(input(pool));
    const more = { costs: [...pool.costs, level, level + 1], slots: [...pool.slots, 50, 50], need: FILL_ONE };
    assert.equal(waterLevel(input(more)), level);
  });

  it('needs at least one request, and else arrivals times age', () => {
    const cases = [
      { arrivalsPerKs: 0, viewAgeMs: 1_000, requests: 1 },
      { arrivalsPerKs: 1_000, viewAgeMs: 999, requests: 1 },
      { arrivalsPerKs: 4_000, viewAgeMs: 500, requests: 2 },
      { arrivalsPerKs: 2_500, viewAgeMs: 1_000, requests: 2.5 },
      { arrivalsPerKs: 1e9, viewAgeMs: 60_000, requests: 6e7 },
    ];
    for (const { arrivalsPerKs, viewAgeMs, requests } of cases)
      assert.equal(needOf(arrivalsPerKs, viewAgeMs), requests * FILL_ONE);
  });

  it('counts room in requests, at least a trace below the level and at most the maximum', () => {
    const cases = [
      { roomMs: -5, slotMs: 10, fill: 0 },
      { roomMs: 0, slotMs: 10, fill: 0 },
      { roomMs: 1, slotMs: 10_000_000, fill: 1 },
      { roomMs: 10, slotMs: 10, fill: FILL_ONE },
      { roomMs: 639, slotMs: 10, fill: Math.floor(63.9 * FILL_ONE) },
      { roomMs: 640, slotMs: 10, fill: 64 * FILL_ONE },
      { roomMs: 2 ** 31, slotMs: 1, fill: 64 * FILL_ONE },
    ];
    for (const { roomMs, slotMs, fill } of cases) assert.equal(fillOf(roomMs, slotMs, 64), fill);
  });
});
