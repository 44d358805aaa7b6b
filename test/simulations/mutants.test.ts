/** The mutation gate: the list fits the core, the hook changes what is loaded, and the verdicts are the right ones. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { CHECKERS } from '../../simulations/checkers/index.ts';
import { gateText, isGood, judge, judgeClean, reportOf } from '../../simulations/mutants/gate-report.ts';
import { runGate } from '../../simulations/mutants/gate.io.ts';
import { MUTANTS } from '../../simulations/mutants/list.ts';
import type { Mutant } from '../../simulations/mutants/mutant.ts';
import { edited, sourceOf } from '../../simulations/mutants/mutate.io.ts';
import { runTrial } from '../../simulations/mutants/trial-job.io.ts';
import type { TrialResult } from '../../simulations/mutants/trial-run.ts';
import { loadTrial } from '../../simulations/mutants/trial-world.ts';
import { FORGED } from '../../simulations/mutants/mesh-trials.ts';

const NEVER_ENDED = new AbortController().signal;
const EDIT = { file: 'src/some.ts', find: 'a > b', replace: 'a < b' };
const CAUGHT: Mutant = { ...EDIT, name: 'turned', bug: 'the wrong way round', trial: FORGED, expected: ['S4', 'S5'] };

function ran(...ids: readonly string[]): TrialResult {
  return { type: 'ran', seen: ids.map((id, index) => ({ id, atMs: 1_000 * index, detail: 'seen' })), cpuMs: 100 };
}

describe('the list of mutants', () => {
  for (const mutant of MUTANTS)
    it(`has one place in the core for ${mutant.name}`, () => {
      const text = readFileSync(sourceOf(mutant), 'utf8');
      assert.notEqual(edited(text, mutant), text);
      assert.match(mutant.file, /^src\/(?!.*\.io\.ts$)/);
    });

  it('names trials that can be run, each under a name of its own', () => {
    const trials = [...new Set(MUTANTS.map(({ trial }) => trial))];
    assert.equal(new Set(trials.map(({ name }) => name)).size, trials.length);
    for (const trial of trials) {
      const loaded = loadTrial(trial);
      assert.equal(loaded.type, 'valid', loaded.type === 'invalid' ? `${trial.name}: ${loaded.reason}` : '');
    }
  });

  it('expects only checkers that exist', () => {
    const judging = new Set(CHECKERS.flatMap(({ id, create }) => (create === undefined ? [] : [id])));
    for (const { name, expected } of MUTANTS) for (const id of expected) assert.ok(judging.has(id), `${name}: ${id}`);
  });
});

describe('the text of a mutant', () => {
  it('replaces what occurs once, as it is written', () => {
    assert.equal(edited('if (a > b) $&;', { ...EDIT, replace: '$&' }), 'if ($&) $&;');
  });

  for (const [text, times] of [
    ['if (a < b);', 'not at all'],
    ['a > b; a > b', '2 times'],
    ['a > b; a > b; a > b', '3 times'],
  ] as const)
    it(`is refused where it occurs ${times}`, () => {
      assert.throws(() => edited(text, EDIT), new RegExp(`^Error: src/some\\.ts has this text ${times}`));
    });
});

describe('the verdict on a mutant', () => {
  for (const { what, mutant, result, verdict, good } of [
    { what: 'caught by one of those expected', mutant: CAUGHT, result: ran('V1', 'S5'), verdict: 'caught', good: true },
    { what: 'seen only by another', mutant: CAUGHT, result: ran('V1'), verdict: 'caught-elsewhere', good: false },
    { what: 'seen by nobody', mutant: CAUGHT, result: ran(), verdict: 'survived', good: false },
    {
      what: 'one that makes the core throw',
      mutant: CAUGHT,
      result: { type: 'crashed', atMs: 5, error: 'Error: no', cpuMs: 1 },
      verdict: 'broken',
      good: false,
    },
    {
      what: 'one that cannot be run',
      mutant: CAUGHT,
      result: { type: 'broken', reason: 'void' },
      verdict: 'broken',
      good: false,
    },
  ] as const)
    it(`is ${verdict} for what is ${what}`, () => {
      const judged = judge(mutant, result);
      assert.equal(judged.verdict.type, verdict);
      assert.equal(isGood(reportOf({ clean: [], judged: [judged] }, [])), good);
    });

  it('is worth nothing where the core itself breaks the promise', () => {
    const judged = [judge(CAUGHT, ran('S4'))];
    const good = reportOf({ clean: [judgeClean('forged', ran())], judged }, [{ id: 'S4' }, { id: 'V1' }]);
    const bad = reportOf({ clean: [judgeClean('forged', ran('S4'))], judged }, []);
    assert.ok(isGood(good));
    assert.deepEqual(good.unproven, ['V1']);
    assert.equal(isGood(bad), false);
    assert.match(gateText(bad), /^FAIL the core itself in forged/m);
  });
});

describe('the mutation gate', function () {
  this.timeout(120_000);

  it('lets the core pass and catches one who checks no signatures', async () => {
    const mutants = MUTANTS.filter(({ name }) => name === 'unsigned-accepted');
    const runs: string[] = [];
    const report = await runGate({
      mutants,
      jobs: 2,
      signal: NEVER_ENDED,
      onRun: (_, __, name) => void runs.push(name),
    });
    const text = gateText(report);
    assert.deepEqual(report.clean, [{ trial: 'forged', problem: undefined, cpuMs: report.clean[0]?.cpuMs }], text);
    assert.ok(isGood(report), text);
    assert.match(text, /^unsigned-accepted +forged +S4 +0:\d\d\.\d{3} +\d+\.\d s$/m);
    assert.deepEqual(runs, ['forged', 'unsigned-accepted']);
  });

  it('says so when a mutant changes what nobody loads, or nothing', async () => {
    const unused = { file: 'src/node/redact.ts', find: 'export function', replace: 'export function' };
    const gone = { file: 'src/back-off.ts', find: 'no such text', replace: '' };
    const task = { trial: FORGED, enough: [] };
    const results = await Promise.all([unused, gone].map((edit) => runTrial({ ...task, edit }, NEVER_ENDED)));
    const reasons = results.map((result) => (result.type === 'broken' ? result.reason : result.type));
    assert.match(reasons[0] ?? '', /^nothing loads src\/node\/redact\.ts$/);
    assert.match(reasons[1] ?? '', /src\/back-off\.ts has this text not at all/);
  });

  it('ends what runs when it is ended', async () => {
    const controller = new AbortController();
    controller.abort();
    const report = await runGate({ mutants: MUTANTS, jobs: 1, signal: controller.signal });
    assert.deepEqual(report.judged, []);
  });
});
