/**
 * `swarm`: many seeds, a process for each job and one simulation at a time in each. Seeds that once found something run
 * first. What breaks is said at once, with the command that runs it again and the file that was saved; at the end comes a
 * summary in which every seed is accounted for. When the budget is spent no more seeds are handed out.
 */
import { plural } from '../report/plural.ts';
import { duration } from '../report/report-words.ts';
import { SCENARIOS } from '../scenarios/index.ts';
import { readSeeds as readKnownSeeds, type SeedEntry } from '../seeds.ts';
import { seededRun } from '../seeded-run.ts';
import type { Checked } from '../problem.ts';
import { readBudgetMs, readSeeds } from './amounts.ts';
import { chooseScenario, commandLine, runCommand } from './command-line.ts';
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
import { FAILURES_DIRECTORY, prepareDirectory, runPath, writeRunFile } from './files.io.ts';
import { listenForInterrupt } from './interrupt.io.ts';
import { JOBS_OPTION, JOBS_USUAL, readJobs } from './jobs.ts';
import { SwarmJob } from './swarm-job.io.ts';
import { outcomeText, SwarmLedger, type SwarmOutcome, type SwarmTask } from './swarm-ledger.ts';
import { swarmText } from './swarm-text.ts';

const SEEDS_USUAL = '1..100';

export const SWARM: SimulationCommand = {
  name: 'swarm',
  summary: 'run many seeds, in several processes',
  define(command) {
    command
      .option('--seeds <range>', `a seed or a range with both ends (default: ${SEEDS_USUAL})`)
      .option(...JOBS_OPTION)
      .option('--budget <time>', 'begin no more seeds after this time, e.g. 90s, 10m')
      .option('--scenario <name>', 'one scenario for all; without it seed i runs scenario i of the rotation')
      .option('--report <directory>', `where runs that break go (default: ${FAILURES_DIRECTORY})`)
      .option('--json', 'print the summary as one line of JSON');
  },
  async run(invocation) {
    const { options } = invocation;
    const range = readSeeds(options.text('seeds') ?? SEEDS_USUAL);
    if (range.type === 'invalid') return refuse(invocation, range.problems);
    const jobs = options.read('jobs', readJobs, JOBS_USUAL);
    if (jobs.type === 'invalid') return refuse(invocation, jobs.problems);
    const budgetMs = options.read('budget', readBudgetMs, Infinity);
    if (budgetMs.type === 'invalid') return refuse(invocation, budgetMs.problems);
    const scenario = options.text('scenario');
    const chosen = scenario === undefined ? undefined : chooseScenario(scenario, []);
    if (chosen?.type === 'invalid') return refuse(invocation, chosen.problems);
    const known: Checked<readonly SeedEntry[]> = readKnownSeeds(JSON.stringify(invocation.toolbox.knownSeeds));
    if (known.type === 'invalid')
      return refuse(
        invocation,
        known.problems.map((one) => ({ ...one, field: `seeds.json${one.field}` })),
      );
    const directory = options.text('report') ?? FAILURES_DIRECTORY;
    // A place that was asked for is made now; the usual one only when something breaks.
    const problem = options.text('report') === undefined ? undefined : prepareDirectory(directory);
    if (problem !== undefined) return fail(invocation, problem);
    const ledger = new SwarmLedger({ known: known.value, range: range.value, scenario });
    return runSwarm({ invocation, ledger, directory, jobs: jobs.value, budgetMs: budgetMs.value });
  },
};

interface Swarm {
  readonly invocation: Invocation;
  readonly ledger: SwarmLedger;
  readonly directory: string;
  readonly jobs: number;
  readonly budgetMs: number;
}

async function runSwarm(swarm: Swarm): Promise<number> {
  const { invocation, ledger, jobs, budgetMs } = swarm;
  const { terminal, options, toolbox } = invocation;
  const startedMs = performance.now();
  const budget = budgetMs === Infinity ? '' : `, for ${duration(budgetMs)}`;
  using interrupt = listenForInterrupt();
  const { signal } = interrupt;
  terminal.note(`${plural(ledger.total, 'seed')}, ${plural(jobs, 'job')}${budget}, commit ${commitOf()}\n`);
  const workers = Array.from({ length: Math.min(jobs, ledger.total) }, () => new SwarmJob(toolbox.swarmChild));
  signal.addEventListener('abort', () => workers.forEach((worker) => worker.end()));
  const mayBegin = (): boolean => !signal.aborted && performance.now() - startedMs < budgetMs;
  await Promise.all(
    workers.map(async (worker) => {
      for (let task = mayBegin() ? ledger.next() : undefined; task !== undefined;) {
        // eslint-disable-next-line no-await-in-loop
        const outcome = await worker.work(task);
        // Ended by us, not by what it ran: it stays in the ledger as unfinished.
        if (signal.aborted) return;
        enter(swarm, task, outcome);
        task = mayBegin() ? ledger.next() : undefined;
      }
      worker.end();
    }),
  );
  const summary = { ...ledger.summary(), tookMs: Math.round(performance.now() - startedMs) };
  terminal.out(options.isSet('json') ? `${JSON.stringify(summary)}\n` : swarmText(summary));
  if (signal.aborted) return EXIT_INTERRUPTED;
  return summary.failed + summary.crashed > 0 ? EXIT_BROKEN : EXIT_FINE;
}

function enter({ invocation, ledger, directory }: Swarm, task: SwarmTask, outcome: SwarmOutcome): void {
  const { terminal, toolbox, options } = invocation;
  ledger.enter(task, outcome);
  const { ended, total, broken } = ledger;
  if (outcome.type !== 'passed') {
    const { scenario, seed } = task;
    const reproduce = runCommand({ program: toolbox.program, scenario, seed, overrides: [] });
    const text = `${outcomeText({ ...task, outcome })}\nreproduce: ${reproduce}\n${saved(invocation, task, directory)}\n`;
    if (options.isSet('json')) terminal.note(text);
    else terminal.out(text);
  }
  terminal.progress(ended / total, `${ended} of ${plural(total, 'seed')}, ${broken} broken`);
}

/** The run is made again from its seed: what a child knew is not needed for it. */
function saved({ toolbox }: Invocation, { scenario: name, seed }: SwarmTask, directory: string): string {
  const scenario = SCENARIOS.get(name);
  if (scenario === undefined) return '';
  const file = seededRun(scenario, seed);
  const written = writeRunFile(runPath(directory, file), file);
  if (written.type === 'failed') return written.reason;
  return `shrink it: ${commandLine(toolbox.program, ['shrink', ...written.paths])}`;
}
