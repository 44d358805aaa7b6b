/**
 * `mutants`: would the checkers notice a bug? Deliberate bugs are put into the core, one at a time and only in the memory of
 * the process that runs it, and each must break the promise that it was made for (`mutants/list.ts`). Ends with 1 where one
 * survives, where one no longer fits the core, or where the core itself breaks a promise in a trial.
 */
import { extname } from 'node:path';
import { plural } from '../report/plural.ts';
import type { Checked } from '../problem.ts';
import { gateText, isGood } from '../mutants/gate-report.ts';
import { runGate } from '../mutants/gate.io.ts';
import { MUTANTS as ALL } from '../mutants/list.ts';
import type { Mutant } from '../mutants/mutant.ts';
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
import { listenForInterrupt } from './interrupt.io.ts';
import { JOBS_OPTION, JOBS_USUAL, readJobs } from './jobs.ts';

export const MUTANTS: SimulationCommand = {
  name: 'mutants',
  summary: 'put deliberate bugs into the core and see whether the checkers notice',
  define(command) {
    command
      .argument('[name]', 'one of them; without it all')
      .option(...JOBS_OPTION)
      .option('--json', 'print the findings as one line of JSON');
  },
  async run(invocation) {
    const { words, options } = invocation;
    const chosen = choose(words[0]);
    if (chosen.type === 'invalid') return refuse(invocation, chosen.problems);
    const jobs = options.read('jobs', readJobs, JOBS_USUAL);
    if (jobs.type === 'invalid') return refuse(invocation, jobs.problems);
    // What is changed is the text of the sources.
    if (extname(import.meta.url) !== '.ts') return fail(invocation, 'mutants are made of the sources: run a checkout');
    return tryAll(invocation, chosen.value, jobs.value);
  },
};

function choose(name: string | undefined): Checked<readonly Mutant[]> {
  const chosen = ALL.filter((mutant) => name === undefined || mutant.name === name);
  if (chosen.length > 0) return { type: 'valid', value: chosen };
  const expected = `one of ${ALL.map((mutant) => mutant.name).join(', ')}`;
  return { type: 'invalid', problems: [{ field: 'name', expected, got: JSON.stringify(name) }] };
}

async function tryAll({ terminal, options }: Invocation, mutants: readonly Mutant[], jobs: number): Promise<number> {
  using interrupt = listenForInterrupt();
  const { signal } = interrupt;
  terminal.note(`${plural(mutants.length, 'mutant')}, ${plural(jobs, 'job')}, commit ${commitOf()}\n`);
  const report = await runGate({
    mutants,
    jobs,
    signal,
    onRun: (ended, total, name) => terminal.progress(ended / total, name),
  });
  terminal.clear();
  terminal.out(options.isSet('json') ? `${JSON.stringify(report)}\n` : gateText(report));
  if (signal.aborted) return EXIT_INTERRUPTED;
  return isGood(report) ? EXIT_FINE : EXIT_BROKEN;
}
