import assert from 'node:assert/strict';
import { equalInputs, equalInputsEqualLists } from '../../../simulations/checkers/s5-placement.ts';
import { check, nodeName, placed, planOf } from './trace.ts';

function details(...plans: ReturnType<typeof planOf>[]): string[] {
  return check(
    equalInputsEqualLists,
    plans.map((plan, index) => [index, placed('a', plan)] as const),
  ).map(({ detail }) => detail);
}

function rows(first: number, second: number): { node: number; weight: number }[] {
  return [
    { node: 0, weight: first },
    { node: 1, weight: second },
  ];
}

describe('S5, equal inputs give equal lists', () => {
  it('is content with lists that follow their records', () => {
    const mixed = [
      { node: 0, weight: 30 },
      { node: 1, weight: 20, affinity: true },
      { node: 2, weight: 10 },
      { node: 3, weight: 0 },
    ];
    assert.deepEqual(details(planOf(mixed, [1, 0, 2, 3]), planOf(mixed, [0, 2, 3])), []);
  });

  it('runs the production placement again on the costs of the record, in three orders', () => {
    const many = Array.from({ length: 40 }, (_, node) => ({ node, weight: 1, costMs: 100 + ((node * 37) % 11) * 50 }));
    const trace = [[0, placed('a', planOf(many, [0, 1, 2]))]] as const;
    assert.deepEqual(check(equalInputsEqualLists, trace), []);
    const byArrival = equalInputs((candidates) => candidates.map(({ node }) => node).join(' '));
    assert.match(check(byArrival, trace)[0]?.detail ?? '', /equal candidates in another order/);
  });

  it('sees a list that breaks its own record', () => {
    const record = planOf(rows(30, 0));
    const refusal = { node: nodeName(0), reason: 'not-alive', why: '' } as const;
    const refused = { ...record, explain: { ...record.explain, refused: [refusal] } };
    assert.match(details(planOf(rows(30, 0), [1, 0]))[0] ?? '', /weight 0 goes before/);
    assert.match(details(planOf(rows(30, 0), [0, 0]))[0] ?? '', /twice/);
    assert.match(details(planOf(rows(30, 0), [0, 9]))[0] ?? '', /not in the record/);
    assert.match(details(refused)[0] ?? '', /ranked and refused/);
  });

  it('sees two nodes that change places without a reason in their weights', () => {
    for (const { weights, broken } of [
      { weights: [20, 10], broken: true },
      { weights: [40, 20], broken: true },
      { weights: [30, 10], broken: true },
      { weights: [39, 20], broken: false },
    ] as const) {
      const seen = details(planOf(rows(20, 10), [0, 1]), planOf(rows(weights[0], weights[1]), [1, 0]));
      assert.equal(seen.length, broken ? 1 : 0, weights.join(' and '));
    }
    assert.equal(details(planOf(rows(20, 10), [0, 1]), planOf(rows(20, 10), [1])).length, 0, 'one was left out');
  });
});
