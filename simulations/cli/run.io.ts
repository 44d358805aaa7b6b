/**
 * `run SCENARIO`: one seed of one scenario, with any of its values set to another. The seed is 1 where none is given, so
 * that the same words are the same run for everybody.
 */
import { seededRun } from '../seeded-run.ts';
import { readSeed } from './amounts.ts';
import { chooseScenario, runCommand } from './command-line.ts';
import { collect, refuse, type SimulationCommand } from './command.io.ts';
import { singleRun } from './single-run.io.ts';

const SEED_USUAL = 1;

export const RUN: SimulationCommand = {
  name: 'run',
  summary: 'run one scenario, once',
  define(command) {
    command
      .argument('<scenario>', 'one of those that `scenarios` lists')
      .option('--seed <number>', `which run of it, from 0 (default: ${SEED_USUAL})`)
      .option('--set <field=value>', 'another value, e.g. nodes=50 or workload.load=0.7; null removes it', collect)
      .option('--report <directory>', 'write the report there: JSON, a page, and the run to replay')
      .option('--json', 'print the report as one line of JSON');
  },
  async run(invocation) {
    const { words, options, toolbox } = invocation;
    const [name = ''] = words;
    const overrides = options.texts('set');
    const scenario = chooseScenario(name, overrides);
    if (scenario.type === 'invalid') return refuse(invocation, scenario.problems);
    const seed = options.read('seed', readSeed, SEED_USUAL);
    if (seed.type === 'invalid') return refuse(invocation, seed.problems);
    return singleRun(invocation, {
      file: seededRun(scenario.value, seed.value),
      reproduce: runCommand({ program: toolbox.program, scenario: name, seed: seed.value, overrides }),
    });
  },
};
