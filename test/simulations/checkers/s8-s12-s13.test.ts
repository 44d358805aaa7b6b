import assert from 'node:assert/strict';
import { S12_LIMITS, stateIsBounded } from '../../../simulations/checkers/s12-bounds.ts';
import { LEARNING_MS, liarsGainLittle } from '../../../simulations/checkers/s13-liars.ts';
import { slotsAreKept } from '../../../simulations/checkers/s8-slots.ts';
import type { NodeSample } from '../../../simulations/world-event.ts';
import { SEND_QUEUE } from '../../../src/inference/send-queue.ts';
import { GOSSIP, PLACEMENT } from '../../../src/params.ts';
import { check, ended, placed, planOf, run, sampled, started, stopped, type Trace, tryStarted } from './trace.ts';

describe('S8, slots are kept', () => {
  it('judges samples by slots, queue, requests and bytes', () => {
    const bytes = SEND_QUEUE.queuedBytesMax;
    for (const { sample, count } of [
      {
        sample: { running: 2, queued: 2 * PLACEMENT.queuePerSlotMax, asked: 4_096, bufferedBytes: 3 * bytes },
        count: 0,
      },
      { sample: { running: 3 }, count: 1 },
      { sample: { queued: 2 * PLACEMENT.queuePerSlotMax + 1 }, count: 1 },
      { sample: { asked: 4_097 }, count: 1 },
      { sample: { bufferedBytes: 3 * bytes + 1 }, count: 1 },
      { sample: { connections: 0, bufferedBytes: bytes + 1 }, count: 1 },
    ])
      assert.equal(check(slotsAreKept, [[1, sampled(1, sample)]]).length, count, JSON.stringify(sample));
  });

  it('counts runs between the samples, and forgets those of a dead process', () => {
    const two: Trace = [
      [1, sampled(1)],
      [2, run('run-started', 1, 'a')],
      [3, run('run-started', 1, 'b')],
    ];
    const third = [9, run('run-started', 1, 'c')] as const;
    assert.equal(check(slotsAreKept, two).length, 0);
    assert.match(check(slotsAreKept, [...two, third])[0]?.detail ?? '', /3 requests run in 2 slots/);
    assert.equal(check(slotsAreKept, [...two, [5, run('run-ended', 1, 'a')], third]).length, 0);
    assert.equal(check(slotsAreKept, [...two, [5, stopped(1)], third]).length, 0);
    assert.equal(check(slotsAreKept, [...two, [5, stopped(1, 'paused')], third]).length, 1);
    assert.equal(check(slotsAreKept, [...two.slice(1), third]).length, 0, 'nobody knows the slots yet');
  });
});

const offered = (atMs: number, answer: 'served' | 'queued' | 'refused', node = 1): Trace[number] => [
  atMs,
  { type: 'offered', node, from: 0, requestId: 'a', answer, code: '' },
];

describe('S8, who leaves takes no new work', () => {
  const leave = { kind: 'leave', node: 1, atMs: 1_000, durationMs: 9_000 } as const;
  const began = [1_000, { type: 'fault-began', fault: 0 }] as const;

  it('from the moment that its owner ends it until it is gone', () => {
    for (const { trace, count } of [
      { trace: [began, offered(1_001, 'served')], count: 1 },
      { trace: [began, offered(1_001, 'queued')], count: 1 },
      { trace: [began, offered(1_001, 'refused')], count: 0 },
      { trace: [began, offered(1_001, 'served', 2)], count: 0 },
      { trace: [offered(999, 'served'), began], count: 0 },
      { trace: [began, [1_500, stopped(1, 'left')] as const, offered(2_000, 'served')], count: 0 },
      { trace: [began, [1_500, stopped(1, 'paused')] as const, offered(2_000, 'served')], count: 1 },
      { trace: [[900, stopped(1, 'paused')] as const, began, offered(2_000, 'served')], count: 0 },
    ])
      assert.equal(check(slotsAreKept, [...started(4), ...trace], { plan: [leave] }).length, count);
  });
});

function minute(bytesOf: (node: number) => number): Trace {
  return Array.from({ length: 244 }, (_, index): Trace[number] => {
    const sample: Partial<NodeSample> = { gossipBytes: index < 240 ? bytesOf(index % 4) : 0 };
    return [Math.floor(index / 4) * 1_000, sampled(index % 4, sample)];
  });
}

