import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { OffsetWindow } from '../../src/gossip/age.ts';
import { Deadlines } from '../../src/gossip/deadlines.ts';
import { isMonitorOf, monitorsOf } from '../../src/gossip/monitors.ts';
import { hash64, utf8 } from '../../src/bytes.ts';
import { nodeNumber } from './signing.ts';

const ranked = Array.from({ length: 40 }, (_, number) => {
  const node = nodeNumber(number);
  return { node, hash: hash64(utf8(node)) };
});

describe('deadlines', () => {
  it('come up like a sorted list of the latest settings, however they were moved', () => {
    const settings = fc.array(fc.record({ node: fc.nat(9), atMs: fc.nat(50), remove: fc.boolean() }), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(settings, (changes) => {
        const deadlines = new Deadlines();
        const latest = new Map<number, number>();
        for (const { node, atMs, remove } of changes)
          if (remove) {
            deadlines.delete(nodeNumber(node));
            latest.delete(node);
          } else {
            deadlines.set(nodeNumber(node), atMs);
            latest.set(node, atMs);
          }
        assert.equal(deadlines.nextMs(), Math.min(Infinity, ...latest.values()));
        const taken: number[] = [];
        for (let node = deadlines.take(25); node !== undefined; node = deadlines.take(25)) {
          const number = ranked.findIndex((one) => one.node === node);
          taken.push(latest.get(number) ?? -1);
          latest.delete(number);
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
    const deadlines = new Deadlines();
    for (const number of [4, 1, 3]) deadlines.set(nodeNumber(number), 10);
    assert.deepEqual(
      [deadlines.take(10), deadlines.take(10), deadlines.take(10), deadlines.take(10)],
      [nodeNumber(4), nodeNumber(1), nodeNumber(3), undefined],
    );
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
