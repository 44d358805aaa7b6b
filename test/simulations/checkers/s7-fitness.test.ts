import assert from 'node:assert/strict';
import { nothingRunsAmiss, SETTLED_MS } from '../../../simulations/checkers/s7-fitness.ts';
import { check, started, type Trace, tryStarted } from './trace.ts';

const skew = { kind: 'version-skew', node: 1, atMs: 10_000, durationMs: 50_000 } as const;

function begun(node: number, atMs: number): Trace[number] {
  return [atMs, { type: 'started', node, incarnation: 200 }];
}

function resumed(node: number, atMs: number): Trace[number] {
  return [atMs, { type: 'resumed', node }];
}

describe('S7, nothing runs amiss', () => {
  const other = [...started(4), begun(1, skew.atMs)];
  const knownMs = skew.atMs + SETTLED_MS + 1;

  it('keeps those apart who run other parameters, once they had time to hear of it', () => {
    for (const { trace, plan, count } of [
      { trace: [[knownMs, tryStarted('a', 1)] as const], count: 1 },
      { trace: [[knownMs - 1, tryStarted('a', 1)] as const], count: 0 },
      // Who slept is told after it woke: the asker is 0, the asked one 1.
      { trace: [resumed(0, 40_000), [40_000 + SETTLED_MS, tryStarted('a', 1)] as const], count: 0 },
      { trace: [resumed(0, 40_000), [40_001 + SETTLED_MS, tryStarted('a', 1)] as const], count: 1 },
      { trace: [resumed(1, 40_000), [40_000 + SETTLED_MS, tryStarted('a', 1)] as const], count: 0 },
      { trace: [resumed(2, 40_000), [40_000 + SETTLED_MS, tryStarted('a', 1)] as const], count: 1 },
      { trace: [[knownMs, tryStarted('a', 2)] as const], count: 0 },
      { trace: [begun(1, 60_000), [90_000, tryStarted('a', 1)] as const], count: 0 },
      {
        trace: [begun(0, 11_000), [50_000, tryStarted('a', 2)] as const],
        plan: [skew, { ...skew, node: 0 }],
        count: 1,
      },
      {
        trace: [begun(0, 11_000), [50_000, tryStarted('a', 1)] as const],
        plan: [skew, { ...skew, node: 0 }],
        count: 0,
      },
      { trace: [[knownMs, tryStarted('a', 1)] as const], plan: [skew, { ...skew, atMs: 60_000 }], count: 0 },
    ])
      assert.equal(check(nothingRunsAmiss, [...other, ...trace], { plan: plan ?? [skew] }).length, count);
  });

  it('wants nobody to be asked for a model that it does not hold', () => {
    const offered = { type: 'offered', node: 1, from: 0, requestId: 'a', answer: 'refused' } as const;
    assert.equal(check(nothingRunsAmiss, [[1, { ...offered, code: 'model-not-ready' }]]).length, 1);
    assert.equal(check(nothingRunsAmiss, [[1, { ...offered, code: 'busy' }]]).length, 0);
  });
});
