import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { checkPlan } from '../../../simulations/faults/fault-check.ts';
import type { Fault, FaultKind, FaultPlan } from '../../../simulations/faults/fault.ts';
import { FAULT_KINDS, endOf, isLifecycle, nodeOf } from '../../../simulations/faults/fault-kinds.ts';
import { generatePlan } from '../../../simulations/faults/fault-plan.ts';
import { SeededRandom } from '../../../simulations/kernel/keyed-random.ts';
import { checkScenario } from '../../../simulations/scenario-check.ts';
import { EXAMPLE } from '../example-scenario.ts';
import type { FaultMix, Scenario } from '../../../simulations/scenario.ts';

const RELAYED: Scenario = { ...EXAMPLE, nat: { public: 1, 'relay-only': 1 } };

function planOf(seed: number, faults: FaultMix, scenario: Scenario = RELAYED): FaultPlan {
  return generatePlan({ scenario: { ...scenario, faults }, random: new SeededRandom(seed) });
}

function everyKind(rate: number): FaultMix['perNodeHour'] {
  return Object.fromEntries(FAULT_KINDS.map((kind) => [kind, rate]));
}

function longestMs(plan: FaultPlan): number {
  return Math.max(...plan.map((fault) => endOf(fault) - fault.atMs));
}

const anyScenario: fc.Arbitrary<Scenario> = fc
  .record({
    nodes: fc.integer({ min: 3, max: 40 }),
    rate: fc.double({ min: 0.1, max: 120, noNaN: true }),
    enable: fc.double({ min: 0, max: 1, noNaN: true }),
    habitSpeed: fc.constantFrom(1, 60, 1_000),
    window: fc.integer({ min: 0, max: 600_000 }),
  })
  .map(({ nodes, rate, enable, habitSpeed, window }) => ({
    ...RELAYED,
    nodes,
    bootstraps: 1,
    faults: { perNodeHour: everyKind(rate), enable, habitSpeed },
    healAtMs: RELAYED.faultsFromMs + window,
    durationMs: RELAYED.durationMs + window,
  }));

