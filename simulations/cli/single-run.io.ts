/**
 * One run as a person sees it, from the seed to the last line: what is run, with every option; progress; the report; what
 * was saved, and the commands that lead on. `run` and `replay` differ only in where the run comes from. A run that breaks a
 * promise or crashes is saved, and one that was ended by Ctrl-C leaves the report of what there was until then.
 */
import { plural } from '../report/plural.ts';
import { reportText } from '../report/report-text.ts';
import { duration, moment } from '../report/report-words.ts';
import { type RunReport, violationCount } from '../report/report.ts';
import type { RunFile } from '../run-file.ts';
import type { Run } from '../run.ts';
import { commandLine } from './command-line.ts';
import { EXIT_BROKEN, EXIT_FINE, EXIT_INTERRUPTED, fail, type Invocation } from './command.io.ts';
import { commitOf } from './commit.io.ts';
import { execute, type Execution } from './execute.io.ts';
import { FAILURES_DIRECTORY, prepareDirectory, runPath, withoutEnding, writeReport, writeRunFile } from './files.io.ts';
import { listenForInterrupt } from './interrupt.io.ts';
import { optionsText } from './options-text.ts';
import { TraceLog } from './trace.io.ts';

export interface SingleRun {
  readonly file: RunFile;
  /** The command that runs it again. */
  readonly reproduce: string;
  /** The file that it comes from; undefined = it is in none yet. */
  readonly savedAs?: string;
}

/** Options of both commands: `--report`, `--json`, `--trace`. */
export async function singleRun(invocation: Invocation, single: SingleRun): Promise<number> {
  const { options } = invocation;
  const directory = options.text('report');
  const problem = directory === undefined ? undefined : prepareDirectory(directory);
  if (problem !== undefined) return fail(invocation, problem);
  // Before the first word: who reads it may already want to end it.
  using interrupt = listenForInterrupt();
  const commit = commitOf();
  sayWhat(invocation, single, commit);
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

function ended(invocation: Invocation, single: SingleRun, { report, isInterrupted }: Ended): number {
  const { terminal, options } = invocation;
  const isBroken = violationCount(report) > 0;
  terminal.out(options.isSet('json') ? `${JSON.stringify(report)}\n` : reportText(report));
  const isKept = isBroken || isInterrupted || options.text('report') !== undefined;
  const problem = isKept ? keep(invocation, single, { report, isBroken }) : undefined;
  if (problem !== undefined) return fail(invocation, problem);
  if (isInterrupted) return EXIT_INTERRUPTED;
  return isBroken ? EXIT_BROKEN : EXIT_FINE;
}

function crashed(
  invocation: Invocation,
  single: SingleRun,
  { atMs, error }: Extract<Execution, { readonly type: 'crashed' }>,
): number {
  invocation.terminal.note(`CRASH at ${moment(atMs)}: ${error}\nreproduce: ${single.reproduce}\n`);
  const problem = keep(invocation, single, { report: undefined, isBroken: true });
  return problem === undefined ? EXIT_BROKEN : fail(invocation, problem);
}

/**
 * Writes the run, unless it comes from a file, and its report; says where they are and, of one that is broken, what to do.
 * Returns why that could not be done.
 */
function keep(
  { terminal, toolbox, options }: Invocation,
  { file, savedAs }: SingleRun,
  { report, isBroken }: { readonly report: RunReport | undefined; readonly isBroken: boolean },
): string | undefined {
  const directory = options.text('report') ?? FAILURES_DIRECTORY;
  const path = savedAs ?? runPath(directory, file);
  const paths: string[] = [];
  for (const written of [
    ...(savedAs === undefined ? [writeRunFile(path, file)] : []),
    ...(report === undefined ? [] : [writeReport(withoutEnding(path, directory), report)]),
  ]) {
    if (written.type === 'failed') return written.reason;
    paths.push(...written.paths);
  }
  const where = paths.length === 0 ? '' : `written: ${paths.join(', ')}\n`;
  const text = `${where}${isBroken ? `shrink it: ${commandLine(toolbox.program, ['shrink', path])}\n` : ''}`;
  if (options.isSet('json')) terminal.note(text);
  else terminal.out(text);
  return undefined;
}
