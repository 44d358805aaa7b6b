import assert from 'node:assert/strict';
import {
  checkShape,
  describeProblem,
  exactly,
  numberWithin,
  readJson,
  show,
  within,
} from '../../simulations/problem.ts';

describe('a problem with what somebody wrote', () => {
  it('names the field where there is one', () => {
    assert.equal(describeProblem({ field: 'a.b', expected: 'this', got: 'that' }), 'a.b: expected this, got that');
    assert.equal(describeProblem({ field: '', expected: 'this', got: 'that' }), 'expected this, got that');
  });

  it('is found under the name of its part', () => {
    const problems = ['[3].node', 'node', ''].map((field) => ({ field, expected: 'this', got: 'that' }));
    const fields = within('plan', problems).map(({ field }) => field);
    assert.deepEqual(fields, ['plan[3].node', 'plan.node', 'plan']);
  });

  it('shows what was found, cut where it is long', () => {
    const cases: readonly (readonly [value: unknown, text: string])[] = [
      [undefined, 'nothing'],
      [null, 'null'],
      [Number.NaN, 'NaN'],
      ['x', '"x"'],
      ['x'.repeat(58), `"${'x'.repeat(58)}"`],
      ['x'.repeat(59), `"${'x'.repeat(59)}...`],
    ];
    for (const [value, text] of cases) assert.equal(show(value), text);
  });

  it('is not made of what an object inherits', () => {
    const result = checkShape(exactly({ toString: numberWithin(0, 1) }), {});
    assert.deepEqual(result.type === 'invalid' && result.problems.map(describeProblem), [
      'toString: expected a number from 0 to 1, got nothing',
    ]);
  });

  it('says what is wrong with JSON', () => {
    assert.deepEqual(readJson('{"a":1}'), { type: 'valid', value: { a: 1 } });
    const result = readJson('{"a":');
    assert.match(
      result.type === 'invalid' ? describeProblem(result.problems[0] ?? assert.fail()) : '',
      /^expected JSON, got .+/,
    );
  });
});
