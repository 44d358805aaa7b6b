import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { AuthorBudgets } from '../../src/gossip/author-budget.ts';
import { GOSSIP } from '../../src/params.ts';
import { nodeNumber } from './signing.ts';

const [alice, bob] = [nodeNumber(1), nodeNumber(2)];

/** How many of these go through. */
function passed(budgets: AuthorBudgets, count: number, atMs: (index: number) => number): number {
  let through = 0;
  for (let index = 0; index < count; index += 1) if (budgets.spend(alice, 'beacon', atMs(index))) through += 1;
  return through;
}

describe('the budget of an author', () => {
  it('lets an honest author say all it ever has to, and what queued up on the way', () => {
    assert.equal(
      passed(new AuthorBudgets(), 4_000, (index) => index * GOSSIP.beaconEventGapMs),
      4_000,
    );
    assert.equal(
      passed(new AuthorBudgets(), 60, () => 5_000),
      60,
    );
  });

  it('lets one that speaks without end through at twice that pace, after the first burst', () => {
    const through = passed(new AuthorBudgets(), 10_000, (index) => index * 10);
    assert.ok(through >= 800 && through <= 864, String(through));
  });

  it('is refilled by time alone', () => {
    const budgets = new AuthorBudgets();
    const burst = passed(budgets, 1_000, () => 0);
    assert.equal(budgets.spend(alice, 'beacon', GOSSIP.beaconEventGapMs / 2 - 1), false);
    assert.equal(budgets.spend(alice, 'beacon', GOSSIP.beaconEventGapMs / 2), true);
    assert.equal(budgets.spend(alice, 'beacon', GOSSIP.beaconEventGapMs / 2), false);
    assert.equal(
      passed(budgets, 1_000, () => 3_600_000),
      burst,
    );
  });

  it('belongs to one author, and to one kind of message', () => {
    const budgets = new AuthorBudgets();
    passed(budgets, 1_000, () => 0);
    assert.equal(budgets.spend(alice, 'beacon', 0), false);
    assert.equal(budgets.spend(alice, 'accusation', 0), true);
    assert.equal(budgets.spend(bob, 'beacon', 0), true);
  });

  it('never lets more through than burst and pace allow, whenever they come', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2_000), { maxLength: 400 }), (gaps) => {
        const budgets = new AuthorBudgets();
        let nowMs = 0;
        const times: number[] = [];
        for (const gap of gaps) {
          nowMs += gap % 7 === 0 ? gap : gap % 20;
          if (budgets.spend(alice, 'beacon', nowMs)) times.push(nowMs);
        }
        for (const [index, fromMs] of times.entries()) {
          const later = times.filter((atMs) => atMs >= fromMs && atMs < fromMs + 1_000).length;
          assert.ok(later <= 64 + 8, `${later} in a second from ${index}`);
        }
      }),
    );
  });
});
