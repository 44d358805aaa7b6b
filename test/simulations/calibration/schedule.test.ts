import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  BASE_MS,
  makeSchedule,
  NODES_MAX,
  NODES_MIN,
  planOf,
  scenarioOf,
  strikeName,
} from '../../../simulations/calibration/schedule.ts';
import { checkPlan } from '../../../simulations/faults/fault-check.ts';
import { checkScenario } from '../../../simulations/scenario-check.ts';
import { LIVENESS } from '../../../src/params.ts';

const anySchedule = fc
  .record({ seed: fc.nat(), nodes: fc.integer({ min: NODES_MIN, max: NODES_MAX }) })
  .map(({ seed, nodes }) => makeSchedule(seed, nodes));

describe('the schedule of a calibration', () => {
  it('is the same for the same seed, and another for another', () => {
    assert.deepEqual(makeSchedule(7, 10), makeSchedule(7, 10));
    assert.notDeepEqual(makeSchedule(7, 10).strikes, makeSchedule(8, 10).strikes);
  });

  it('strikes every kind once, each at another node, and never the one by which the others join', () => {
    fc.assert(
      fc.property(anySchedule, ({ strikes, nodes }) => {
        assert.deepEqual(strikes.map(strikeName), ['kill -9', 'SIGSTOP 5 s', 'SIGSTOP 20 s', 'SIGTERM']);
        const victims = strikes.map(({ node }) => node);
        assert.equal(new Set(victims).size, victims.length);
        assert.ok(victims.every((node) => node >= 1 && node < nodes));
      }),
    );
  });

  it('lets each strike end, and be digested, before the next one', () => {
    fc.assert(
      fc.property(anySchedule, ({ strikes, endMs }) => {
        const ends = strikes.map((strike) => strike.atMs + ('durationMs' in strike ? strike.durationMs : 0));
        const next = [...strikes.slice(1).map(({ atMs }) => atMs), endMs];
        for (const [index, endedMs] of ends.entries()) assert.ok((next[index] ?? 0) - endedMs >= 4_000);
      }),
    );
  });

  it('kills for longer than it takes to be dead, and stops once for less and once for more', () => {
    const deadMs = LIVENESS.suspectAfterMs + LIVENESS.deadAfterMs;
    const [kill, short, long] = makeSchedule(1, 10).strikes.map((strike) =>
      'durationMs' in strike ? strike.durationMs : 0,
    );
    assert.ok((kill ?? 0) > LIVENESS.deadAfterMs);
    assert.ok((short ?? 0) > LIVENESS.suspectAfterMs && (short ?? 0) < deadMs);
    assert.ok((long ?? 0) > deadMs);
  });

  it('becomes a scenario and a plan that can be run, with the same strikes at the same times', () => {
    fc.assert(
      fc.property(anySchedule, (schedule) => {
        const scenario = scenarioOf(schedule);
        assert.deepEqual(checkScenario(scenario), { type: 'valid', value: scenario });
        const plan = planOf(schedule);
        assert.equal(checkPlan(plan, scenario).type, 'valid');
        assert.deepEqual(
          plan.map(({ atMs }) => atMs - BASE_MS),
          schedule.strikes.map(({ atMs }) => atMs),
        );
        assert.deepEqual(
          plan.map(({ kind }) => kind),
          ['crash', 'pause', 'pause', 'leave'],
        );
      }),
      { numRuns: 30 },
    );
  });
});
