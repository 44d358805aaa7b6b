/**
 * `determinism`: is a seed really the whole run? Runs it twice in fresh worlds and compares the hashes of their traces,
 * second by second, so that a difference is told with the second in which it came. The second time the run goes forward in
 * pieces of another length, because how a run is driven must not matter either.
 */
import type { Scenario } from '../scenario.ts';
import { SCENARIOS } from '../scenarios/index.ts';
import { duration, moment } from '../report/report-words.ts';
import { plural } from '../report/plural.ts';
import type { RunReport } from '../report/report.ts';
import { seededRun } from '../seeded-run.ts';
import type { RunFile } from '../run-file.ts';
import { readSeed } from './amounts.ts';
import { chooseScenario, runCommand } from './command-line.ts';
import {
  collect,
  EXIT_BROKEN,
  EXIT_FINE,
  EXIT_INTERRUPTED,
  type Invocation,
  refuse,
  type SimulationCommand,
} from './command.io.ts';
import { commitOf } from './commit.io.ts';
import { execute } from './execute.io.ts';
import { firstDifference } from './first-difference.ts';
import { listenForInterrupt } from './interrupt.io.ts';

const SCENARIO_USUAL = 'smoke';
const SEED_USUAL = 1;
/** Larger meshes run with this many nodes for `--all`: a thousand, twice, take ten minutes. Source: measured. */
const ALL_NODES_MAX = 100;
/** Of the second run. Any length that the first one does not happen to have. */
const PIECE_MS = 137;

export const DETERMINISM: SimulationCommand = {
  name: 'determinism',
  summary: 'run a seed twice and compare the traces, second by second',
  define(command) {
    command
      .argument('[scenario]', `one of those that \`scenarios\` lists (default: ${SCENARIO_USUAL})`)
      .option('--all', `every scenario, one after the other, with at most ${ALL_NODES_MAX} nodes`)
      .option('--seed <number>', `which run of it, from 0 (default: ${SEED_USUAL})`)
      .option('--set <field=value>', 'another value, e.g. nodes=50', collect);
  },
  async run(invocation) {
    const { words, options } = invocation;
    const [name] = words;
    if (options.isSet('all') && name !== undefined)
      return refuse(invocation, [{ field: 'scenario', expected: 'no scenario with --all', got: JSON.stringify(name) }]);
    const seed = options.read('seed', readSeed, SEED_USUAL);
    if (seed.type === 'invalid') return refuse(invocation, seed.problems);
    const scenarios: Scenario[] = [];
    for (const one of options.isSet('all') ? SCENARIOS.keys() : [name ?? SCENARIO_USUAL]) {
      const isTooLarge = options.isSet('all') && (SCENARIOS.get(one)?.nodes ?? 0) > ALL_NODES_MAX;
      const smaller = isTooLarge ? [`nodes=${ALL_NODES_MAX}`] : [];
      const scenario = chooseScenario(one, [...smaller, ...options.texts('set')]);
      if (scenario.type === 'invalid') return refuse(invocation, scenario.problems);
      scenarios.push(scenario.value);
    }
    return compareAll(invocation, scenarios, seed.value);
  },
};

async function compareAll(invocation: Invocation, scenarios: readonly Scenario[], seed: number): Promise<number> {
  using interrupt = listenForInterrupt();
  const { terminal } = invocation;
  terminal.out(`seed ${seed}, commit ${commitOf()}, ${plural(scenarios.length, 'scenario')}, each twice\n`);
  let isSame = true;
  for (const scenario of scenarios) {
    // eslint-disable-next-line no-await-in-loop
    const verdict = await compareTwo(invocation, seededRun(scenario, seed), interrupt.signal);
    if (interrupt.signal.aborted) return EXIT_INTERRUPTED;
    terminal.out(`${verdict.text}\n`);
    isSame &&= verdict.isSame;
  }
  return isSame ? EXIT_FINE : EXIT_BROKEN;
}

interface Verdict {
  readonly isSame: boolean;
  readonly text: string;
}

async function compareTwo(invocation: Invocation, file: RunFile, signal: AbortSignal): Promise<Verdict> {
  const { scenario, seed } = file;
  const reproduce = runCommand({
    program: invocation.toolbox.program,
    scenario: scenario.name,
    seed,
    overrides: invocation.options.texts('set'),
  });
  const reports: RunReport[] = [];
  for (const which of ['first', 'second'] as const) {
    // eslint-disable-next-line no-await-in-loop
    const execution = await execute(
      { ...file, checkers: [], commit: '', reproduce },
      {
        signal,
        ...(which === 'second' ? { pieceMs: PIECE_MS } : {}),
        onPiece: ({ nowMs }) =>
          invocation.terminal.progress(nowMs / scenario.durationMs, `${scenario.name}, the ${which} time`),
      },
    );
    if (execution.type === 'crashed')
      return {
        isSame: false,
        text: `CRASH ${scenario.name} at ${moment(execution.atMs)}: ${execution.error}\nreproduce: ${reproduce}`,
      };
    reports.push(execution.report);
  }
  return judge(scenario.name, reports);
}

function judge(name: string, [first, second]: readonly RunReport[]): Verdict {
  if (first === undefined || second === undefined) return { isSame: false, text: `${name}: not run` };
  const difference = firstDifference(first, second);
  if (difference.type === 'parted') {
    const when = `between ${moment(difference.fromMs)} and ${moment(difference.toMs)}`;
    return {
      isSame: false,
      text: `FAIL ${name}: the same seed did something else ${when}\nreproduce: ${first.reproduce}`,
    };
  }
  const seconds = plural(first.checkpoints.length, 'second');
  return {
    isSame: true,
    text: `${name}: the same trace twice, ${first.traceHash}, ${seconds} compared, ${duration(first.tookMs ?? 0)} and ${duration(second.tookMs ?? 0)}`,
  };
}
