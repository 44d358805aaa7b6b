/**
 * `replay FILE`: a run that was saved, exactly as it was: its scenario, its seed and its plan of faults, whatever scenarios
 * of that name have become since. The file may have been edited: faults taken out, times changed.
 */
import type { Checked } from '../problem.ts';
import { readRun, type RunFile } from '../run-file.ts';
import { commandLine } from './command-line.ts';
import { refuse, type SimulationCommand } from './command.io.ts';
import { readInput } from './files.io.ts';
import { singleRun } from './single-run.io.ts';

export const REPLAY: SimulationCommand = {
  name: 'replay',
  summary: 'run a saved run again, and print its events if asked to',
  define(command) {
    command
      .argument('<file>', 'a run that was saved, NAME.run.json')
      .option('--trace', 'print every event, one line each')
      .option('--report <directory>', 'write the report there: JSON and a page')
      .option('--json', 'print the report as one line of JSON');
  },
  async run(invocation) {
    const { words, options, toolbox } = invocation;
    const [path = ''] = words;
    if (options.isSet('trace') && options.isSet('json'))
      return refuse(invocation, [{ field: 'trace', expected: 'either --trace or --json', got: 'both' }]);
    const file = readSavedRun(path);
    if (file.type === 'invalid') return refuse(invocation, file.problems);
    return singleRun(invocation, {
      file: file.value,
      reproduce: commandLine(toolbox.program, ['replay', path]),
      savedAs: path,
    });
  },
};

/** Problems name the file and the field. */
export function readSavedRun(path: string): Checked<RunFile> {
  const text = readInput(path);
  if (text.type === 'invalid') return text;
  const run = readRun(text.value);
  if (run.type === 'valid') return run;
  const problems = run.problems.map((problem) => ({
    ...problem,
    field: problem.field === '' ? path : `${path}: ${problem.field}`,
  }));
  return { type: 'invalid', problems };
}
