import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { Echo } from '../../src/inference/upstream-echo.ts';

describe('the echo of a text that a server was given', () => {
  it('is dropped when it is whole, and else left alone', () => {
    for (const { given, deltas, expected } of [
      { given: '', deltas: ['a', 'b'], expected: ['a', 'b'] },
      { given: 'ab', deltas: ['a', 'b'], expected: [] },
      { given: 'ab', deltas: ['a', 'bc', 'd'], expected: ['c', 'd'] },
      { given: 'ab', deltas: ['a', 'c', 'd'], expected: ['a', 'c', 'd'] },
      { given: 'ab', deltas: ['a'], expected: ['a'] },
      { given: 'ab', deltas: ['abab'], expected: ['ab'] },
    ])
      assert.deepEqual(feed(given, deltas), expected, `${given} then ${deltas.join('|')}`);
  });

  it('depends only on the text, not on how it is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 6 });
    fc.assert(
      fc.property(letters, fc.array(letters, { maxLength: 6 }), (given, deltas) => {
        const whole = deltas.join('');
        const expected = whole.startsWith(given) ? whole.slice(given.length) : whole;
        assert.equal(feed(given, deltas).join(''), expected);
      }),
    );
  });
});

function feed(given: string, deltas: readonly string[]): readonly string[] {
  const echo = new Echo(given);
  return [...deltas.flatMap((delta) => echo.accept(delta)), ...echo.release()];
}
