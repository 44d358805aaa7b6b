import assert from 'node:assert/strict';
import { checkPlan } from '../../../simulations/faults/fault-check.ts';
import type { Fault } from '../../../simulations/faults/fault.ts';
import { describeProblem } from '../../../simulations/problem.ts';
import { EXAMPLE } from '../example-scenario.ts';
import type { Scenario } from '../../../simulations/scenario.ts';

/** 12 nodes, faults from 30 s to 180 s. */
function problemsOf(plan: unknown, scenario: Scenario = EXAMPLE): readonly string[] {
  const result = checkPlan(plan, scenario);
  return result.type === 'valid' ? [] : result.problems.map(describeProblem);
}

const CRASH = { kind: 'crash', node: 3, atMs: 40_000, durationMs: 10_000, state: 'kept' } as const;
const PARTITION = {
  kind: 'partition',
  atMs: 40_000,
  durationMs: 10_000,
  groups: [
    [0, 1],
    [2, 3],
  ],
  direction: 'both',
} as const;

describe('checking a plan of faults', () => {
  it('takes one of each kind', () => {
    const lasts = { atMs: 40_000, durationMs: 1_000 };
    const plan: readonly Fault[] = [
      { kind: 'crash', node: 0, ...lasts, state: 'lost' },
      { kind: 'power-loss', node: 1, ...lasts },
      { kind: 'leave', node: 2, ...lasts },
      { kind: 'pause', node: 3, ...lasts },
      { kind: 'suspend', node: 4, ...lasts, clock: 'halts' },
      { kind: 'partition', ...lasts, groups: [[0], [1, 2], [3]], direction: 'from-first' },
      { kind: 'swizzle', ...lasts, nodes: [5, 1] },
      { kind: 'loss', node: 0, ...lasts, loss: 0.2 },
      { kind: 'delay', node: 0, ...lasts, addedMs: 100 },
      { kind: 'bandwidth', node: 0, ...lasts, bytesPerSecond: 10_000 },
      { kind: 'duplicate', node: 0, ...lasts },
      { kind: 'clock-step', node: 0, atMs: 40_000, byMs: -5 },
      { kind: 'clock-drift', node: 0, ...lasts, partsPerMillion: -500 },
      { kind: 'slow', node: 0, ...lasts, factor: 4 },
      { kind: 'gray', node: 0, ...lasts, how: 'deaf' },
      { kind: 'disk-full', node: 0, ...lasts },
      { kind: 'flash-crowd', ...lasts, factor: 4 },
      { kind: 'relay-loss', node: 0, ...lasts },
      { kind: 'nat-rebinding', node: 0, atMs: 40_000 },
      { kind: 'version-skew', node: 0, ...lasts },
      { kind: 'liar', node: 0, ...lasts, lie: 'load' },
    ];
    assert.deepEqual(checkPlan(JSON.parse(JSON.stringify(plan)), EXAMPLE), { type: 'valid', value: plan });
  });

  it('returns the plan in the order of time', () => {
    const later = { ...CRASH, atMs: 60_000 };
    assert.deepEqual(checkPlan([later, CRASH], EXAMPLE), { type: 'valid', value: [CRASH, later] });
  });

  const cases: readonly (readonly [what: string, plan: unknown, problem: string])[] = [
    ['what is no list', { kind: 'crash' }, 'expected a list of faults, got {"kind":"crash"}'],
    ['an unknown kind', [{ kind: 'meteor', atMs: 1 }], '[0].kind: expected a known kind of fault, got "meteor"'],
    [
      'a missing field',
      [{ kind: 'crash', node: 3, atMs: 40_000, durationMs: 1 }],
      '[0].state: expected one of kept, lost, got nothing',
    ],
    [
      'an unknown field',
      [{ ...CRASH, hard: true }],
      '[0].hard: expected one of the fields kind, atMs, durationMs, node, state, got another name',
    ],
    ['a node that does not exist', [CRASH, { ...CRASH, node: 12 }], '[1].node: expected a node from 0 to 11, got 12'],
    [
      'a group with a node that does not exist',
      [{ ...PARTITION, groups: [[0], [1, 99]] }],
      '[0].groups[1][1]: expected a node from 0 to 11, got 99',
    ],
    ['a single group', [{ ...PARTITION, groups: [[0, 1]] }], '[0].groups: expected two groups or more, got 1'],
    ['an empty group', [{ ...PARTITION, groups: [[0], []] }], '[0].groups[1]: expected at least one node, got none'],
    [
      'overlapping groups',
      [{ ...PARTITION, groups: [[0, 1], [1]] }],
      '[0].groups[1][0]: expected each node once, got node 1 again',
    ],
    [
      'a swizzle of nobody',
      [{ kind: 'swizzle', atMs: 40_000, durationMs: 1, nodes: [] }],
      '[0].nodes: expected at least one node, got none',
    ],
    [
      'a fault before the time for faults',
      [{ ...CRASH, atMs: 29_999 }],
      '[0].atMs: expected a time from faultsFromMs (30000) to healAtMs (180000), got 29999',
    ],
    [
      'a fault that outlasts the healing',
      [{ ...CRASH, durationMs: 140_001 }],
      '[0].durationMs: expected an end by healAtMs (180000), so at most 140000, got 140001',
    ],
    [
      'a node that is crashed and suspended at once',
      [CRASH, { kind: 'suspend', node: 3, atMs: 50_000, durationMs: 5, clock: 'halts' }],
      '[1].atMs: expected a time after 50000, when the crash of node 3 in [0] ends, got 50000',
    ],
    [
      'two crowds at once',
      [
        { kind: 'flash-crowd', atMs: 41_000, durationMs: 5_000, factor: 2 },
        { kind: 'flash-crowd', atMs: 40_000, durationMs: 5_000, factor: 3 },
      ],
      '[0].atMs: expected a time after 45000, when the flash-crowd in [1] ends, got 41000',
    ],
    [
      'more than a third of liars',
      [0, 1, 2, 3, 4].map((node) => ({ kind: 'liar', node, atMs: 40_000, durationMs: 1, lie: 'load' })),
      'expected at most a third of the nodes as liars (4), got 5',
    ],
  ];
  for (const [what, plan, problem] of cases)
    it(`refuses ${what}`, () => {
      assert.deepEqual(problemsOf(plan), [problem]);
    });

  it('takes what is just not refused', () => {
    const liars = [0, 1, 2, 3].map((node) => ({ kind: 'liar', node, atMs: 40_000, durationMs: 1, lie: 'load' }));
    const fine: readonly (readonly unknown[])[] = [
      [],
      [{ ...CRASH, node: 11 }],
      [{ ...CRASH, atMs: 30_000, durationMs: 150_000 }],
      [CRASH, { kind: 'suspend', node: 3, atMs: 50_001, durationMs: 5, clock: 'halts' }],
      [CRASH, { kind: 'suspend', node: 4, atMs: 45_000, durationMs: 5, clock: 'halts' }],
      [PARTITION, { ...PARTITION, atMs: 45_000 }],
      liars,
      [...liars, { kind: 'liar', node: 0, atMs: 50_000, durationMs: 1, lie: 'flood' }],
    ];
    for (const plan of fine) assert.deepEqual(problemsOf(plan), [], JSON.stringify(plan));
  });

  it('remembers a long fault behind a short one', () => {
    const long = { kind: 'slow', node: 1, atMs: 40_000, durationMs: 50_000, factor: 2 };
    const short = { ...long, atMs: 41_000, durationMs: 10 };
    const late = { ...long, atMs: 60_000, durationMs: 10 };
    assert.equal(problemsOf([long, short, late]).length, 2);
  });

  it('refuses a flash crowd where nobody asks', () => {
    const plan = [{ kind: 'flash-crowd', atMs: 41_000, durationMs: 5_000, factor: 2 }];
    const silent: Scenario = { ...EXAMPLE, workload: { ...EXAMPLE.workload, arrivals: 'none' } };
    assert.deepEqual(problemsOf(plan, silent), [
      '[0].kind: expected no flash crowd where workload.arrivals is none, got flash-crowd',
    ]);
  });
});
