/**
 * When do owners take their machines away? Lids are closed, games take the graphics card, machines are switched off for
 * the night: the habits of each kind of machine become faults, drawn per node and habit. Time may be compressed, so
 * that an evening fits into minutes. A run begins in the middle of a habit's rest, or everybody would sit down at once.
 * Limits: owners know nothing of each other, of weekends or of the hour of the day; nobody seems to have published how
 * long home machines stay awake, so most figures are guesses.
 */
import { unreachable } from '../../src/assert.ts';
import type { Fault } from './fault.ts';
import { drawSleepingClock } from './fault-draws.ts';
import type { KeyedRandom, RandomStream } from '../kernel/kernel-port.ts';
import type { MachineKind, Scenario } from '../scenario.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** Median and the standard deviation of the logarithm. */
interface Lognormal {
  readonly medianMs: number;
  readonly sigma: number;
}

/** Something that an owner does again and again: `every` from the end of one to the beginning of the next. */
interface Habit {
  /** suspend: the lid is closed, or nobody works there. slow: a game takes the graphics card. leave: switched off properly. */
  readonly kind: 'suspend' | 'slow' | 'leave';
  readonly every: Lognormal;
  readonly lasts: Lognormal;
  /** Of a slow one: how many times as long a token takes. */
  readonly factor?: number;
}

const HABITS: Readonly<Record<MachineKind, readonly Habit[]>> = {
  server: [],
  mini: [],
  gaming: [
    // Source: an ExpressVPN survey of 2,000 players: most sessions are of 2 to 4 hours. Every evening or so, and what a game leaves: guess.
    {
      kind: 'slow',
      every: { medianMs: 20 * HOUR_MS, sigma: 0.4 },
      lasts: { medianMs: 2.5 * HOUR_MS, sigma: 0.5 },
      factor: 6,
    },
    // Source: guess: off at night.
    { kind: 'leave', every: { medianMs: 15 * HOUR_MS, sigma: 0.3 }, lasts: { medianMs: 8 * HOUR_MS, sigma: 0.3 } },
  ],
  mac: [
    // Source: guess: half of them are notebooks that sleep when nobody works at them.
    { kind: 'suspend', every: { medianMs: 4 * HOUR_MS, sigma: 1 }, lasts: { medianMs: 2 * HOUR_MS, sigma: 1.2 } },
  ],
  laptop: [
    // Source: guess: sessions of two hours, widely spread, and short breaks.
    { kind: 'suspend', every: { medianMs: 2 * HOUR_MS, sigma: 1.2 }, lasts: { medianMs: 40 * MINUTE_MS, sigma: 1.2 } },
  ],
};

/** Turns of one habit of one machine in one run: a week of turns that take an hour. Source: guess. */
const TURNS_MAX = 200;

/** All of them until the world heals; the last ones may end later. */
export function habitFaults(
  scenario: Scenario,
  machines: readonly MachineKind[],
  random: KeyedRandom,
): readonly Fault[] {
  const speed = scenario.faults.habitSpeed;
  if (speed === undefined) return [];
  return machines.flatMap((machine, node) =>
    HABITS[machine].flatMap((habit, number) =>
      times(habit, speed, {
        untilMs: scenario.healAtMs,
        streamOf: (turn) => random.stream('habit', node, number, turn),
      }).map(({ atMs, durationMs, draws }) => toFault(habit, { node, atMs, durationMs }, draws)),
    ),
  );
}

interface Turn {
  readonly atMs: number;
  readonly durationMs: number;
  readonly draws: RandomStream;
}

function times(
  habit: Habit,
  speed: number,
  run: { readonly untilMs: number; streamOf(turn: number): RandomStream },
): readonly Turn[] {
  const turns: Turn[] = [];
  let nowMs = 0;
  while (turns.length < TURNS_MAX) {
    const draws = run.streamOf(turns.length);
    const restMs = draws.lognormal(habit.every.medianMs / speed, habit.every.sigma);
    // Somewhere in the first rest when the run begins.
    const atMs = Math.round(nowMs + (turns.length === 0 ? restMs * draws.ratio() : restMs));
    if (atMs >= run.untilMs) break;
    const durationMs = Math.max(1, Math.round(draws.lognormal(habit.lasts.medianMs / speed, habit.lasts.sigma)));
    turns.push({ atMs, durationMs, draws });
    nowMs = atMs + durationMs;
  }
  return turns;
}

function toFault(
  habit: Habit,
  lasts: { readonly node: number; readonly atMs: number; readonly durationMs: number },
  draws: RandomStream,
): Fault {
  switch (habit.kind) {
    case 'suspend':
      return { kind: 'suspend', ...lasts, clock: drawSleepingClock(draws) };
    case 'slow':
      return { kind: 'slow', ...lasts, factor: habit.factor ?? 1 };
    case 'leave':
      return { kind: 'leave', ...lasts };
    default:
      return unreachable(habit.kind);
  }
}