describe('a generated plan', () => {
  it('passes the check of plans, whatever the scenario and the seed', () => {
    fc.assert(
      fc.property(anyScenario, fc.nat(), (scenario, seed) => {
        assert.equal(checkScenario(scenario).type, 'valid');
        const plan = generatePlan({ scenario, random: new SeededRandom(seed) });
        assert.deepEqual(checkPlan(plan, scenario), { type: 'valid', value: plan });
      }),
      { numRuns: 60 },
    );
  });

  it('is the same for the same seed, and another for another', () => {
    const mix: FaultMix = { perNodeHour: everyKind(10), enable: 1 };
    assert.deepEqual(planOf(5, mix), planOf(5, mix));
    assert.notDeepEqual(planOf(5, mix), planOf(6, mix));
  });

  it('has nothing in it where nothing may strike', () => {
    assert.deepEqual(planOf(1, { perNodeHour: {}, enable: 1 }), []);
    assert.deepEqual(planOf(1, { perNodeHour: { crash: 0 }, enable: 1 }), []);
    assert.deepEqual(planOf(1, { perNodeHour: everyKind(100), enable: 0 }), []);
  });

  it('leaves the faults of a kind as they are when another kind is taken out', () => {
    const kinds = ['slow', 'loss', 'clock-step'] as const satisfies readonly FaultKind[];
    const both = planOf(9, { perNodeHour: { slow: 20, loss: 20, 'clock-step': 20 }, enable: 1 });
    for (const kind of kinds) {
      const alone = planOf(9, { perNodeHour: { [kind]: 20 }, enable: 1 });
      assert.ok(alone.length > 0);
      assert.deepEqual(
        both.filter((fault) => fault.kind === kind),
        alone,
      );
    }
  });

  it('leaves the faults of a node as they are when the mesh has more nodes', () => {
    const mix: FaultMix = { perNodeHour: { slow: 20 }, enable: 1 };
    const few = planOf(9, mix, { ...RELAYED, nodes: 8 });
    const many = planOf(9, mix, { ...RELAYED, nodes: 16 });
    assert.deepEqual(
      many.filter((fault) => (nodeOf(fault) ?? 0) < 8),
      few,
    );
    assert.ok(many.length > few.length);
  });

  it('enables each kind for its share of the seeds', () => {
    let enabled = 0;
    for (let seed = 0; seed < 400; seed += 1)
      enabled += planOf(seed, { perNodeHour: { 'nat-rebinding': 60 }, enable: 0.3 }).length > 0 ? 1 : 0;
    assert.ok(enabled > 90 && enabled < 150, `${enabled} of 400, expected about 120`);
  });

  it('strikes as often as the scenario says, nodes and mesh alike', () => {
    // 12 nodes for 150 s: half a node-hour. Strikes at once, so that none stands in the way of another.
    for (const kind of ['nat-rebinding', 'partition'] as const) {
      let faults = 0;
      for (let seed = 0; seed < 200; seed += 1)
        faults += planOf(seed, { perNodeHour: { [kind]: 8 }, enable: 1 }).length;
      assert.ok(faults > 700 && faults < 900, `${kind}: ${faults} in 200 runs, expected about 800`);
    }
  });

  it('leaves a second of life between two faults that take the same node away', () => {
    const mix: FaultMix = { perNodeHour: { crash: 100, pause: 200, suspend: 100, leave: 100 }, enable: 1 };
    const last = new Map<number, Fault>();
    let compared = 0;
    for (const fault of planOf(2, mix)) {
      assert.ok(isLifecycle(fault.kind));
      const node = nodeOf(fault) ?? -1;
      const before = last.get(node);
      if (before !== undefined) {
        compared += 1;
        assert.ok(fault.atMs >= endOf(before) + 1_000, JSON.stringify([before, fault]));
      }
      last.set(node, fault);
    }
    assert.ok(compared > 10);
  });

  it('has at most a third of liars, and has them all where it can', () => {
    const plan = planOf(3, { perNodeHour: { liar: 200 }, enable: 1 });
    const liars = new Set(plan.map(nodeOf));
    assert.equal(liars.size, 4);
    assert.ok(plan.length > 4, 'the same ones lie again');
  });

  it('is over when the world heals', () => {
    const plan = planOf(4, { perNodeHour: everyKind(60), enable: 1 });
    assert.ok(plan.some((fault) => endOf(fault) === EXAMPLE.healAtMs));
    assert.ok(plan.every((fault) => endOf(fault) <= EXAMPLE.healAtMs));
  });

  it('varies what can vary', () => {
    const plan = Array.from({ length: 20 }, (_, seed) =>
      planOf(seed, { perNodeHour: everyKind(20), enable: 1 }),
    ).flat();
    const seen = (value: (fault: Fault) => unknown): number => new Set(plan.map(value).filter(Boolean)).size;
    assert.equal(
      seen((fault) => fault.kind === 'liar' && fault.lie),
      6,
    );
    assert.equal(
      seen((fault) => fault.kind === 'crash' && fault.state),
      2,
    );
    assert.equal(
      seen((fault) => fault.kind === 'suspend' && fault.clock),
      2,
    );
    assert.equal(
      seen((fault) => fault.kind === 'gray' && fault.how),
      2,
    );
    assert.equal(
      seen((fault) => fault.kind === 'partition' && fault.direction),
      2,
    );
    assert.ok(seen((fault) => fault.kind === 'partition' && fault.groups[0]?.length) > 5);
    const pauses = plan.flatMap((fault) => (fault.kind === 'pause' ? [fault.durationMs] : []));
    assert.ok(pauses.some((durationMs) => durationMs < 2_000) && pauses.some((durationMs) => durationMs > 15_000));
  });
});

describe('the habits of owners', () => {
  const HOME: Scenario = {
    ...EXAMPLE,
    nodes: 30,
    machines: { server: 1, mini: 1, laptop: 2, gaming: 1 },
    healAtMs: 8 * 3_600_000,
    durationMs: 9 * 3_600_000,
  };

  function kindsOf(machines: Scenario['machines']): readonly string[] {
    return [...new Set(habits(1, 4, machines).map(({ kind }) => kind))].toSorted();
  }

  function habits(seed: number, habitSpeed: number | undefined, machines = HOME.machines): FaultPlan {
    const mix: FaultMix = { perNodeHour: {}, enable: 1, ...(habitSpeed === undefined ? {} : { habitSpeed }) };
    return planOf(seed, mix, { ...HOME, machines });
  }

  it('are asked for', () => {
    assert.deepEqual(habits(1, undefined), []);
    assert.ok(habits(1, 1).length > 20);
  });

  it('are those of the machine: servers and minis stay, laptops sleep, gaming machines play and are switched off', () => {
    assert.deepEqual(kindsOf({ server: 1, mini: 1 }), []);
    assert.deepEqual(kindsOf({ laptop: 1 }), ['suspend']);
    assert.deepEqual(kindsOf({ gaming: 1 }), ['leave', 'slow']);
  });

  it('come more often and last less long where time is compressed', () => {
    const usual = habits(1, 1, { laptop: 1 });
    const fast = habits(1, 10, { laptop: 1 });
    assert.ok(fast.length > 5 * usual.length);
    assert.ok(longestMs(fast) < longestMs(usual));
  });
});
