import assert from 'node:assert/strict';
import { Restarts, RESTARTS } from '../../../src/inference/llama/restarts.ts';

describe('restarts of a model', () => {
  it('may happen at once before any death', () => {
    assert.deepEqual(new Restarts().answer(0), { type: 'now' });
  });

  it('wait after a death, and twice as long after the next', () => {
    const restarts = new Restarts();
    restarts.died(1_000);
    assert.deepEqual(restarts.answer(1_000), { type: 'wait', waitMs: RESTARTS.backOffMsMin });
    assert.deepEqual(restarts.answer(1_000 + RESTARTS.backOffMsMin - 1), { type: 'wait', waitMs: 1 });
    assert.deepEqual(restarts.answer(1_000 + RESTARTS.backOffMsMin), { type: 'now' });
    restarts.died(2_000);
    assert.deepEqual(restarts.answer(2_000), { type: 'wait', waitMs: 2 * RESTARTS.backOffMsMin });
  });

  it('end with the third death within ten minutes, and not with a later one', () => {
    for (const { lastMs, expected } of [
      { lastMs: RESTARTS.windowMs - 1, expected: 'never' },
      { lastMs: RESTARTS.windowMs, expected: 'wait' },
    ]) {
      const restarts = new Restarts();
      for (const atMs of [0, 1, lastMs]) restarts.died(atMs);
      assert.equal(restarts.answer(lastMs).type, expected);
    }
  });

  it('start afresh when somebody asks for it', () => {
    const restarts = new Restarts();
    for (const atMs of [0, 1, 2]) restarts.died(atMs);
    restarts.forgive();
    assert.deepEqual(restarts.answer(3), { type: 'now' });
  });
});
