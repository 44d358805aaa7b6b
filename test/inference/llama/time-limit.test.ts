import assert from 'node:assert/strict';
import { withinTime } from '../../../src/inference/llama/time-limit.io.ts';

describe('a call with a time limit', () => {
  it('gives its value, or throws what it throws', () => {
    assert.deepEqual(
      withinTime(5_000, () => 7),
      { type: 'done', value: 7 },
    );
    assert.deepEqual(
      withinTime(5_000, () => undefined),
      { type: 'done', value: undefined },
    );
    const error = new RangeError('out of range');
    assert.throws(
      () =>
        withinTime(5_000, () => {
          throw error;
        }),
      (thrown) => thrown === error,
    );
  });

  it('is ended in the middle when it does not return, whatever it tries, and the next is not', () => {
    let handlers = 0;
    const endless = withinTime(50, () => {
      for (;;) {
        try {
          for (;;) JSON.stringify([handlers]);
        } catch {
          handlers += 1;
        } finally {
          handlers += 1;
        }
      }
    });
    assert.deepEqual(endless, { type: 'too-slow' });
    assert.equal(handlers, 0);
    assert.deepEqual(
      withinTime(5_000, () => 8),
      { type: 'done', value: 8 },
    );
  });
});
