/**
 * Runs the gate: first the core as it is in every trial that is used, because a promise that the core itself breaks there
 * proves nothing when a mutant breaks it; then every mutant, in the trial that it names, until a checker that was expected
 * to sees it. Each run is a process of its own, and a bounded number of them run at the same time.
 */
import { CHECKERS } from '../checkers/index.ts';
import { type Clean, type GateReport, judge, judgeClean, type Judged, reportOf } from './gate-report.ts';
import type { Mutant, Trial } from './mutant.ts';
import { runTrial } from './trial-job.io.ts';

export interface GateOptions {
  readonly mutants: readonly Mutant[];
  /** Processes at the same time. */
  readonly jobs: number;
  /** Ends it: what is not over then is left out. */
  readonly signal: AbortSignal;
  /** After each run. */
  onRun?(ended: number, total: number, name: string): void;
}

export async function runGate(options: GateOptions): Promise<GateReport> {
  const { mutants, signal } = options;
  const trials = [...new Set(mutants.map(({ trial }) => trial))];
  const total = trials.length + mutants.length;
  let ended = 0;
  const told = (name: string): void => {
    ended += 1;
    options.onRun?.(ended, total, name);
  };
  const clean = await inTurns(options, trials, async (trial: Trial): Promise<Clean> => {
    const judged = judgeClean(trial.name, await runTrial({ trial, edit: undefined, enough: [] }, signal));
    told(trial.name);
    return judged;
  });
  const judged = await inTurns(options, mutants, async (mutant: Mutant): Promise<Judged> => {
    const { trial, name, expected } = mutant;
    const one = judge(mutant, await runTrial({ trial, edit: mutant, enough: expected }, signal));
    told(name);
    return one;
  });
  const judging = CHECKERS.filter(({ create }) => create !== undefined);
  return reportOf({ clean, judged }, judging);
}

/** All of them, a few at the same time, in the order of the list; fewer when it was ended. */
async function inTurns<Task, Result>(
  { jobs, signal }: Pick<GateOptions, 'jobs' | 'signal'>,
  tasks: readonly Task[],
  run: (task: Task) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: (Result | undefined)[] = tasks.map(() => undefined);
  const waiting = [...tasks.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
      const [place, task] = next;
      // eslint-disable-next-line no-await-in-loop
      const result = await run(task);
      if (!signal.aborted) results[place] = result;
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, tasks.length) }, work));
  return results.filter((result) => result !== undefined);
}
