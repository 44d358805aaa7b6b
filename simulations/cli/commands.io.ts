/**
 * Every command of the simulator, in the order in which help lists them: a command is one file that exports one
 * `SimulationCommand`, and one line here.
 */
import { TIER2 } from '../calibration/command.io.ts';
import type { SimulationCommand } from './command.io.ts';
import { COMPARE } from './compare.io.ts';
import { DETERMINISM } from './determinism.io.ts';
import { GOSSIP_TABLE } from './gossip-table.io.ts';
import { MUTANTS } from './mutants.io.ts';
import { REPLAY } from './replay.io.ts';
import { RUN } from './run.io.ts';
import { LIST } from './scenarios.io.ts';
import { SHRINK } from './shrink.io.ts';
import { SWARM } from './swarm.io.ts';

export const COMMANDS: readonly SimulationCommand[] = [
  LIST,
  RUN,
  SWARM,
  REPLAY,
  SHRINK,
  DETERMINISM,
  COMPARE,
  MUTANTS,
  TIER2,
  GOSSIP_TABLE,
];
