import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { Breaches, BREACHES_MAX } from '../../../simulations/checkers/breaches.ts';
import { Calm, SETTLE_MS } from '../../../simulations/checkers/calm.ts';
import { CHECKERS } from '../../../simulations/checkers/index.ts';
import { LateShare } from '../../../simulations/checkers/late-share.ts';
import { chanceAtLeast, poissonLowerBound } from '../../../simulations/checkers/poisson.ts';
import { Presence } from '../../../simulations/checkers/presence.ts';

describe('the list of checkers', () => {
  it('holds S1 to S13 and V1 to V8 in order, and says which do not exist yet', () => {
    const ids = [
      ...Array.from({ length: 13 }, (_, index) => `S${index + 1}`),
      ...Array.from({ length: 8 }, (_, index) => `V${index + 1}`),
    ];
    assert.deepEqual(
      CHECKERS.map(({ id }) => id),
      ids,
    );
    const missing = CHECKERS.filter(({ create }) => create === undefined).map(({ id }) => id);
    assert.deepEqual(missing, ['S1', 'S2', 'S3', 'S9', 'S10', 'S11', 'V4', 'V6']);
    for (const { create, promise } of CHECKERS) assert.equal(promise.includes('not yet'), create === undefined);
  });
});

describe('breaches', () => {
  it('are reported twenty times of each kind', () => {
    const reported: string[] = [];
    const breaches = new Breaches({ report: ({ detail }) => void reported.push(detail) });
    for (let count = 0; count <= BREACHES_MAX; count += 1)
      breaches.add('one', { atMs: count, nodes: [], detail: 'one' });
    breaches.add('other', { atMs: 0, nodes: [], detail: 'other' });
    assert.equal(reported.filter((detail) => detail === 'one').length, BREACHES_MAX);
    assert.equal(reported.at(-1), 'other');
  });
});

describe('the bound of a Poisson count', () => {
  it('agrees with the tables', () => {
    for (const { count, bound } of [
      { count: 0, bound: 0 },
      { count: 1, bound: 0.01005 },
      { count: 2, bound: 0.14855 },
      { count: 3, bound: 0.43605 },
      { count: 10, bound: 4.1302 },
      { count: 1_000, bound: 927.87 },
    ])
      assert.ok(Math.abs(poissonLowerBound(count) - bound) < 1e-4 * Math.max(1, bound) * 5, `${count}`);
  });

  it('is the mean at which the count has one chance in a hundred', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.5, max: 500, noNaN: true }), (count) => {
        const bound = poissonLowerBound(count);
        return bound < count && Math.abs(chanceAtLeast(count, bound) - 0.01) < 1e-6;
      }),
    );
  });

  it('adds up the chances of whole counts', () => {
    // 1 - e^-2 (1 + 2 + 2) = P(X >= 3 | 2).
    assert.ok(Math.abs(chanceAtLeast(3, 2) - (1 - 5 * Math.exp(-2))) < 1e-12);
    assert.equal(chanceAtLeast(0, 2), 1);
    assert.equal(chanceAtLeast(1, 0), 0);
  });
});

describe('a share of late trials', () => {
  it('is exceeded when chance hardly explains it', () => {
    for (const { late, inTime, exceeded } of [
      { late: 0, inTime: 0, exceeded: false },
      { late: 1, inTime: 0, exceeded: true },
      { late: 1, inTime: 1, exceeded: false },
      { late: 2, inTime: 12, exceeded: true },
      { late: 2, inTime: 13, exceeded: false },
      { late: 1, inTime: 99, exceeded: false },
    ]) {
      const share = new LateShare();
      for (let index = 0; index < late; index += 1) share.add(1);
      for (let index = 0; index < inTime; index += 1) share.add(0);
      assert.equal(share.isExceeded, exceeded, `${late} late and ${inTime} in time`);
    }
  });

  it('counts a trial by the part of it that was late', () => {
    const share = new LateShare();
    share.add(0.5);
    share.add(0.25);
    assert.equal(share.late, 0.75);
    assert.equal(share.trials, 2);
  });
});

function calmNodes(calm: Calm): number[] {
  return [0, 1, 2, 3, 4].filter((node) => calm.isCalm(node, 0, 0));
}

describe('calm', () => {
  it('ends when a fault strikes and returns some time after its end', () => {
    const calm = new Calm([{ kind: 'loss', node: 1, atMs: 1_000, durationMs: 500, loss: 0.3 }], 3);
    const backMs = 1_500 + SETTLE_MS;
    for (const { node, fromMs, toMs, expected } of [
      { node: 1, fromMs: 0, toMs: 999, expected: true },
      { node: 1, fromMs: 0, toMs: 1_000, expected: false },
      { node: 1, fromMs: backMs, toMs: backMs, expected: false },
      { node: 1, fromMs: backMs + 1, toMs: 1e9, expected: true },
      { node: 0, fromMs: 0, toMs: 1e9, expected: true },
    ])
      assert.equal(calm.isCalm(node, fromMs, toMs), expected);
  });

  it('knows whom each fault touches, and leaves faults of the work alone unless asked', () => {
    const plan = [
      { kind: 'partition', atMs: 0, durationMs: 1, groups: [[0], [1]], direction: 'both' },
      { kind: 'swizzle', atMs: 0, durationMs: 1, nodes: [2] },
      { kind: 'slow', atMs: 0, durationMs: 1, node: 3, factor: 6 },
      { kind: 'flash-crowd', atMs: 0, durationMs: 1, factor: 5 },
    ] as const;
    assert.deepEqual(calmNodes(new Calm(plan, 5)), [3, 4]);
    assert.deepEqual(calmNodes(new Calm(plan, 5, ['slow'])), [4]);
  });

  it('agrees with looking at every fault, however they overlap', () => {
    const fault = fc.record({ atMs: fc.nat(200_000), durationMs: fc.nat(20_000) });
    fc.assert(
      fc.property(fc.array(fault, { maxLength: 12 }), fc.nat(250_000), fc.nat(10_000), (faults, fromMs, lengthMs) => {
        const calm = new Calm(
          faults.map((one) => ({ kind: 'pause' as const, node: 0, ...one })),
          1,
        );
        const toMs = fromMs + lengthMs;
        const touched = faults.some((one) => one.atMs <= toMs && one.atMs + one.durationMs + SETTLE_MS >= fromMs);
        return calm.isCalm(0, fromMs, toMs) === !touched;
      }),
    );
  });
});

describe('presence', () => {
  it('follows starts, stops and returns', () => {
    const presence = new Presence(2);
    presence.observe({ type: 'started', node: 0, incarnation: 1 }, 10);
    assert.equal(presence.isUpSince(0, 10), true);
    assert.equal(presence.isUpSince(0, 9), false);
    presence.observe({ type: 'stopped', node: 0, how: 'paused' }, 20);
    assert.equal(presence.isUp(0), false);
    assert.equal(presence.upCount, 0);
    presence.observe({ type: 'resumed', node: 0 }, 30);
    assert.equal(presence.isUpSince(0, 29), false);
    assert.equal(presence.upCount, 1);
    assert.equal(presence.isUp(1), false);
  });
});
