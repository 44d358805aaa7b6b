import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { OffsetWindow } from '../../src/gossip/age.ts';
import { type Deadline, Deadlines, NOWHERE } from '../../src/gossip/deadlines.ts';
import { isMonitorOf, monitorsOf } from '../../src/gossip/monitors.ts';
import { hash64, utf8 } from '../../src/bytes.ts';
import { nodeNumber } from './signing.ts';

const ranked = Array.from({ length: 40 }, (_, number) => {
  const node = nodeNumber(number);
  return { node, hash: hash64(utf8(node)) };
});

interface Owner extends Deadline {
  readonly number: number;
}

function newOwner(number: number): Owner {
  return { number, heapIndex: NOWHERE, heapAtMs: 0, heapOrder: 0, dueMs: 0, dueOrder: 0 };
}

function ownerOf(owners: readonly Owner[], number: number): Owner {
  const owner = owners[number];
  assert.ok(owner !== undefined);
  return owner;
}

function takeAll(deadlines: Deadlines<Owner>, nowMs: number): readonly number[] {
  const taken: number[] = [];
  for (let owner = deadlines.due(nowMs); owner !== undefined; owner = deadlines.due(nowMs)) {
    taken.push(owner.number);
    deadlines.delete(owner);
  }
  return taken;
}

describe('deadlines', () => {
  it('come up like a sorted list of the latest settings, however they were moved', () => {
    const settings = fc.array(fc.record({ node: fc.nat(9), atMs: fc.nat(50), remove: fc.boolean() }), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(settings, (changes) => {
        const deadlines = new Deadlines<Owner>();
        const owners = Array.from({ length: 10 }, (_, number) => newOwner(number));
        const latest = new Map<number, number>();
        for (const { node, atMs, remove } of changes)
          if (remove) {
            deadlines.delete(ownerOf(owners, node));
            latest.delete(node);
          } else {
            deadlines.set(ownerOf(owners, node), atMs);
            latest.set(node, atMs);
          }
        assert.equal(deadlines.nextMs(), Math.min(Infinity, ...latest.values()));
        const taken: number[] = [];
        for (let owner = deadlines.due(25); owner !== undefined; owner = deadlines.due(25)) {
          taken.push(latest.get(owner.number) ?? -1);
          latest.delete(owner.number);
          deadlines.delete(owner);
        }
        assert.deepEqual(
          taken,
          taken.toSorted((one, other) => one - other),
        );
        assert.ok([...latest.values()].every((atMs) => atMs > 25));
        assert.equal(deadlines.nextMs(), Math.min(Infinity, ...latest.values()));
      }),
    );
  });

  it('of one moment come up in the order in which they were set', () => {
    const deadlines = new Deadlines<Owner>();
    for (const number of [4, 1, 3]) deadlines.set(newOwner(number), 10);
    assert.deepEqual(takeAll(deadlines, 10), [4, 1, 3]);
  });

  it('that are moved while they are due come up again, behind those that were set before', () => {
    const deadlines = new Deadlines<Owner>();
    const [first, second] = [newOwner(1), newOwner(2)];
    deadlines.set(first, 5);
    deadlines.set(second, 10);
    assert.equal(deadlines.due(5), first);
    deadlines.set(first, 10);
    assert.equal(deadlines.due(9), undefined);
    assert.equal(deadlines.nextMs(), 10);
    assert.deepEqual(takeAll(deadlines, 10), [2, 1]);
  });

  it('are none once they are deleted, and deleting none changes nothing', () => {
    const deadlines = new Deadlines<Owner>();
    const owner = newOwner(1);
    deadlines.delete(owner);
    deadlines.set(owner, 10);
    deadlines.delete(owner);
    deadlines.delete(owner);
    assert.equal(deadlines.nextMs(), Infinity);
    deadlines.set(owner, 12);
    assert.equal(deadlines.nextMs(), 12);
  });
});

describe('the age of a message', () => {
  it('is its delay above the least delay of the last five minutes', () => {
    const table = [
      { uptimeMs: 0, nowMs: 10_040, ageMs: 0 },
      { uptimeMs: 1_000, nowMs: 11_020, ageMs: 0 },
      { uptimeMs: 2_000, nowMs: 12_050, ageMs: 30 },
      { uptimeMs: 3_000, nowMs: 28_020, ageMs: 15_000 },
      { uptimeMs: 290_000, nowMs: 300_060, ageMs: 40 },
      // The message with the least delay is more than five minutes back: 40 ms more is the way's delay by now.
      { uptimeMs: 420_000, nowMs: 430_100, ageMs: 40 },
      { uptimeMs: 900_000, nowMs: 910_100, ageMs: 0 },
    ];
    const window = new OffsetWindow();
    for (const { uptimeMs, nowMs, ageMs } of table) assert.equal(window.observe(uptimeMs, nowMs), ageMs, `${nowMs}`);
  });
});

describe('monitors', () => {
  it('are eight, the same from every side, whoever computes them', () => {
    for (const watched of ranked) {
      const monitors = monitorsOf(watched, ranked);
      assert.equal(monitors.length, 8);
      assert.ok(!monitors.includes(watched.node));
      assert.deepEqual(monitorsOf(watched, ranked.toReversed()), monitors);
      for (const watcher of ranked)
        if (watcher !== watched) assert.equal(isMonitorOf(watched, watcher, ranked), monitors.includes(watcher.node));
    }
  });

  it('spread the work', () => {
    const duties = ranked.flatMap((watched) => monitorsOf(watched, ranked));
    for (const { node } of ranked) {
      const count = duties.filter((one) => one === node).length;
      assert.ok(count >= 2 && count <= 18, `${count}`);
    }
  });

  it('change little when one member leaves', () => {
    const [gone, ...rest] = ranked;
    assert.ok(gone !== undefined);
    for (const watched of rest) {
      const before = monitorsOf(watched, ranked);
      const kept = monitorsOf(watched, rest).filter((node) => before.includes(node));
      assert.equal(kept.length, before.includes(gone.node) ? 7 : 8);
    }
  });
});
