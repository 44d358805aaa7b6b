/**
 * `scenarios`: what can be asked. One scenario a line with its size, its length and its question; as JSON with everything
 * that is in it, which is also the shape that a saved run has.
 */
import { duration } from '../report/report-words.ts';
import { SCENARIOS } from '../scenarios/index.ts';
import { EXIT_FINE, type SimulationCommand } from './command.io.ts';

export const LIST: SimulationCommand = {
  name: 'scenarios',
  summary: 'list the scenarios and what each asks',
  define(command) {
    command.option('--json', 'print them whole, as one line of JSON');
  },
  run({ terminal, options }) {
    const all = [...SCENARIOS.values()];
    const width = Math.max(...all.map(({ name }) => name.length));
    const lines = all.map(
      ({ name, nodes, durationMs, question }) =>
        `${name.padEnd(width)}  ${String(nodes).padStart(4)} nodes  ${duration(durationMs).padStart(7)}  ${question}\n`,
    );
    terminal.out(options.isSet('json') ? `${JSON.stringify(all)}\n` : lines.join(''));
    return Promise.resolve(EXIT_FINE);
  },
};
