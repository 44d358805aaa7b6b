/**
 * What every strategy is given, and what it must do: take each message when it arrives, and see to it that a machine runs
 * it. `Site` is everything but the strategy; a strategy is made anew for each run. Time and machines are the same for
 * all, and what they draw from is fixed by the demand, so that a difference between two runs is the strategies' own.
 */
import type { EventQueue } from '../kernel/kernel-port.ts';
import type { Demand, Message } from './demand.ts';
import type { Machine } from './machine.ts';
import type { Tally } from './tally.ts';

export interface Site {
  readonly agenda: EventQueue;
  readonly demand: Demand;
  readonly tally: Tally;
  readonly beaconMs: number;
  /** Nodes that claim to be idle and fast, and take whatever comes. */
  readonly liars: ReadonlySet<number>;
}

export interface Running {
  readonly machines: readonly Machine[];
  arrived(message: Message): void;
}

export interface Strategy {
  readonly name: string;
  readonly start: (site: Site) => Running;
}
