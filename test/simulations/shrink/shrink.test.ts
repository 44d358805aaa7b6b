import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ddmin } from '../../../simulations/shrink/ddmin.ts';
import { checkPlan } from '../../../simulations/faults/fault-check.ts';
import { generatePlan } from '../../../simulations/faults/fault-plan.ts';
import type { Fault, FaultPlan } from '../../../simulations/faults/fault.ts';
import { SeededRandom } from '../../../simulations/kernel/keyed-random.ts';
import type { RunFile } from '../../../simulations/run-file.ts';
import type { Scenario } from '../../../simulations/scenario.ts';
import { checkScenario } from '../../../simulations/scenario-check.ts';
import { ANYTHING } from '../../../simulations/scenarios/anything.ts';
import { SMOKE } from '../../../simulations/scenarios/smoke.ts';
import { shrink, shrinking } from '../../../simulations/shrink/shrink.ts';
import { EXAMPLE } from '../example-scenario.ts';

/** 12 nodes and a few faults of every kind. */
const MIXED: Scenario = { ...EXAMPLE, nat: ANYTHING.nat, faults: { ...ANYTHING.faults, enable: 1 } };

function minimise<Item>(items: readonly Item[], fails: (items: readonly Item[]) => boolean): readonly Item[] {
  const search = ddmin(items);
  let next = search.next();
  while (next.done !== true) next = search.next(fails(next.value));
  return next.value;
}

function startOf(seed: number): RunFile {
  return { scenario: MIXED, seed, plan: generatePlan({ scenario: MIXED, random: new SeededRandom(seed) }) };
}

/** Fails while faults with these contents are there, whatever their times. */
function needs(...wanted: readonly Fault[]): (run: RunFile) => boolean {
  return ({ plan }) =>
    wanted.every((want) => plan.some((fault) => fault.kind === want.kind && fault.atMs === want.atMs));
}

