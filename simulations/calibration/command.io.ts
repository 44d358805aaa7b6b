/**
 * `tier2`: the same strikes against real processes and simulated ones, and the difference as a table. What it does is in
 * `tier2.io.ts`; here are its words on the command line.
 */
import { readCount, readSeed } from '../cli/amounts.ts';
import { refuse, type SimulationCommand } from '../cli/command.io.ts';
import { listenForInterrupt } from '../cli/interrupt.io.ts';
import { NODES_MAX, NODES_MIN } from './schedule.ts';
import { runTier2, TIER2_USUAL } from './tier2.io.ts';

/** Two minutes each. Source: guess. */
const REAL_RUNS_LIMIT = { min: 1, max: 20 } as const;
const SIMULATED_RUNS_LIMIT = { min: 1, max: 1_000 } as const;

export const TIER2: SimulationCommand = {
  name: 'tier2',
  summary: 'do the same to real processes and to simulated ones, and compare',
  define(command) {
    command
      .option('--seed <number>', `whom it strikes, and when (default: ${TIER2_USUAL.seed})`)
      .option('--nodes <number>', `real processes, about 120 MB each (default: ${TIER2_USUAL.nodes})`)
      .option('--runs <number>', `real runs, each with the next seed (default: ${TIER2_USUAL.realRuns})`)
      .option('--simulated <number>', `simulated runs for each of them (default: ${TIER2_USUAL.simulatedRuns})`)
      .option('--wrapper <command>', 'runs each real node, e.g. "chrt -r 1" on a machine that has other things to do')
      .option('--json', 'print every delay as one line of JSON');
  },
  async run(invocation) {
    const { options, terminal } = invocation;
    const { seed, nodes, realRuns, simulatedRuns } = TIER2_USUAL;
    const read = {
      seed: options.read('seed', readSeed, seed),
      nodes: options.read('nodes', (text) => readCount('nodes', text, { min: NODES_MIN, max: NODES_MAX }), nodes),
      realRuns: options.read('runs', (text) => readCount('runs', text, REAL_RUNS_LIMIT), realRuns),
      simulatedRuns: options.read(
        'simulated',
        (text) => readCount('simulated', text, SIMULATED_RUNS_LIMIT),
        simulatedRuns,
      ),
    };
    const problems = Object.values(read).flatMap((one) => (one.type === 'invalid' ? one.problems : []));
    if (problems.length > 0) return refuse(invocation, problems);
    using interrupt = listenForInterrupt();
    return await runTier2({
      seed: valueOf(read.seed, seed),
      nodes: valueOf(read.nodes, nodes),
      realRuns: valueOf(read.realRuns, realRuns),
      simulatedRuns: valueOf(read.simulatedRuns, simulatedRuns),
      wrapper: (options.text('wrapper') ?? '').split(/\s+/).filter((word) => word !== ''),
      json: options.isSet('json'),
      signal: interrupt.signal,
      out: (text) => terminal.out(text),
      note: (text) => terminal.note(text),
      progress: (share, what) => terminal.progress(share, what),
    });
  },
};

function valueOf(read: ReturnType<typeof readSeed>, otherwise: number): number {
  return read.type === 'valid' ? read.value : otherwise;
}
