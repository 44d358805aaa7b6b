import assert from 'node:assert/strict';
import { equalInputs, equalInputsEqualLists } from '../../../simulations/checkers/s5-placement.ts';
import type { WorldEvent } from '../../../simulations/world-event.ts';
import { check, nodeName, placed, planOf, type Trace, tryStarted } from './trace.ts';

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

function row(costMs: number): { node: number; weight: number; costMs: number } {
  return { node: 1, weight: 9, costMs };
}

describe('S5, what a busy answer told shows in the next placements', () => {
  const busy: WorldEvent = {
    type: 'try-ended',
    node: 0,
    requestId: 'a',
    server: 1,
    outcome: 'busy',
    code: '',
    load: { queued: 3, slotMs: 500 },
  };
  /** Node 1 told node 0 that three wait for 500 ms each: at least 0.7 * 4 * 500 ms. */
  const told: Trace = [
    [0, placed('a', planOf([row(100)]))],
    [1, tryStarted('a', 1)],
    [100, busy],
  ];
  const after = (costMs: number): Trace[number] => [200, placed('b', planOf([row(costMs)]))];
  const seen = (...trace: Trace): string[] =>
    check(equalInputsEqualLists, [...told, ...trace]).map(({ detail }) => detail);

  it('by at least seven tenths of the queue that it told', () => {
    assert.deepEqual(seen(after(1_400)), []);
    assert.match(seen(after(1_399))[0] ?? '', /n1 said 100 ms ago .* in 1399 ms; at least 1400 ms follow/);
  });

  const beacon: WorldEvent = {
    type: 'judged',
    node: 0,
    way: 'gossip',
    author: 1,
    incarnation: 1,
    sequence: 1,
    body: 'load',
    verdict: 'accept',
    reason: '',
    madeAtMs: 120,
    forged: false,
  };
  for (const { what, event, count } of [
    { what: 'its next beacon', event: beacon, count: 0 },
    { what: 'a restart of the entrance', event: { type: 'started', node: 0, incarnation: 2 }, count: 0 },
    { what: "a beacon of another node's", event: { ...beacon, author: 2 }, count: 1 },
    { what: 'a beacon that is ignored', event: { ...beacon, verdict: 'ignore' }, count: 1 },
    { what: 'a beacon at another node', event: { ...beacon, node: 2 }, count: 1 },
  ] satisfies { what: string; event: WorldEvent; count: number }[])
    it(`${count === 0 ? 'until' : 'also after'} ${what}`, () => {
      assert.equal(seen([150, event], after(100)).length, count);
    });
});