describe('S12, state is bounded', () => {
  it('judges view, connections and bytes', () => {
    for (const { sample, count } of [
      { sample: { alive: GOSSIP.membersMax - 1, suspect: 1, connections: S12_LIMITS.connectionsMax }, count: 0 },
      { sample: { alive: GOSSIP.membersMax, suspect: 1 }, count: 1 },
      { sample: { connections: S12_LIMITS.connectionsMax + 1 }, count: 1 },
      { sample: { bufferedBytes: S12_LIMITS.bufferedBytesMax }, count: 0 },
      { sample: { bufferedBytes: S12_LIMITS.bufferedBytesMax + 1 }, count: 1 },
    ])
      assert.equal(check(stateIsBounded, [[1, sampled(1, sample)]]).length, count, JSON.stringify(sample));
  });

  it('lets a hub send the budget once for each copy, and all together twice the budget', () => {
    const hub = GOSSIP.beaconBytesPerSecond * S12_LIMITS.copies;
    const mean = GOSSIP.beaconBytesPerSecond * 2;
    for (const { bytesOf, expected } of [
      { bytesOf: (node: number) => (node === 0 ? hub : 0), expected: [] },
      { bytesOf: (node: number) => (node === 0 ? hub + 1 : 0), expected: [[0]] },
      { bytesOf: () => mean, expected: [] },
      { bytesOf: () => mean + 1, expected: [[]] },
    ])
      assert.deepEqual(
        check(stateIsBounded, minute(bytesOf)).map(({ nodes }) => nodes),
        expected,
      );
  });

  it('says nothing about what a liar sends itself', () => {
    const told = { truth: { isHonest: (node: number) => node !== 0 } };
    assert.deepEqual(
      check(
        stateIsBounded,
        minute((node) => (node === 0 ? 1e7 : 0)),
        told,
      ),
      [],
    );
  });
});

describe('S13, liars gain little', () => {
  const lie = { kind: 'liar' as const, node: 1, atMs: 100_000, durationMs: 1_000_000, lie: 'load' as const };
  const all = Array.from({ length: 10 }, (_, node) => ({ node, weight: 1 }));

  /** Of 100 requests `gained` go to node 1 first, the others to node 2. */
  function requests(fromMs: number, gained: number, rows = all): Trace {
    return Array.from({ length: 100 }, (_, index): Trace => {
      const name = `${fromMs}/${index}`;
      const server = index < gained ? 1 : 2;
      const plan = planOf(rows, [server]);
      const atMs = fromMs + index * 10;
      return [
        [atMs, placed(name, plan)],
        [atMs + 1, tryStarted(name, server)],
        [atMs + 2, ended(name, 0)],
      ];
    }).flat();
  }

  function liars(trace: Trace, plan = [lie], nodes = 10): string[] {
    return check(liarsGainLittle, trace, { plan, scenario: { nodes } }).map(({ detail }) => detail);
  }

  it('allows three times the fair share, and chance', () => {
    const fromMs = lie.atMs + LEARNING_MS;
    // Fair are 10 of 100; a mean of 30 shows 49 once in a thousand runs.
    assert.deepEqual(liars(requests(fromMs, 48)), []);
    assert.match(
      liars(requests(fromMs, 49))[0] ?? '',
      /got 49 first tries once the others could know, fair are 10.0, at most 30.0/,
    );
  });

  it('allows nine times the fair share before the others could learn', () => {
    const fromMs = lie.atMs + LEARNING_MS - 2_000;
    const many = Array.from({ length: 20 }, (_, node) => ({ node, weight: 1 }));
    // Fair are 5 of 100; a mean of 45 shows 68 once in a thousand runs.
    assert.deepEqual(liars(requests(fromMs, 67, many)), []);
    assert.match(
      liars(requests(fromMs, 68, many))[0] ?? '',
      /got 68 first tries before .*, fair are 5.0, at most 45.0/,
    );
  });

  it('says nothing of honest nodes', () => {
    assert.deepEqual(liars(requests(lie.atMs + LEARNING_MS, 0)), []);
  });

  it('takes what a node got before for fair where that was more', () => {
    const fromMs = lie.atMs + LEARNING_MS;
    const before = (gained: number): Trace => [10_000, 20_000, 30_000].flatMap((atMs) => requests(atMs, gained));
    assert.deepEqual(liars([...before(30), ...requests(fromMs, 100)]), []);
    assert.equal(liars([...before(10), ...requests(fromMs, 100)]).length, 1);
    assert.equal(liars([...requests(10_000, 30), ...requests(fromMs, 100)]).length, 1, 'too few to be a habit');
  });

  it('says nothing when a third of the mesh lies', () => {
    const trace = requests(lie.atMs + LEARNING_MS, 100);
    const others = [2, 3].map((node) => ({ ...lie, node }));
    assert.equal(liars(trace, [lie, ...others], 10).length, 1);
    assert.deepEqual(liars(trace, [lie, ...others], 9), []);
  });
});
