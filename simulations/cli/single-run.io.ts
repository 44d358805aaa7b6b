/**
 * One run as a person sees it, from the seed to the last line: what is run, with every option; progress; the report; what
 * was saved, and the commands that lead on. `run` and `replay` differ only in where the run comes from. A run that breaks a
 * promise or crashes is saved, and one that was ended by Ctrl-C leaves the report of what there was until then.
 */
import { plural } from '../plural.ts';
import { reportText } from '../report-text.ts';
import { duration, moment } from '../report-words.ts';
import { type RunReport, violationCount } from '../report.ts';
import type { RunFile } from '../run-file.ts';
import type { Run } from '../run.ts';
import { commandLine } from './command-line.ts';
import { EXIT_BROKEN, EXIT_FINE, EXIT_INTERRUPTED, fail, type Invocation } from './command.io.ts';
import { commitOf } from './commit.io.ts';
import { execute, type Execution } from './execute.io.ts';
import { FAILURES_DIRECTORY, prepareDirectory, type Written, writeReport, writeRunFile } from './files.io.ts';
import { listenForInterrupt } from './interrupt.io.ts';
import { optionsText } from './options-text.ts';
import { TraceLog } from './trace.io.ts';

export interface SingleRun {
  readonly file: RunFile;
  /** The command that runs it again. */
  readonly reproduce: string;
}

/** Options of both commands: `--report`, `--json`, `--trace`. */
export async function singleRun(invocation: Invocation, single: SingleRun): Promise<number> {
  const { options } = invocation;
  const directory = options.text('report');
  const problem = directory === undefined ? undefined : prepareDirectory(directory);
  if (problem !== undefined) return fail(invocation, problem);
  const commit = commitOf();
  sayWhat(invocation, single, commit);
  using interrupt = listenForInterrupt();
  const execution = await watched(invocation, { ...single, commit }, interrupt.signal);
  if (execution.type === 'crashed') return crashed(invocation, single, execution);
  return ended(invocation, single, { report: execution.report, isInterrupted: interrupt.signal.aborted });
}

function sayWhat({ terminal, options }: Invocation, { file }: SingleRun, commit: string): void {
  const { scenario, seed, plan } = file;
  const text = `${scenario.name}, seed ${seed}, commit ${commit}, ${plural(plan.length, 'fault')}\n${optionsText(scenario)}\n`;
  if (options.isSet('json')) terminal.note(text);
  else terminal.out(text);
}

async function watched(
  { terminal, toolbox, options }: Invocation,
  { file, reproduce, commit }: SingleRun & { readonly commit: string },
  signal: AbortSignal,
): Promise<Execution> {
  const trace = options.isSet('trace') ? new TraceLog(terminal, file.plan) : undefined;
  const { durationMs } = file.scenario;
  const execution = await execute(
    {
      ...file,
      checkers: toolbox.checkers,
      commit,
      reproduce,
      ...(trace === undefined ? {} : { watch: (event, atMs) => trace.observe(event, atMs) }),
    },
    {
      signal,
      onPiece: async (run: Run) => {
        await trace?.flush();
        terminal.progress(run.nowMs / durationMs, `${duration(run.nowMs)} of ${duration(durationMs)}`);
      },
      isEnough: () => trace !== undefined && terminal.isClosed,
    },
  );
  await trace?.flush();
  terminal.clear();
  return execution;
}

interface Ended {
  readonly report: RunReport;
  readonly isInterrupted: boolean;
}

function ended(invocation: Invocation, { file }: SingleRun, { report, isInterrupted }: Ended): number {
  const { terminal, options } = invocation;
  const isBroken = violationCount(report) > 0;
  terminal.out(options.isSet('json') ? `${JSON.stringify(report)}\n` : reportText(report));
  const directory = options.text('report') ?? (isBroken || isInterrupted ? FAILURES_DIRECTORY : undefined);
  if (directory !== undefined) {
    const written = writeReport(directory, file, report);
    if (written.type === 'failed') return fail(invocation, written.reason);
    sayWritten(invocation, written, isBroken);
  }
  if (isInterrupted) return EXIT_INTERRUPTED;
  return isBroken ? EXIT_BROKEN : EXIT_FINE;
}

function crashed(
  invocation: Invocation,
  { file, reproduce }: SingleRun,
  { atMs, error }: Extract<Execution, { readonly type: 'crashed' }>,
): number {
  invocation.terminal.note(`CRASH at ${moment(atMs)}: ${error}\nreproduce: ${reproduce}\n`);
  const written = writeRunFile(invocation.options.text('report') ?? FAILURES_DIRECTORY, file);
  if (written.type === 'failed') return fail(invocation, written.reason);
  sayWritten(invocation, written, true);
  return EXIT_BROKEN;
}

/** Where the files are and, for one that fails, what to do with it. */
function sayWritten(
  { terminal, toolbox, options }: Invocation,
  { paths }: Extract<Written, { readonly type: 'written' }>,
  isBroken: boolean,
): void {
  const [runFile] = paths;
  const shrink =
    isBroken && runFile !== undefined ? `shrink it: ${commandLine(toolbox.program, ['shrink', runFile])}\n` : '';
  const text = `written: ${paths.join(', ')}\n${shrink}`;
  if (options.isSet('json')) terminal.note(text);
  else terminal.out(text);
}