describe('delta debugging', () => {
  it('finds the few that matter among many, in far fewer tries than there are sets', () => {
    const items = Array.from({ length: 64 }, (_, index) => index);
    let tries = 0;
    const found = minimise(items, (some) => {
      tries += 1;
      return some.includes(7) && some.includes(50);
    });
    assert.deepEqual(found, [7, 50]);
    assert.ok(tries < 100, `${tries} tries`);
  });

  it('finds that nothing is needed at once, and keeps a single one that is', () => {
    assert.deepEqual(
      minimise([1, 2, 3], () => true),
      [],
    );
    assert.deepEqual(
      minimise([1], (some) => some.length === 1),
      [1],
    );
    assert.deepEqual(
      minimise([], () => false),
      [],
    );
  });

  it('returns a part that fails and from which no single item can be left out', () => {
    const sets = fc.array(fc.uniqueArray(fc.nat({ max: 15 }), { minLength: 1 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(sets, fc.integer({ min: 1, max: 3 }), (wanted, modulus) => {
        const items = Array.from({ length: 16 }, (_, index) => index);
        // Not monotone: whether a set fails may depend on its size too.
        const fails = (some: readonly number[]): boolean =>
          some.length === 16 ||
          (some.length % modulus === 0 && wanted.some((set) => set.every((item) => some.includes(item))));
        const found = minimise(items, fails);
        assert.ok(fails(found));
        for (const item of found) assert.ok(!fails(found.filter((other) => other !== item)));
      }),
    );
  });
});

describe('shrinking a run that fails', () => {
  it('keeps only the faults that matter', () => {
    const start = startOf(4);
    const [first, second] = [start.plan[5], start.plan.at(-3)];
    assert.ok(first !== undefined && second !== undefined && start.plan.length > 12);
    const { smallest, steps, complete } = shrink({
      // Times are let alone here, so that the two are known by them.
      run: (run) => needs(first, second)(run) && run.scenario.durationMs === start.scenario.durationMs,
      start,
      budget: 1_000,
    });
    assert.deepEqual(
      smallest.plan.map(({ kind, atMs }) => ({ kind, atMs })),
      [first, second].map(({ kind, atMs }) => ({ kind, atMs })),
    );
    assert.ok(complete);
    assert.ok(steps.length > 0);
  });

  it('shortens what lasts to half of what it must be at most', () => {
    const fault: Fault = { kind: 'pause', node: 1, atMs: 9_000, durationMs: 10_000 };
    const start: RunFile = { scenario: SMOKE, seed: 1, plan: [fault] };
    const { smallest } = shrink({
      run: ({ plan }) => plan.some((one) => 'durationMs' in one && one.durationMs >= 2_600),
      start,
      budget: 300,
    });
    const [left] = smallest.plan;
    assert.ok(left?.kind === 'pause' && left.durationMs >= 2_600 && left.durationMs < 5_200, JSON.stringify(left));
  });

  it('leaves out nodes that no fault strikes, and moves the struck one to the first numbers', () => {
    const plan: FaultPlan = [{ kind: 'pause', node: 9, atMs: 40_000, durationMs: 5_000 }];
    const start: RunFile = { scenario: MIXED, seed: 1, plan };
    const { smallest } = shrink({
      run: (run) => run.plan.length === 1 && run.scenario.nodes >= 4,
      start,
      budget: 300,
    });
    assert.equal(smallest.scenario.nodes, 4);
    assert.ok(smallest.scenario.bootstraps <= 4);
    assert.equal(smallest.plan[0]?.kind === 'pause' && smallest.plan[0].node, 0);
  });

  it('never leaves out a node that a fault strikes where its number matters', () => {
    const plan: FaultPlan = [{ kind: 'pause', node: 9, atMs: 40_000, durationMs: 5_000 }];
    const { smallest } = shrink({
      run: (run) => run.plan.some((fault) => fault.kind === 'pause' && fault.node === 9),
      start: { scenario: MIXED, seed: 1, plan },
      budget: 300,
    });
    assert.equal(smallest.scenario.nodes, 10);
  });

  it('takes members out of the groups of a partition, and keeps one in each', () => {
    const groups = [
      [0, 2, 4, 6, 8, 10],
      [1, 3, 5, 7, 9, 11],
    ];
    const plan: FaultPlan = [{ kind: 'partition', atMs: 40_000, durationMs: 5_000, groups, direction: 'both' }];
    const { smallest } = shrink({
      run: (run) => run.plan.length === 1,
      start: { scenario: MIXED, seed: 1, plan },
      budget: 300,
    });
    assert.equal(smallest.scenario.nodes, 2);
    assert.deepEqual(smallest.plan[0]?.kind === 'partition' && smallest.plan[0].groups, [[0], [1]]);
  });

  it('ends with less time, fewer requests and one entrance', () => {
    const start = startOf(4);
    const { smallest } = shrink({
      run: ({ scenario }) => scenario.workload.arrivals !== 'none' && scenario.durationMs >= 50_000,
      start,
      budget: 500,
    });
    const { scenario, plan } = smallest;
    assert.equal(plan.length, 0);
    assert.equal(scenario.nodes, 1);
    assert.ok(scenario.durationMs < 60_000, String(scenario.durationMs));
    assert.ok(scenario.workload.load < 0.05);
  });

  it('drops all requests where they do not matter', () => {
    const { smallest } = shrink({ run: () => true, start: startOf(2), budget: 500 });
    assert.equal(smallest.scenario.workload.arrivals, 'none');
    assert.equal(smallest.plan.length, 0);
  });

  it('returns the start, after every try, where nothing smaller fails', () => {
    const start = startOf(3);
    const { smallest, runs, steps, complete } = shrink({ run: () => false, start, budget: 1_000 });
    assert.equal(smallest, start);
    assert.ok(runs > start.plan.length && complete);
    assert.deepEqual(steps, []);
  });

  it('makes no more runs than its budget, runs nothing twice and nothing that is invalid', () => {
    for (const budget of [0, 1, 7, 12]) {
      const seen = new Set<string>();
      const start = startOf(5);
      const [needed] = start.plan;
      assert.ok(needed !== undefined);
      const { runs, smallest, complete } = shrink({
        run: (run) => {
          assert.ok(!seen.has(JSON.stringify(run)));
          seen.add(JSON.stringify(run));
          assert.equal(checkScenario(run.scenario).type, 'valid');
          assert.deepEqual(checkPlan(run.plan, run.scenario), { type: 'valid', value: run.plan });
          return needs(needed)(run);
        },
        start,
        budget,
      });
      assert.equal(runs, seen.size);
      assert.equal(runs, budget);
      assert.ok(needs(needed)(smallest));
      assert.equal(complete, false);
    }
  });

  it('still fails in the end, and no single fault can be left out', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 50 }),
        fc.uniqueArray(fc.nat({ max: 9 }), { maxLength: 3 }),
        fc.nat({ max: 12 }),
        (seed, places, nodes) => {
          const start = startOf(seed);
          const kinds = new Set(places.flatMap((place) => start.plan[place]?.kind ?? []));
          const run = ({ plan, scenario }: RunFile): boolean =>
            scenario.nodes >= nodes && [...kinds].every((kind) => plan.some((fault) => fault.kind === kind));
          const { smallest, complete } = shrink({ run, start, budget: 2_000 });
          assert.ok(run(smallest) && complete);
          assert.equal(smallest.plan.length, kinds.size);
          for (const fault of smallest.plan)
            assert.ok(!run({ ...smallest, plan: smallest.plan.filter((other) => other !== fault) }));
        },
      ),
      { numRuns: 25 },
    );
  });

  it('can be driven by somebody who takes their time', () => {
    const search = shrinking({ start: startOf(2), budget: 50 });
    const first = search.next();
    assert.ok(first.done !== true && first.value.plan.length === 0, 'whether no fault is needed is asked first');
    const second = search.next(false);
    assert.ok(second.done !== true && second.value.plan.length > 0);
  });
});
