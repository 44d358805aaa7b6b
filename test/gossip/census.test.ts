import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { censusOf, fingerprintOf, MadeAtColumn } from '../../src/gossip/census.ts';
import { nodeNumber } from './signing.ts';

describe('the census of a view', () => {
  it('sums the ages up as one by one, whoever came and went', () => {
    const changes = fc.array(fc.record({ member: fc.nat(40), madeAtMs: fc.nat(5_000), leaves: fc.boolean() }));
    fc.assert(
      fc.property(changes, fc.double({ min: 0, max: 6_000, noNaN: true }), (steps, nowMs) => {
        const column = new MadeAtColumn();
        const rows = new Map<number, number>();
        const madeAtMs = new Map<number, number>();
        for (const { member, madeAtMs: atMs, leaves } of steps) {
          const row = rows.get(member);
          if (leaves && row !== undefined) {
            column.release(row);
            rows.delete(member);
            madeAtMs.delete(member);
          } else if (!leaves) {
            const taken = row ?? column.take();
            assert.ok(row !== undefined || ![...rows.values()].includes(taken), 'a row has one member');
            rows.set(member, taken);
            column.set(taken, atMs);
            madeAtMs.set(member, atMs);
          }
        }
        const ages = [...madeAtMs.values()].map((atMs) => Math.max(0, Math.round(nowMs - atMs)));
        assert.equal(
          column.ageMs(nowMs),
          ages.reduce((sum, age) => sum + age, 0),
        );
      }),
    );
  });

  it('has a fingerprint that every member and every incarnation changes', () => {
    const parts = [1, 2].flatMap((number) =>
      [1, 2].map((incarnation) => fingerprintOf({ node: nodeNumber(number), incarnation })),
    );
    assert.equal(new Set(parts).size, parts.length);
  });

  it('counts this node and the suspects, whose fingerprint is that of a view without them', () => {
    const [self, other, doubted] = [1, 2, 3].map((number) => ({ node: nodeNumber(number), incarnation: number }));
    assert.ok(self !== undefined && other !== undefined && doubted !== undefined);
    const alive = { count: 1, ageMs: 40, fingerprint: fingerprintOf(other) };
    const all = { count: 2, ageMs: 70, fingerprint: fingerprintOf(other) ^ fingerprintOf(doubted) };
    const without = censusOf(alive, self, []);
    assert.deepEqual(without, { ...without, alive: 2, suspect: 0, ageMs: 40 });
    assert.deepEqual(censusOf(all, self, [doubted]), { ...without, suspect: 1, ageMs: 70 });
    assert.ok(without.fingerprint >= 0 && without.fingerprint !== alive.fingerprint);
  });
});
