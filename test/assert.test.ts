import assert from 'node:assert/strict';
import { invariant, unreachable } from '../src/assert.ts';

describe('an invariant', () => {
  it('is silent while it holds', () => {
    assert.doesNotThrow(() => invariant(Date.length > 0, 'holds'));
  });

  it('names itself when it is broken', () => {
    assert.throws(
      () => invariant(Date.length < 0, 'a lease has one holder'),
      /invariant broken: a lease has one holder/,
    );
  });
});

describe('an unreachable case', () => {
  it('shows the value that got there', () => {
    // The compiler refuses such a call; data from elsewhere could cause it all the same.
    const call: (...values: never[]) => never = unreachable;
    assert.throws(
      () => Reflect.apply(call, undefined, [{ type: 'new-kind' }]),
      /unreachable case: \{"type":"new-kind"\}/,
    );
  });
});
