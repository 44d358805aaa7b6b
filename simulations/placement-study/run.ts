/**
 * One strategy in one cell under one seed: makes the world, lets every message arrive and every answer end, and returns
 * what was counted. Two runs of the same arguments are equal to the last digit. Messages stop at the end of the span; what
 * came before is still answered, so that the slowest are in the figures.
 */
import type { EventQueue } from '../kernel/kernel-port.ts';
import { TimingWheel } from '../kernel/event-queue.ts';
import { type Cell, type Span } from './cells.ts';
import { type Demand, makeDemand } from './demand.ts';
import { type Result, Tally } from './tally.ts';
import type { Running, Strategy } from './world.ts';

export interface RunOptions {
  readonly cell: Cell;
  readonly span: Span;
  readonly seed: string;
  readonly liars?: 'none' | 'median' | 'slowest';
}

const LIARS = 2;

export function runStrategy(strategy: Strategy, options: RunOptions): Result {
  const { cell, span, seed } = options;
  const demand = makeDemand(cell, span, seed);
  const agenda = new TimingWheel();
  const tally = new Tally(demand, span, cell.beaconMs);
  const liars = liarsOf(demand, options.liars ?? 'none');
  const running = strategy.start({ agenda, demand, tally, beaconMs: cell.beaconMs, liars });
  const marks: number[] = [];
  const mark = (): void => {
    marks.push(doneTokens(running));
  };
  agenda.at(span.warmUpMs, mark);
  agenda.at(span.warmUpMs + span.measuredMs, mark);
  feed({ agenda, demand, running }, 0);
  // The slowest answers of an overloaded machine may take weeks.
  while (agenda.pending > 0) agenda.run(agenda.nowMs + 3_600_000);
  const [before = 0, after = 0] = marks;
  return tally.result(after - before);
}

function feed(
  parts: { readonly agenda: EventQueue; readonly demand: Demand; readonly running: Running },
  index: number,
): void {
  const message = parts.demand.messages[index];
  if (message === undefined) return;
  parts.agenda.at(message.atMs, () => {
    feed(parts, index + 1);
    parts.running.arrived(message);
  });
}

function doneTokens({ machines }: Running): number {
  return machines.reduce((sum, machine) => sum + machine.doneTokens(), 0);
}

function liarsOf({ machines }: Demand, which: 'none' | 'median' | 'slowest'): ReadonlySet<number> {
  if (which === 'none') return new Set();
  const bySpeed = [...machines.entries()].toSorted(
    ([, left], [, right]) => left.tokensPerSecond - right.tokensPerSecond,
  );
  const start = which === 'slowest' ? 0 : bySpeed.length >> 1;
  return new Set(bySpeed.slice(start, start + LIARS).map(([node]) => node));
}
