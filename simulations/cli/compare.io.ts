/**
 * `compare`: is the mesh better or worse than what the baseline says? Runs what the baseline lists and judges each figure
 * (`compare.ts`). `--update` writes the figures of now; whoever commits them says why. Ends with 1 where something is worse,
 * or was not found any more.
 */
import { type Baseline, type BaselineEntry, compare, comparisonText, figuresOf } from '../report/compare.ts';
import type { Checked } from '../problem.ts';
import { moment } from '../report/report-words.ts';
import { violationCount } from '../report/report.ts';
import { seededRun } from '../seeded-run.ts';
import { type BaselineRun, firstRuns, readBaseline, runsOf, writeBaseline } from './baseline.ts';
import { chooseScenario, runCommand } from './command-line.ts';
import {
  EXIT_BROKEN,
  EXIT_FINE,
  EXIT_INTERRUPTED,
  fail,
  type Invocation,
  refuse,
  type SimulationCommand,
} from './command.io.ts';
import { commitOf } from './commit.io.ts';
import { execute } from './execute.io.ts';
import { isMissing, readInput, writeText } from './files.io.ts';
import { listenForInterrupt } from './interrupt.io.ts';

const BASELINE_PATH = 'simulations/baseline.json';

export const COMPARE: SimulationCommand = {
  name: 'compare',
  summary: 'compare the figures with those of the baseline',
  define(command) {
    command
      .option('--baseline <file>', `the figures to compare with (default: ${BASELINE_PATH})`)
      .option('--update', 'write the figures of now into it')
      .option('--json', 'print the comparison as one line of JSON');
  },
  async run(invocation) {
    const { options } = invocation;
    const path = options.text('baseline') ?? BASELINE_PATH;
    const isNew = isMissing(path) && options.isSet('update');
    const before: Checked<Baseline> = isNew ? { type: 'valid', value: [] } : readSavedBaseline(path);
    if (before.type === 'invalid') return refuse(invocation, before.problems);
    using interrupt = listenForInterrupt();
    const now = await figuresOfAll(invocation, isNew ? firstRuns() : runsOf(before.value), interrupt.signal);
    if (interrupt.signal.aborted) return EXIT_INTERRUPTED;
    if (now.type === 'crashed') return EXIT_BROKEN;
    const comparison = compare(before.value, now.baseline);
    invocation.terminal.out(options.isSet('json') ? `${JSON.stringify(comparison)}\n` : comparisonText(comparison));
    if (!options.isSet('update')) return comparison.holds ? EXIT_FINE : EXIT_BROKEN;
    const written = writeText(path, writeBaseline(now.baseline));
    if (written.type === 'failed') return fail(invocation, written.reason);
    invocation.terminal.note(`written: ${path}\n`);
    return EXIT_FINE;
  },
};

function readSavedBaseline(path: string): Checked<Baseline> {
  const text = readInput(path);
  return text.type === 'valid' ? readBaseline(text.value) : text;
}

type Figures = { readonly type: 'run'; readonly baseline: Baseline } | { readonly type: 'crashed' };

async function figuresOfAll(
  invocation: Invocation,
  runs: readonly BaselineRun[],
  signal: AbortSignal,
): Promise<Figures> {
  const baseline: BaselineEntry[] = [];
  for (const [index, one] of runs.entries()) {
    invocation.terminal.progress(index / runs.length, `${one.scenario} ${one.seed}`);
    // eslint-disable-next-line no-await-in-loop
    const entry = await figuresOfRun(invocation, one, signal);
    if (entry === undefined) return { type: 'crashed' };
    if (signal.aborted) break;
    baseline.push(entry);
  }
  invocation.terminal.clear();
  return { type: 'run', baseline };
}

/** undefined = it crashed, and that was said. */
async function figuresOfRun(
  { toolbox, terminal }: Invocation,
  { scenario: name, seed }: BaselineRun,
  signal: AbortSignal,
): Promise<BaselineEntry | undefined> {
  const scenario = chooseScenario(name, []);
  if (scenario.type === 'invalid') return undefined;
  const reproduce = runCommand({ program: toolbox.program, scenario: name, seed, overrides: [] });
  const execution = await execute(
    { ...seededRun(scenario.value, seed), checkers: toolbox.checkers, commit: commitOf(), reproduce },
    { signal },
  );
  if (execution.type === 'crashed') {
    const { atMs, error } = execution;
    terminal.note(`CRASH ${name} ${seed} at ${moment(atMs)}: ${error}\nreproduce: ${reproduce}\n`);
    return undefined;
  }
  const { report } = execution;
  return { scenario: name, seed, figures: figuresOf(report.metrics.summary, violationCount(report)) };
}
