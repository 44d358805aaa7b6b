/** The simulator's command line, on its smallest scenario: what a person types, reads, gets as files and as exit code. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readRun } from '../../simulations/run-file.ts';
import { plantedSeeds } from './cli/planted.ts';
import { newDirectory, PRODUCT, removeDirectories, runChild, runHere, WITH_PLANTED } from './cli/program.ts';

const [BROKEN_SEED = -1, MORE_BROKEN_SEED = -1] = plantedSeeds(true);
const [WHOLE_SEED = -1] = plantedSeeds(false);

function traceOf(text: string): string | undefined {
  return /\btrace (?<hash>[0-9a-f]{16})\b/.exec(text)?.groups?.['hash'];
}

function fieldOf(json: string, name: string): unknown {
  const parsed: unknown = JSON.parse(json);
  assert.ok(typeof parsed === 'object' && parsed !== null);
  return Reflect.get(parsed, name);
}

describe('the simulator', function () {
  this.timeout(60_000);
  after(removeDirectories);

  it('runs a scenario: the seed and every option first, then the report and how to run it again', async () => {
    const { code, out, err } = await runHere(['run', 'smoke', '--set', 'workload.load=0.1']);
    assert.equal(code, 0, out + err);
    const lines = out.split('\n');
    assert.match(lines[0] ?? '', /^smoke, seed 1, commit \S+, \d+ faults?$/);
    assert.match(lines.slice(1, 12).join('\n'), /\bnodes=5 .*\bworkload\.load=0\.1\b.*\bdrainMs=\d+\n/s);
    assert.match(out, /requests were answered/);
    assert.match(out, /^reproduce: npm run sim -- run smoke --seed 1 --set workload\.load=0\.1$/m);
    assert.equal(err, '');
  });

  it('prints nothing but the report as JSON, and writes the files that were asked for', async () => {
    const directory = join(newDirectory(), 'deep/er');
    const { code, out, err } = await runHere(['run', 'smoke', '--seed', '1', '--json', '--report', directory]);
    assert.equal(code, 0, err);
    assert.equal(fieldOf(out, 'endedEarly'), false);
    assert.deepEqual(readdirSync(directory).toSorted(), ['smoke-1.html', 'smoke-1.report.json', 'smoke-1.run.json']);
    assert.equal(readFileSync(join(directory, 'smoke-1.report.json'), 'utf8'), out);
    assert.match(err, /^smoke, seed 1/);
  });

  it('saves a run that breaks a promise, and replays it to the same trace', async () => {
    const directory = newDirectory();
    const words = ['run', 'smoke', '--seed', String(BROKEN_SEED), '--report', directory];
    const first = await runHere(words, WITH_PLANTED);
    assert.equal(first.code, 1, first.err);
    assert.match(first.out, /^FAIL X1 at 0:/m);
    const saved = join(directory, `smoke-${BROKEN_SEED}.run.json`);
    assert.ok(first.out.includes(`shrink it: planted shrink ${saved}`), first.out);
    const second = await runHere(['replay', saved, '--trace', '--report', directory], WITH_PLANTED);
    assert.equal(second.code, 1, second.err);
    assert.equal(traceOf(second.out), traceOf(first.out));
    assert.ok(traceOf(first.out) !== undefined);
    assert.match(second.out, /^ +0:\d\d\.\d{3} {2}n\d starts, incarnation/m);
    assert.ok(second.out.includes(`reproduce: planted replay ${saved}\n`));
    assert.ok(second.out.includes(`shrink it: planted shrink ${saved}\n`));
  });

  it('shrinks a broken run to the two faults that it needs, the same run each time', async () => {
    const directory = newDirectory();
    const saved = join(directory, `smoke-${MORE_BROKEN_SEED}.run.json`);
    const words = ['run', 'smoke', '--seed', String(MORE_BROKEN_SEED), '--report', directory];
    await runHere(words, WITH_PLANTED);
    const { code, out, err } = await runHere(['shrink', saved], WITH_PLANTED);
    assert.equal(code, 0, out + err);
    assert.match(out, /^run \d+: still, with /m);
    assert.match(out, /^after \d+ runs, 2 faults left of \d+ for X1; no smaller one breaks it$/m);
    assert.match(out, /^replayed twice: trace [0-9a-f]{16}$/m);
    const path = saved.replace('.run.json', '.small.run.json');
    const small = readRun(readFileSync(path, 'utf8'));
    assert.ok(small.type === 'valid');
    assert.deepEqual(small.value.plan.map(({ kind }) => kind).toSorted(), ['crash', 'pause']);
    assert.equal(small.value.scenario.workload.arrivals, 'none');
    const whole = readFileSync(saved, 'utf8');
    const again = await runHere(['replay', path, '--report', directory], WITH_PLANTED);
    assert.equal(again.code, 1);
    assert.equal(traceOf(again.out), traceOf(out));
    assert.equal(readFileSync(saved, 'utf8'), whole, 'a replay leaves other runs of this seed alone');
    assert.ok(existsSync(path.replace('.run.json', '.html')));
  });

  it('has nothing to shrink in a run that breaks nothing', async () => {
    const directory = newDirectory();
    await runHere(['run', 'smoke', '--seed', String(WHOLE_SEED), '--report', directory], WITH_PLANTED);
    const saved = join(directory, `smoke-${WHOLE_SEED}.run.json`);
    const { code, err } = await runHere(['shrink', saved], WITH_PLANTED);
    assert.equal(code, 1);
    assert.match(err, /breaks no promise: there is nothing to shrink/);
    assert.ok(!existsSync(saved.replace('.run.json', '.small.run.json')));
  });

  it('does the same twice', async () => {
    const { code, out, err } = await runHere(['determinism']);
    assert.equal(code, 0, out + err);
    assert.match(out, /^smoke: the same trace twice, [0-9a-f]{16}, 45 seconds compared, /m);
  });

  it('writes a baseline, finds nothing worse at once, and finds what a baseline promised and is gone', async () => {
    const path = join(newDirectory(), 'baseline.json');
    writeFileSync(path, '[{"scenario": "smoke", "seed": 1, "figures": {}}]');
    const first = await runHere(['compare', '--baseline', path, '--update']);
    assert.equal(first.code, 0, first.err);
    const second = await runHere(['compare', '--baseline', path]);
    assert.equal(second.code, 0, second.out);
    assert.match(second.out, /nothing is worse/);
    writeFileSync(path, readFileSync(path, 'utf8').replace('"figures":{', '"figures":{"elegance":1,'));
    const third = await runHere(['compare', '--baseline', path]);
    assert.equal(third.code, 1);
    assert.match(third.out, /elegance .*gone/);
  });

  it('lists the scenarios with their questions', async () => {
    const { code, out } = await runHere(['scenarios']);
    assert.equal(code, 0);
    assert.match(out, /^smoke +5 nodes +45 s {2}Does a handful .*\?$/m);
  });

  it('is a command of skein', async () => {
    const skein = fileURLToPath(new URL('../../bin/skein.js', import.meta.url));
    const started = { cwd: newDirectory(), signals: [], cue: '' } as const;
    const good = await runChild(skein, ['simulate', 'run', 'smoke', '--seed', '1', '--json'], started);
    assert.equal(good.code, 0, good.err);
    assert.equal(fieldOf(good.out, 'reproduce'), 'skein simulate run smoke --seed 1');
    const bad = await runChild(skein, ['simulate', 'run', 'smoke', '--seed', 'one'], started);
    assert.equal(bad.code, 2);
    assert.match(bad.err, /^skein simulate: seed: expected a whole number/m);
  });

  it('ended by Ctrl-C, leaves the report of what there was, and exits with 130', async () => {
    const cwd = newDirectory();
    // A day, so that the signal always comes first.
    const words = ['run', 'smoke', '--set', 'durationMs=86400000'];
    const { code, out, err } = await runChild(PRODUCT, words, { cwd, signals: ['SIGINT'], cue: 'durationMs=' });
    assert.equal(code, 130, out + err);
    assert.match(out, /^ended early, after /m);
    assert.equal(fieldOf(readFileSync(join(cwd, 'out/smoke-1.report.json'), 'utf8'), 'endedEarly'), true);
    assert.ok(existsSync(join(cwd, 'out/smoke-1.html')));
  });

  it('ends at once by a second Ctrl-C', async () => {
    const cwd = newDirectory();
    const interrupt = new URL('../../simulations/cli/interrupt.io.ts', import.meta.url).href;
    const script = join(cwd, 'stubborn.ts');
    writeFileSync(
      script,
      `import { listenForInterrupt } from '${interrupt}';
       const { signal } = listenForInterrupt();
       signal.addEventListener('abort', () => process.stdout.write('cue: asked to end\\n'));
       setInterval(() => undefined, 1_000);
       process.stdout.write('cue: ready\\n');`,
    );
    const { code, out } = await runChild(script, [], { cwd, signals: ['SIGINT', 'SIGINT'], cue: 'cue:' });
    assert.equal(code, 130);
    assert.match(out, /asked to end/);
  });
});

describe('a swarm', function () {
  this.timeout(60_000);
  after(removeDirectories);

  it('runs in two processes, says at once what broke, and accounts for every seed', async () => {
    const directory = newDirectory();
    const words = ['swarm', '--seeds', '0..3', '--jobs', '2', '--scenario', 'smoke', '--report', directory];
    const broken = plantedSeeds(true).filter((seed) => seed <= 3);
    const { code, out, err } = await runHere(words, WITH_PLANTED);
    assert.equal(code, broken.length === 0 ? 0 : 1, out + err);
    for (const seed of broken) {
      assert.match(out, new RegExp(`^FAIL smoke ${seed}: X1 at `, 'm'));
      assert.ok(out.includes(`reproduce: planted run smoke --seed ${seed}\n`));
      assert.ok(existsSync(join(directory, `smoke-${seed}.run.json`)));
    }
    assert.match(out, new RegExp(`^${4 - broken.length} passed, ${broken.length} broke a promise, 0 crashed;`, 'm'));
  });

  it('loses no seed to a process that dies: the seed has crashed, the others go on', async () => {
    const directory = newDirectory();
    const words = ['swarm', '--seeds', '665..667', '--jobs', '1', '--scenario', 'smoke', '--json'];
    const { code, out, err } = await runHere([...words, '--report', directory], WITH_PLANTED);
    assert.equal(code, 1, out + err);
    assert.match(err, /^CRASH smoke 666: its process ended with SIGKILL\nout of something$/m);
    assert.ok(err.includes('reproduce: planted run smoke --seed 666\n'));
    assert.ok(existsSync(join(directory, 'smoke-666.run.json')));
    assert.equal(fieldOf(out, 'crashed'), 1);
    assert.equal(Number(fieldOf(out, 'passed')) + Number(fieldOf(out, 'failed')), 2);
    assert.deepEqual(fieldOf(out, 'unfinished'), []);
  });

  it('begins no seed after its budget, and says how many are left', async () => {
    const words = ['swarm', '--seeds', '1..50', '--jobs', '1', '--scenario', 'smoke', '--budget', '0.001s', '--json'];
    const { out } = await runHere([...words, '--report', newDirectory()], WITH_PLANTED);
    assert.ok(Number(fieldOf(out, 'notRun')) >= 49, out);
  });

  it('ended by Ctrl-C, says what there was, what was under way and what is left', async () => {
    // The signal comes in the middle of the first seed: one that is known, or one of a large scenario.
    const words = ['swarm', '--seeds', '0..100', '--jobs', '1', '--scenario', 'thousand'];
    const started = { cwd: newDirectory(), signals: ['SIGINT'], cue: '1 job' } as const;
    const { code, out, err } = await runChild(PRODUCT, words, started);
    assert.equal(code, 130, out + err);
    assert.match(out, /^0 passed, 0 broke a promise, 0 crashed;/m);
    assert.match(out, /^ended in the middle: [a-z-]+ \d+$/m);
    assert.match(out, /^not run: 1\d\d seeds$/m);
  });
});

describe('the simulator refuses, with exit code 2 and field, expected and got:', () => {
  after(removeDirectories);

  const cases: readonly { readonly words: readonly string[]; readonly says: RegExp }[] = [
    { words: ['run', 'smok'], says: /^npm run sim --: scenario: expected one of .*\bsmoke\b.*, got "smok"$/m },
    { words: ['run', 'smoke', '--seed', '-1'], says: /seed: expected a whole number from 0 to \d+, got -1/ },
    { words: ['run', 'smoke', '--set', 'nodes=0'], says: /nodes: expected a whole number from 1 to \d+, got 0/ },
    { words: ['run', 'smoke', '--set', 'nodes'], says: /expected field=value, got "nodes"/ },
    {
      words: ['run', 'smoke', '--set', 'bootstraps=6'],
      says: /bootstraps: expected at most public nodes \(5\), got 6/,
    },
    { words: ['run', 'smoke', '--fast'], says: /unknown option '--fast'/ },
    { words: ['run'], says: /missing required argument 'scenario'/ },
    { words: ['swarm', '--seeds', '5..1'], says: /seeds: expected a seed, or a range like 1\.\.500 .*, got "5\.\.1"/ },
    { words: ['swarm', '--jobs', '0'], says: /jobs: expected a whole number from 1 to 64, got 0/ },
    { words: ['swarm', '--budget', '10'], says: /budget: expected a time up to 24h, like 90s, 10m or 2h, got "10"/ },
    { words: ['swarm', '--scenario', 'smok'], says: /scenario: expected one of .*, got "smok"/ },
    { words: ['replay', '/nowhere.json'], says: /nowhere\.json: expected a file that can be read, got ENOENT/ },
    { words: ['replay', '/nowhere.json', '--trace', '--json'], says: /trace: expected either --trace or --json/ },
    { words: ['shrink', '/nowhere.json', '--runs', '9'], says: /nowhere\.json: expected a file that can be read/ },
    { words: ['compare', '--baseline', '/nowhere.json'], says: /nowhere\.json: expected a file that can be read/ },
    { words: ['determinism', 'smoke', '--all'], says: /scenario: expected no scenario with --all, got "smoke"/ },
    { words: ['fly'], says: /unknown command 'fly'/ },
    { words: ['rum'], says: /unknown command 'rum'\n\(Did you mean run\?\)/ },
  ];
  for (const { words, says } of cases) {
    it(words.join(' '), async () => {
      const { code, out, err } = await runHere(words);
      assert.equal(code, 2, err);
      assert.match(err, says);
      assert.equal(out, '');
    });
  }

  it('a saved run with a fault that cannot be, naming the file and the fault', async () => {
    const path = join(newDirectory(), 'edited.run.json');
    const { out } = await runHere(['scenarios', '--json']);
    const scenarios: unknown = JSON.parse(out);
    assert.ok(Array.isArray(scenarios));
    const plan = [{ kind: 'pause', node: 99_999, atMs: 100_000, durationMs: 10 }];
    writeFileSync(path, JSON.stringify({ scenario: scenarios[0], seed: 1, plan }));
    const { code, err } = await runHere(['replay', path]);
    assert.equal(code, 2);
    assert.match(err, /edited\.run\.json: plan\[0\]\.node: expected a node/);
  });

  it('to run at all where nothing can be written, which is a failure', async () => {
    const file = join(newDirectory(), 'file');
    writeFileSync(file, '');
    for (const directory of [file, join(file, 'below'), '/proc/skein/below']) {
      // eslint-disable-next-line no-await-in-loop
      const { code, out, err } = await runHere(['run', 'smoke', '--report', directory]);
      assert.equal(code, 1, directory);
      assert.match(err, /cannot make the directory/);
      assert.equal(out, '');
    }
  });
});
