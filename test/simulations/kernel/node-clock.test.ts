import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { NodeClock } from '../../../simulations/kernel/node-clock.ts';

function clockOf(partsPerMillion = 0): NodeClock {
  return new NodeClock({ startMs: 0, partsPerMillion, wallOffsetMs: 1_000_000 });
}

describe('the clocks of a node', () => {
  it('start at 0 and at the wall offset', () => {
    const clock = new NodeClock({ startMs: 500, partsPerMillion: 0, wallOffsetMs: 1_000_000 });
    assert.deepEqual([clock.monotonicMs(500), clock.wallMs(500)], [0, 1_000_500]);
  });

  for (const [partsPerMillion, expectedMs] of [
    [0, 1_000_000],
    [200, 1_000_200],
    [-200, 999_800],
  ] as const)
    it(`show ${expectedMs} ms after 1,000,000 when they are off by ${partsPerMillion} ppm`, () => {
      const clock = clockOf(partsPerMillion);
      assert.ok(Math.abs(clock.monotonicMs(1_000_000) - expectedMs) < 1e-6);
      assert.ok(Math.abs(clock.wallMs(1_000_000) - 1_000_000 - expectedMs) < 1e-6);
    });

  it('keep what they showed when the rate changes', () => {
    const clock = clockOf(1_000);
    clock.setRate(0, 10_000);
    assert.ok(Math.abs(clock.monotonicMs(10_000) - 10_010) < 1e-6);
    assert.ok(Math.abs(clock.monotonicMs(20_000) - 20_010) < 1e-6);
  });

  it('let the wall jump and nothing else', () => {
    const clock = clockOf();
    clock.stepWall(-3_600_000, 10_000);
    assert.deepEqual([clock.monotonicMs(10_000), clock.wallMs(10_000)], [10_000, 1_010_000 - 3_600_000]);
  });

  for (const [behaviour, expectedMs] of [
    ['counts', 70_000],
    ['halts', 10_000],
  ] as const)
    it(`show ${expectedMs} ms after a minute of sleep from 10 s on when the monotonic clock ${behaviour}`, () => {
      const clock = clockOf();
      clock.suspend(behaviour, 10_000);
      assert.equal(clock.isSuspended, true);
      clock.resume(70_000);
      assert.deepEqual([clock.monotonicMs(70_000), clock.wallMs(70_000)], [expectedMs, 1_070_000]);
      assert.equal(clock.monotonicMs(70_005), expectedMs + 5);
      assert.equal(clock.isSuspended, false);
    });

  it('begin a process at 0 and leave the wall alone', () => {
    const clock = clockOf();
    clock.suspend('halts', 1_000);
    clock.restart(30_000);
    assert.deepEqual([clock.monotonicMs(30_000), clock.monotonicMs(30_007), clock.wallMs(30_000)], [0, 7, 1_030_000]);
  });

  it('say when a timer is due: now, later, or never while they stand still', () => {
    const clock = clockOf();
    assert.equal(clock.trueMsWhen(100, 200), 200);
    assert.equal(clock.trueMsWhen(200, 200), 200);
    assert.equal(clock.trueMsWhen(201, 200), 201);
    clock.suspend('halts', 300);
    assert.equal(clock.trueMsWhen(300, 400), 400);
    assert.equal(clock.trueMsWhen(301, 400), Infinity);
    clock.resume(1_000);
    assert.equal(clock.trueMsWhen(301, 1_000), 1_001);
    clock.suspend('counts', 2_000);
    assert.equal(clock.trueMsWhen(1_400, 2_000), 2_100);
  });

  it('name the first whole ms at which the monotonic clock is there', () => {
    const ppm = fc.integer({ min: -50_000, max: 50_000 });
    const span = fc.integer({ min: 0, max: 10_000_000 });
    fc.assert(
      fc.property(
        fc.tuple(ppm, ppm),
        fc.tuple(span, span),
        fc.double({ min: 0, max: 1e7, noNaN: true }),
        ([first, second], [atMs, afterMs], waitMs) => {
          const clock = clockOf(first);
          clock.setRate(second, atMs);
          const nowMs = atMs + afterMs;
          const target = clock.monotonicMs(nowMs) + waitMs;
          const dueMs = clock.trueMsWhen(target, nowMs);
          assert.ok(Number.isInteger(dueMs) && clock.monotonicMs(dueMs) >= target);
          assert.ok(dueMs === nowMs || clock.monotonicMs(dueMs - 1) < target + 1e-6);
        },
      ),
    );
  });

  it('are there when they said they would be, however the division rounds', () => {
    for (const partsPerMillion of [-137, 41, 173]) {
      const clock = clockOf(partsPerMillion);
      for (let trueMs = 1; trueMs < 5_000; trueMs += 1) {
        const target = clock.monotonicMs(trueMs) * (1 + Number.EPSILON);
        assert.ok(clock.monotonicMs(clock.trueMsWhen(target, 0)) >= target, `${partsPerMillion} ppm, ${trueMs} ms`);
      }
    }
  });

  it('never go back on the monotonic side, whatever happens', () => {
    const happening = fc.record({
      what: fc.constantFrom('rate', 'step', 'counts', 'halts', 'resume', 'nothing'),
      afterMs: fc.integer({ min: 0, max: 100_000 }),
      by: fc.integer({ min: -100_000, max: 100_000 }),
    });
    fc.assert(
      fc.property(fc.array(happening), (happenings) => {
        const clock = clockOf(37);
        let [nowMs, shownMs] = [0, 0];
        for (const { what, afterMs, by } of happenings) {
          nowMs += afterMs;
          if (what === 'rate') clock.setRate(by, nowMs);
          else if (what === 'step') clock.stepWall(by, nowMs);
          else if (what === 'resume') clock.resume(nowMs);
          else if (what !== 'nothing') clock.suspend(what, nowMs);
          const laterMs = clock.monotonicMs(nowMs);
          assert.ok(laterMs >= shownMs);
          shownMs = laterMs;
        }
      }),
    );
  });

  it('are not asked about the past, and do not run backwards', () => {
    const clock = clockOf();
    clock.stepWall(1, 100);
    assert.throws(() => clock.monotonicMs(99), /not asked about the past/);
    assert.throws(() => clock.setRate(-1_000_000, 100), /runs forward/);
  });
});
