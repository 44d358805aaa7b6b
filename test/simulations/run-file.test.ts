import assert from 'node:assert/strict';
import { SeededRandom } from '../../simulations/kernel/keyed-random.ts';
import { generatePlan } from '../../simulations/faults/fault-plan.ts';
import { describeProblem } from '../../simulations/problem.ts';
import { readRun, writeRun } from '../../simulations/run-file.ts';
import { SCENARIOS } from '../../simulations/scenarios/index.ts';

function problemsOf(text: string): readonly string[] {
  const result = readRun(text);
  return result.type === 'valid' ? [] : result.problems.map(describeProblem);
}

describe('a run file', () => {
  it('reads what it wrote, for every scenario', () => {
    for (const scenario of SCENARIOS.values()) {
      const plan = generatePlan({ scenario, random: new SeededRandom(7) });
      const run = { scenario, seed: 7, plan };
      assert.deepEqual(readRun(writeRun(run)), { type: 'valid', value: run }, scenario.name);
    }
  });

  it('has one fault a line, for editing by hand', () => {
    const scenario = SCENARIOS.get('anything');
    assert.ok(scenario !== undefined);
    const plan = generatePlan({ scenario, random: new SeededRandom(3) });
    const lines = writeRun({ scenario, seed: 3, plan }).split('\n');
    assert.ok(plan.length > 3);
    assert.equal(
      lines.filter((line) => /^ {4}\{"kind":.*\},?$/.test(line) || /^ {4}\{.*"kind":/.test(line)).length,
      plan.length,
    );
  });

  it('says where a file is wrong', () => {
    const scenario = SCENARIOS.get('smoke');
    assert.ok(scenario !== undefined);
    const good = { scenario, seed: 1, plan: [] };
    const cases: readonly (readonly [file: unknown, problem: RegExp])[] = [
      [[], /^expected an object with scenario, seed, plan, got \[\]$/],
      [{ ...good, seed: -1 }, /^seed: expected a whole number from 0 to \d+, got -1$/],
      [{ ...good, seed: 0.5 }, /^seed: expected a whole number/],
      [{ scenario, seed: 1 }, /^plan: expected a list of faults, got nothing$/],
      [{ seed: 1, plan: [] }, /^scenario: expected an object with name/],
      [{ ...good, scenario: { ...scenario, nodes: 0 } }, /^scenario\.nodes: expected a whole number/],
      [
        { ...good, plan: [{ kind: 'leave', node: 9, atMs: 9_000, durationMs: 1 }] },
        /^plan\[0\]\.node: expected a node/,
      ],
    ];
    for (const [file, problem] of cases) {
      const problems = problemsOf(JSON.stringify(file));
      assert.equal(problems.length, 1, JSON.stringify(problems));
      assert.match(problems[0] ?? '', problem);
    }
    assert.match(problemsOf('{"scenario":').join(), /^expected JSON, got /);
  });
});
