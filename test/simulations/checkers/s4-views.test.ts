import assert from 'node:assert/strict';
import { viewsOnlyAdvance } from '../../../simulations/checkers/s4-views.ts';
import { scenarioIntervalMs } from '../../../simulations/checkers/load-interval.ts';
import { GOSSIP, LIVENESS } from '../../../src/params.ts';
import type { WorldEvent } from '../../../simulations/world-event.ts';
import { check, SCENARIO, type Told, type Trace, verdict } from './trace.ts';

type Judged = Extract<WorldEvent, { type: 'judged' }>;

/** Node 0 accepts a message of node 1 that is a second old, unless said otherwise. */
function heard(atMs: number, message: Partial<Judged> = {}): readonly [number, WorldEvent] {
  const made = { author: 1, incarnation: 5, sequence: 1, body: 'load', madeAtMs: atMs - 1_000 } as const;
  return [
    atMs,
    { type: 'judged', node: 0, way: 'gossip', verdict: 'accept', reason: '', forged: false, ...made, ...message },
  ];
}

function saw(trace: Trace, told: Told = {}): number {
  return check(viewsOnlyAdvance, trace, told).length;
}

describe('S4, views only advance', () => {
  it('lets numbers rise, and each kind of message have its own', () => {
    const trace = [
      heard(1_000, { sequence: 7 }),
      heard(1_100, { sequence: 3, body: 'capability' }),
      heard(1_200, { sequence: 8 }),
      heard(1_300, { incarnation: 6, sequence: 1 }),
      heard(1_400, { incarnation: 6, sequence: 1, body: 'capability' }),
    ];
    assert.equal(saw(trace), 0);
  });

  it('sees a step back, and says both numbers', () => {
    for (const { second, expected } of [
      { second: { sequence: 8 }, expected: undefined },
      { second: { sequence: 7 }, expected: /accepted twice/ },
      { second: { sequence: 6 }, expected: /sequence 6 of a load accepted after 7/ },
      { second: { sequence: 9, incarnation: 4 }, expected: /incarnation 4 accepted after 5/ },
      { second: { sequence: 6, way: 'view' as const }, expected: /sequence 6 of a load accepted after 7/ },
      { second: { sequence: 6, node: 2 }, expected: undefined },
      { second: { sequence: 6, verdict: 'ignore' as const }, expected: undefined },
    ]) {
      const [violation, ...more] = check(viewsOnlyAdvance, [heard(1_000, { sequence: 7 }), heard(2_000, second)]);
      assert.deepEqual(more, []);
      if (expected === undefined) assert.equal(violation, undefined);
      else assert.match(violation?.detail ?? '', expected);
    }
  });

  it('forgets with the process', () => {
    const restart = [1_500, { type: 'started', node: 0, incarnation: 9 }] as const;
    assert.equal(saw([heard(1_000, { sequence: 7 }), restart, heard(2_000, { sequence: 6 })]), 0);
  });

  it('never wants anything forged or malformed to be accepted', () => {
    for (const message of [{ forged: true }, { body: 'garbage' as const }]) {
      assert.equal(saw([heard(1_000, message)]), 1);
      assert.equal(saw([heard(1_000, { ...message, verdict: 'reject' })]), 0);
    }
  });

  it('sees an accusation that is accepted twice', () => {
    const accusation = { body: 'accusation', sequence: 4 } as const;
    assert.equal(saw([heard(1_000, accusation), heard(2_000, { ...accusation, sequence: 3 })]), 0);
    assert.equal(saw([heard(1_000, accusation), heard(2_000, accusation)]), 1);
  });

  it('allows the age that the parameters allow, plus the delay of the first message and the clocks', () => {
    // 1 s of scheduling, and 2 * 500 ppm of six minutes.
    const allowedMs = GOSSIP.messageAgeMsMax + 1_000 + 1_000 + 360;
    const age = (ageMs: number): readonly [number, WorldEvent] =>
      heard(100_000, { sequence: 2, madeAtMs: 100_000 - ageMs });
    assert.equal(saw([heard(1_000), age(allowedMs)]), 0);
    assert.equal(saw([heard(1_000), age(allowedMs + 1)]), 1);
    assert.equal(saw([heard(1_000), age(500_000)].slice(1)), 0, 'the first message counts as fresh');
  });

  it('does not count the time for which the clock of the observer stood still', () => {
    const trace: Trace = [
      heard(1_000),
      [2_000, { type: 'stopped', node: 0, how: 'suspended' }],
      [502_000, { type: 'resumed', node: 0 }],
      heard(502_100, { sequence: 2, madeAtMs: 1_900 }),
    ];
    const suspend = { kind: 'suspend', node: 0, atMs: 2_000, durationMs: 500_000 } as const;
    assert.equal(saw(trace, { plan: [{ ...suspend, clock: 'halts' }] }), 0);
    assert.equal(saw(trace, { plan: [{ ...suspend, clock: 'counts' }] }), 1);
  });

  it('keeps who departed away while the tombstone stands', () => {
    const safeMs = GOSSIP.tombstoneMs * (1 - 500e-6) - 1_000;
    const back = (atMs: number, incarnation: number): readonly [number, WorldEvent] =>
      heard(atMs, { incarnation, sequence: 9 });
    const left = heard(2_000, { body: 'goodbye', sequence: 2 });
    const died = [2_000, verdict(0, 1, 'dead')] as const;
    for (const gone of [left, died]) {
      assert.equal(saw([heard(1_000), gone, back(3_000, 6)]), 0, 'a higher incarnation returns');
      assert.equal(saw([heard(1_000), gone, back(2_000 + safeMs, 5)]), 1);
      assert.equal(saw([heard(1_000), gone, back(2_001 + GOSSIP.tombstoneMs, 5)]), 0, 'the tombstone is gone');
    }
    const displaced = [2_000, verdict(0, 1, 'dead', 'made room in a full view')] as const;
    assert.equal(saw([heard(1_000), displaced, back(3_000, 5)]), 0);
  });

  it('lets a goodbye explain a death of its own incarnation once', () => {
    const goodbye = (atMs: number, incarnation = 5): readonly [number, WorldEvent] =>
      heard(atMs, { body: 'goodbye', sequence: 9, incarnation });
    const died = [2_000, verdict(0, 1, 'dead')] as const;
    assert.equal(saw([heard(1_000), died, goodbye(3_000)]), 0);
    assert.equal(saw([heard(1_000), died, goodbye(3_000), goodbye(4_000)]), 1);
    assert.equal(saw([heard(1_000), died, goodbye(3_000, 4)]), 1);
  });

  it('wants who was away for longer than a sleep to speak under a new incarnation', () => {
    const awayMs = LIVENESS.sleptAfterMs + 2 * scenarioIntervalMs(SCENARIO);
    const backMs = 2_000 + awayMs + 1;
    const away = (how: 'paused' | 'suspended', untilMs = backMs): Trace => [
      [2_000, { type: 'stopped', node: 1, how }],
      [untilMs, { type: 'resumed', node: 1 }],
    ];
    const says = (incarnation: number, madeAtMs = backMs): readonly [number, WorldEvent] =>
      heard(backMs + 100, { incarnation, sequence: 9, madeAtMs });
    const suspend = { kind: 'suspend', node: 1, atMs: 2_000, durationMs: awayMs } as const;
    const born = [backMs + 50, { type: 'started', node: 1, incarnation: 5 }] as const;
    for (const { trace, told, count } of [
      { trace: [...away('paused'), says(5)], count: 1 },
      { trace: [...away('paused'), says(6)], count: 0 },
      { trace: [...away('suspended'), says(5)], told: { plan: [{ ...suspend, clock: 'counts' as const }] }, count: 1 },
      { trace: [...away('suspended'), says(5)], told: { plan: [{ ...suspend, clock: 'halts' as const }] }, count: 0 },
      { trace: [...away('paused'), says(5, backMs - 1)], count: 0 },
      { trace: [...away('paused', backMs - 1), says(5)], count: 0 },
      { trace: [...away('paused'), born, says(5)], count: 0 },
      { trace: [...away('paused'), says(5)], told: { truth: { isHonest: () => false } }, count: 0 },
    ])
      assert.equal(saw([heard(1_000), ...trace], told), count);
  });
});
