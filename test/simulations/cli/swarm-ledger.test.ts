import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { outcomeText, SwarmLedger, type SwarmOutcome, type SwarmTask } from '../../../simulations/cli/swarm-ledger.ts';
import { swarmText } from '../../../simulations/cli/swarm-text.ts';
import { SWARM_ROTATION } from '../../../simulations/scenarios/index.ts';

const PASSED: SwarmOutcome = { type: 'passed', nodeHours: 1 };
const FAILED: SwarmOutcome = {
  type: 'failed',
  nodeHours: 1,
  violations: 3,
  first: { id: 'S4', atMs: 61_500, detail: 'it went back' },
};
const CRASHED: SwarmOutcome = { type: 'crashed', reason: 'gone' };

function allOf(ledger: SwarmLedger): readonly SwarmTask[] {
  const tasks: SwarmTask[] = [];
  for (let task = ledger.next(); task !== undefined; task = ledger.next()) tasks.push(task);
  return tasks;
}

describe('the order of a swarm', () => {
  it('has the known seeds first, then the range, each with the scenario of its place in the rotation', () => {
    const known = [{ scenario: 'smoke', seed: 9, found: 'x' }];
    const ledger = new SwarmLedger({ known, range: { first: 4, last: 6 } });
    const names = [4, 5, 6].map((seed) => SWARM_ROTATION[seed % SWARM_ROTATION.length]?.name);
    assert.deepEqual(
      allOf(ledger).map(({ scenario, seed }) => [scenario, seed]),
      [
        ['smoke', 9],
        [names[0], 4],
        [names[1], 5],
        [names[2], 6],
      ],
    );
    assert.equal(ledger.total, 4);
  });

  it('gives the range one scenario where one was asked for, and leaves the known ones theirs', () => {
    const known = [{ scenario: 'steady', seed: 1, found: 'x' }];
    const ledger = new SwarmLedger({ known, range: { first: 1, last: 2 }, scenario: 'smoke' });
    assert.deepEqual(
      allOf(ledger).map(({ scenario, seed }) => `${scenario} ${seed}`),
      ['steady 1', 'smoke 1', 'smoke 2'],
    );
  });

  it('keeps apart a known seed that the range has too', () => {
    const known = [{ scenario: 'smoke', seed: 1, found: 'x' }];
    const ledger = new SwarmLedger({ known, range: { first: 1, last: 1 }, scenario: 'smoke' });
    const [first, second] = allOf(ledger);
    assert.ok(first !== undefined && second !== undefined);
    ledger.enter(second, PASSED);
    assert.deepEqual(ledger.summary().unfinished, [first]);
    ledger.enter(first, PASSED);
    assert.equal(ledger.ended, 2);
  });
});

describe('the ledger of a swarm', () => {
  it('accounts for every seed, in whatever order they end', () => {
    const outcomes = fc.array(fc.option(fc.constantFrom(PASSED, FAILED, CRASHED), { nil: undefined }), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(outcomes, fc.nat({ max: 10 }), (ends, more) => {
        const ledger = new SwarmLedger({ known: [], range: { first: 0, last: ends.length + more } });
        const tasks = ends.flatMap(() => ledger.next() ?? []);
        for (const [index, outcome] of [...ends.entries()].toReversed()) {
          const task = tasks[index];
          if (outcome !== undefined && task !== undefined) ledger.enter(task, outcome);
        }
        const { total, passed, failed, crashed, unfinished, notRun, failures } = ledger.summary();
        assert.equal(passed + failed + crashed + unfinished.length + notRun, total);
        assert.equal(notRun, more + 1);
        assert.equal(unfinished.length, ends.filter((end) => end === undefined).length);
        assert.equal(failures.length, ledger.broken);
      }),
    );
  });

  it('takes nothing that was not begun, and nothing twice', () => {
    const ledger = new SwarmLedger({ known: [], range: { first: 0, last: 1 } });
    assert.throws(() => ledger.enter({ number: 0, scenario: 'steady', seed: 0 }, PASSED));
    const task = ledger.next();
    assert.ok(task !== undefined);
    ledger.enter(task, PASSED);
    assert.throws(() => ledger.enter(task, PASSED));
  });

  it('says what broke, what is left and how fast it went', () => {
    const ledger = new SwarmLedger({ known: [], range: { first: 1, last: 5 }, scenario: 'smoke' });
    for (const outcome of [PASSED, FAILED, CRASHED]) {
      const task = ledger.next();
      assert.ok(task !== undefined);
      ledger.enter(task, outcome);
    }
    ledger.next();
    assert.equal(
      swarmText({ ...ledger.summary(), tookMs: 4_000 }),
      '  smoke     3 seeds, 2 broken\n' +
        '1 passed, 1 broke a promise, 1 crashed; 2.0 node-hours in 4 s, 0.5 a second\n' +
        'ended in the middle: smoke 4\n' +
        'not run: 1 seed\n' +
        'broken: smoke 2, smoke 3\n',
    );
    const [failed, crashed] = ledger.summary().failures;
    assert.ok(failed !== undefined && crashed !== undefined);
    assert.equal(outcomeText(failed), 'FAIL smoke 2: S4 at 1:01.500: it went back (and 2 more)');
    assert.equal(outcomeText(crashed), 'CRASH smoke 3: gone');
  });
});
