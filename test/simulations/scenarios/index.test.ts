import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { checkPlan } from '../../../simulations/faults/fault-check.ts';
import { generatePlan } from '../../../simulations/faults/fault-plan.ts';
import { SeededRandom } from '../../../simulations/kernel/keyed-random.ts';
import { checkScenario } from '../../../simulations/scenario-check.ts';
import { SCENARIOS, SWARM_ROTATION, scenarioNames, swarmScenario } from '../../../simulations/scenarios/index.ts';

const SEEDS = 50;

describe('the scenarios', () => {
  it('are those of the folder, each in the file of its name', () => {
    const files = readdirSync(new URL('../../../simulations/scenarios', import.meta.url))
      .map((file) => file.replace(/\.ts$/, ''))
      .filter((name) => name !== 'index' && name !== 'base');
    assert.deepEqual(scenarioNames(), files.toSorted());
  });

  for (const scenario of SCENARIOS.values()) {
    it(`${scenario.name} is valid and asks a question`, () => {
      assert.deepEqual(checkScenario(scenario), { type: 'valid', value: scenario });
      assert.match(scenario.question, /^[A-Z].*[^?]\?$/);
    });

    it(`${scenario.name} has a valid plan for each seed, the same every time`, () => {
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        const plan = generatePlan({ scenario, random: new SeededRandom(seed) });
        assert.deepEqual(checkPlan(plan, scenario), { type: 'valid', value: plan }, `seed ${seed}`);
        assert.deepEqual(generatePlan({ scenario, random: new SeededRandom(seed) }), plan, `seed ${seed}`);
      }
    });
  }

  it('of the rotation are short, of 10 to 20 nodes, with every hop of gossip, and time to heal', () => {
    for (const { name, nodes, gossip, durationMs, healAtMs, drainMs } of SWARM_ROTATION) {
      assert.ok(nodes >= 10 && nodes <= 20, name);
      assert.ok(durationMs >= 180_000 && durationMs <= 240_000, name);
      assert.equal(gossip, 'hop', name);
      // Requests go on after healing, and have time to end.
      assert.ok(durationMs - drainMs >= healAtMs + 30_000, name);
    }
  });

  it('of the rotation come round in turn', () => {
    const length = SWARM_ROTATION.length;
    assert.equal(swarmScenario(0), SWARM_ROTATION[0]);
    assert.equal(swarmScenario(length - 1), SWARM_ROTATION[length - 1]);
    assert.equal(swarmScenario(length), SWARM_ROTATION[0]);
    assert.throws(() => swarmScenario(0.5), /invariant/);
  });

  it('of the rotation see every kind of fault within the seeds of one swarm', () => {
    const kinds = new Set<string>();
    for (let seed = 1; seed <= 300; seed += 1)
      for (const { kind } of generatePlan({ scenario: swarmScenario(seed), random: new SeededRandom(seed) }))
        kinds.add(kind);
    assert.equal(kinds.size, 21, [...kinds].join(', '));
  });
});
