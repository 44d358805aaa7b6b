/**
 * `gossip-table`: measures again what `gossip/gossip-table.ts` holds, the delays of gossip hop by hop in meshes of several
 * sizes, and prints it as the text of that file's table. The largest mesh takes about a minute.
 */
import { MEASURED_SIZES, measureGossip, tableText } from '../gossip/gossip-measure.ts';
import { readSeed } from './amounts.ts';
import { EXIT_FINE, refuse, type SimulationCommand } from './command.io.ts';

const SEED_USUAL = 1;

export const GOSSIP_TABLE: SimulationCommand = {
  name: 'gossip-table',
  summary: 'measure the delays of gossip again, hop by hop',
  define(command) {
    command.option('--seed <number>', `which run of each size, from 0 (default: ${SEED_USUAL})`);
  },
  run(invocation) {
    const { terminal, options } = invocation;
    const seed = options.read('seed', readSeed, SEED_USUAL);
    if (seed.type === 'invalid') return Promise.resolve(refuse(invocation, seed.problems));
    const rows = MEASURED_SIZES.map((nodes) => {
      terminal.note(`${nodes} nodes ...\n`);
      return measureGossip(nodes, seed.value);
    });
    terminal.out(`${tableText(rows)}\n`);
    return Promise.resolve(EXIT_FINE);
  },
};
