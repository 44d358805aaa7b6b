import assert from 'node:assert/strict';
import { readBaseline, writeBaseline } from '../../../simulations/cli/baseline.ts';
import { chooseScenario, commandLine, runCommand } from '../../../simulations/cli/command-line.ts';
import { firstDifference } from '../../../simulations/cli/first-difference.ts';
import { optionsText } from '../../../simulations/cli/options-text.ts';
import { progressLine } from '../../../simulations/cli/progress-line.ts';
import { withOverrides } from '../../../simulations/scenario-check.ts';
import { SCENARIOS } from '../../../simulations/scenarios/index.ts';
import { SMOKE } from '../../../simulations/scenarios/smoke.ts';

function trace(hashes: string, end: string): Parameters<typeof firstDifference>[0] {
  const checkpoints = Array.from(hashes, (hash, second) => ({ atMs: second * 1_000, hash }));
  return { checkpoints, traceHash: end, durationMs: hashes.length * 1_000 + 500 };
}

describe('the command that runs it again', () => {
  it('has the seed and every change of the scenario', () => {
    const overrides = ['nodes=7', 'workload.load=0.5'];
    assert.equal(
      runCommand({ program: 'skein simulate', scenario: 'smoke', seed: 3, overrides }),
      'skein simulate run smoke --seed 3 --set nodes=7 --set workload.load=0.5',
    );
  });

  const words: readonly { readonly word: string; readonly quoted: string }[] = [
    { word: 'out/smoke-1.run.json', quoted: 'out/smoke-1.run.json' },
    { word: 'my runs/a.json', quoted: "'my runs/a.json'" },
    { word: "it's", quoted: String.raw`'it'\''s'` },
    { word: 'nat={"public":1}', quoted: `'nat={"public":1}'` },
    { word: '$(reboot)', quoted: "'$(reboot)'" },
    { word: '', quoted: "''" },
  ];
  for (const { word, quoted } of words) {
    it(`gives a shell ${quoted}`, () => {
      assert.equal(commandLine('sim', [word]), `sim ${quoted}`);
    });
  }

  it('is of a scenario that exists', () => {
    assert.equal(chooseScenario('smoke', []).type, 'valid');
    assert.equal(chooseScenario('toString', []).type, 'invalid');
  });
});

describe('the options of a run', () => {
  it('are all there, in the words that change them, in lines that fit', () => {
    for (const scenario of SCENARIOS.values()) {
      const text = optionsText(scenario);
      for (const line of text.split('\n')) assert.ok(line.length <= 100, line);
      const overrides = text.trim().split(/\s+/);
      // A scenario with every value set to what it is, is itself.
      assert.deepEqual(withOverrides(scenario, overrides), { type: 'valid', value: scenario }, scenario.name);
      assert.ok(overrides.length > 20);
    }
  });

  it('make another scenario the same one', () => {
    const other = { ...SMOKE, nodes: 9, workload: { ...SMOKE.workload, load: 0.9 } };
    assert.deepEqual(withOverrides(SMOKE, optionsText(other).trim().split(/\s+/)), { type: 'valid', value: other });
  });
});

describe('the line of progress', () => {
  const cases = [
    { share: 0, elapsedMs: 0, line: '[........................]   0 % here' },
    { share: 0.5, elapsedMs: 1_999, line: '[############............]  50 % here' },
    { share: 0.5, elapsedMs: 2_000, line: '[############............]  50 % here, 2 s left' },
    { share: 0.999, elapsedMs: 100, line: '[#######################.]  99 % here' },
    { share: 1, elapsedMs: 9_000, line: '[########################] 100 % here' },
    { share: 7, elapsedMs: 9_000, line: '[########################] 100 % here' },
  ];
  for (const { share, elapsedMs, line } of cases) {
    it(`at ${share} after ${elapsedMs} ms: ${line}`, () => {
      assert.equal(progressLine({ share, elapsedMs, what: 'here', columns: 80 }), line);
    });
  }

  it('never reaches the last column, where a terminal would begin another line', () => {
    assert.equal(progressLine({ share: 0.5, elapsedMs: 0, what: 'x'.repeat(200), columns: 40 }).length, 39);
  });
});

describe('the first difference of two traces', () => {
  const cases = [
    { left: trace('abc', 'x'), right: trace('abc', 'x'), difference: { type: 'same' } },
    { left: trace('', 'x'), right: trace('', 'x'), difference: { type: 'same' } },
    { left: trace('abc', 'x'), right: trace('zbc', 'x'), difference: { type: 'parted', fromMs: 0, toMs: 1_000 } },
    { left: trace('abc', 'x'), right: trace('abz', 'y'), difference: { type: 'parted', fromMs: 2_000, toMs: 3_000 } },
    { left: trace('abc', 'x'), right: trace('abc', 'y'), difference: { type: 'parted', fromMs: 3_000, toMs: 3_500 } },
    { left: trace('abc', 'x'), right: trace('ab', 'x'), difference: { type: 'parted', fromMs: 2_000, toMs: 3_500 } },
  ];
  for (const [index, { left, right, difference }] of cases.entries()) {
    it(`is ${JSON.stringify(difference)} (${index})`, () => {
      assert.deepEqual(firstDifference(left, right), difference);
    });
  }
});

describe('a baseline', () => {
  it('is written one run a line and read again', () => {
    const baseline = [
      { scenario: 'smoke', seed: 1, figures: { violations: 0, firstTokenMsP50: 100.5 } },
      { scenario: 'gone', seed: 2, figures: {} },
    ];
    const text = writeBaseline(baseline);
    assert.equal(text.split('\n').length, 5);
    assert.deepEqual(readBaseline(text), { type: 'valid', value: baseline });
    assert.deepEqual(readBaseline(writeBaseline([])), { type: 'valid', value: [] });
  });

  for (const text of ['{}', '[{}]', '[{"scenario":"a","seed":1,"figures":{"x":"y"}}]', '[', 'null'])
    it(`is not ${text}`, () => {
      assert.equal(readBaseline(text).type, 'invalid');
    });
});
