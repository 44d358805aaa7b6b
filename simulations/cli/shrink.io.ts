/**
 * `shrink FILE`: the least that still breaks the same promise. Runs the saved run, takes the first promise that it breaks,
 * lets `shrink.ts` propose smaller runs, and writes the smallest that still breaks it beside the file as
 * `NAME.small.run.json`. A run that crashes is shrunk to what still crashes. At the end the result is replayed twice, and
 * both must have the same trace. Ctrl-C ends the search with what it has. Limit: a candidate that is broken is not run
 * further, so that a search costs much less than its number of runs.
 */
import type { CheckerKind } from '../checker.ts';
import { plural } from '../report/plural.ts';
import { duration } from '../report/report-words.ts';
import type { RunFile } from '../run-file.ts';
import { shrinking, type Shrunk } from '../shrink/shrink.ts';
import { readCount } from './amounts.ts';
import { commandLine } from './command-line.ts';
import {
  EXIT_BROKEN,
  EXIT_FINE,
  EXIT_INTERRUPTED,
  fail,
  type Invocation,
  refuse,
  type SimulationCommand,
} from './command.io.ts';
import { execute, type Execution } from './execute.io.ts';
import { withoutEnding, writeRunFile } from './files.io.ts';
import { listenForInterrupt } from './interrupt.io.ts';
import { readSavedRun } from './replay.io.ts';

/** Source: measured: usual searches of a dozen nodes need 50 to 150 runs. */
const RUNS_USUAL = 300;
const RUNS_LIMIT = { min: 1, max: 100_000 } as const;

/** What must break: a promise by its id, or the run itself. */
const CRASH = 'crash';

export const SHRINK: SimulationCommand = {
  name: 'shrink',
  summary: 'find the least of a saved run that still breaks the same promise',
  define(command) {
    command
      .argument('<file>', 'a run that was saved, NAME.run.json')
      .option('--runs <number>', `most runs (default: ${RUNS_USUAL})`);
  },
  async run(invocation) {
    const { words, options } = invocation;
    const [path = ''] = words;
    const file = readSavedRun(path);
    if (file.type === 'invalid') return refuse(invocation, file.problems);
    const runs = options.read('runs', (text) => readCount('runs', text, RUNS_LIMIT), RUNS_USUAL);
    if (runs.type === 'invalid') return refuse(invocation, runs.problems);
    using interrupt = listenForInterrupt();
    return shrinkFile({ invocation, signal: interrupt.signal, path, start: file.value, budget: runs.value });
  },
};

interface Search {
  readonly invocation: Invocation;
  readonly signal: AbortSignal;
  readonly path: string;
  readonly start: RunFile;
  readonly budget: number;
}

async function shrinkFile(search: Search): Promise<number> {
  const { invocation, signal, path, start } = search;
  const { terminal } = invocation;
  terminal.out(`${path}: ${sizeOf(start)}\n`);
  const promise = brokenBy(await runOnce(search, start));
  if (signal.aborted) return EXIT_INTERRUPTED;
  if (promise === undefined) return fail(invocation, `${path} breaks no promise: there is nothing to shrink`);
  terminal.out(promise === CRASH ? 'it crashes\n' : `it breaks ${promise}\n`);
  const { smallest, runs, complete } = await searched(search, promise);
  const smallPath = `${withoutEnding(path)}.small.run.json`;
  const written = writeRunFile(smallPath, smallest);
  if (written.type === 'failed') return fail(invocation, written.reason);
  const end = complete ? 'no smaller one breaks it' : 'ended before everything was tried';
  const name = promise === CRASH ? 'a crash' : promise;
  terminal.out(
    `after ${plural(runs, 'run')}, ${plural(smallest.plan.length, 'fault')} left of ${start.plan.length} for ${name}; ${end}\n` +
      `${smallest.plan.map((fault) => `  ${JSON.stringify(fault)}\n`).join('')}written: ${smallPath}\n`,
  );
  if (signal.aborted) return EXIT_INTERRUPTED;
  return confirmed(search, smallest, smallPath);
}

/** Drives the search; ended by the signal it returns what it has. */
async function searched(search: Search, promise: string): Promise<Shrunk> {
  const { invocation, signal, start, budget } = search;
  const { terminal } = invocation;
  const steps = shrinking({ start, budget });
  let smallest = start;
  let runs = 0;
  let next = steps.next();
  while (next.done !== true) {
    const candidate = next.value;
    terminal.progress(runs / budget, `run ${runs + 1}: ${sizeOf(candidate)}`);
    // eslint-disable-next-line no-await-in-loop
    const isBroken = brokenBy(await runOnce(search, candidate, promise), promise) !== undefined;
    if (signal.aborted) return { smallest, runs, steps: [], complete: false };
    runs += 1;
    if (isBroken) {
      smallest = candidate;
      terminal.out(`run ${runs}: still, with ${sizeOf(candidate)}\n`);
    }
    next = steps.next(isBroken);
  }
  terminal.clear();
  return next.value;
}

/** Ends as soon as `promise` is broken. */
async function runOnce({ invocation, signal }: Search, file: RunFile, promise?: string): Promise<Execution> {
  const { checkers } = invocation.toolbox;
  return execute(
    { ...file, checkers: only(checkers, promise), commit: '', reproduce: '' },
    { signal, isEnough: ({ violations }) => promise !== undefined && violations.some(({ id }) => id === promise) },
  );
}

/** Judging the others would only take time. A crash may be that of any. */
function only(checkers: readonly CheckerKind[], promise: string | undefined): readonly CheckerKind[] {
  return promise === undefined || promise === CRASH ? checkers : checkers.filter(({ id }) => id === promise);
}

/** The first promise that was broken, or whether this one was; undefined = none. */
function brokenBy(execution: Execution, promise?: string): string | undefined {
  if (execution.type === 'crashed') return promise === undefined || promise === CRASH ? CRASH : undefined;
  return execution.report.violations.find(({ id }) => promise === undefined || id === promise)?.id;
}

/** Twice, to the end, with everything judged: what is handed on must be the same run for everybody. */
async function confirmed(search: Search, smallest: RunFile, path: string): Promise<number> {
  const { invocation, signal } = search;
  const traces: string[] = [];
  for (const _ of [1, 2]) {
    // eslint-disable-next-line no-await-in-loop
    const execution = await runOnce(search, smallest);
    if (signal.aborted) return EXIT_INTERRUPTED;
    traces.push(execution.type === 'crashed' ? `crashed at ${execution.atMs} ms` : execution.report.traceHash);
  }
  const [first = '', second = ''] = traces;
  if (first !== second) {
    invocation.terminal.note(`FAIL: two replays of it differ, ${first} and ${second}\n`);
    return EXIT_BROKEN;
  }
  const { program } = invocation.toolbox;
  invocation.terminal.out(`replayed twice: trace ${first}\nreplay it: ${commandLine(program, ['replay', path])}\n`);
  return EXIT_FINE;
}

function sizeOf({ plan, scenario: { nodes, durationMs, workload } }: RunFile): string {
  const lastsMs = plan.reduce((sum, fault) => sum + ('durationMs' in fault ? fault.durationMs : 0), 0);
  const faults = `${plural(plan.length, 'fault')}${lastsMs === 0 ? '' : ` of ${duration(lastsMs)} in all`}`;
  const work = workload.arrivals === 'none' ? 'nobody asks' : `load ${workload.load}`;
  return `${faults}, ${plural(nodes, 'node')}, ${duration(durationMs)}, ${work}`;
}
