/**
 * What does one fault look like: how long does it last, how bad is it, whom does it hit? One stream of randomness goes
 * in, one fault comes out, so that no fault depends on what another drew. Durations are lognormal: most are short, some
 * are long. They are made to the measure of runs of a few minutes, with both sides of what the protocol decides by (2.6 s
 * to a suspicion, 12 s more to a death) well inside; how long real owners stay away is in `habits.ts`.
 */
import { unreachable } from '../../src/assert.ts';
import type { Fault, FaultKind, Lie } from './fault.ts';
import type { RandomStream } from '../kernel/kernel-port.ts';

interface Spread {
  readonly medianMs: number;
  /** Standard deviation of the logarithm: 1 = one in six is longer than 2.7 times the median. */
  readonly sigma: number;
}

/** Source of all that say nothing else: guess, so that a run of minutes sees both a blink and a death. */
const DURATION = {
  /** Source: guess: a supervisor restarts it at once, an owner after a minute. */
  crash: { medianMs: 15_000, sigma: 1 },
  /** Source: guess: a boot. */
  'power-loss': { medianMs: 40_000, sigma: 0.7 },
  /** Source: guess. */
  leave: { medianMs: 20_000, sigma: 1 },
  /** Source: measured assumption of the detector study: stalls are Pareto from 300 ms; here around both of its limits. */
  pause: { medianMs: 3_000, sigma: 1.3 },
  /** Source: guess: short ones are lids closed on the way to another room. */
  suspend: { medianMs: 25_000, sigma: 1.2 },
  /** Source: guess: a router restarts in a minute, a switch in ten seconds. */
  partition: { medianMs: 15_000, sigma: 0.9 },
  swizzle: { medianMs: 20_000, sigma: 0.5 },
  loss: { medianMs: 30_000, sigma: 0.8 },
  delay: { medianMs: 20_000, sigma: 0.8 },
  bandwidth: { medianMs: 40_000, sigma: 0.8 },
  duplicate: { medianMs: 30_000, sigma: 0.8 },
  'clock-drift': { medianMs: 60_000, sigma: 0.7 },
  slow: { medianMs: 40_000, sigma: 0.8 },
  gray: { medianMs: 15_000, sigma: 0.8 },
  'disk-full': { medianMs: 40_000, sigma: 0.8 },
  'flash-crowd': { medianMs: 20_000, sigma: 0.5 },
  'relay-loss': { medianMs: 15_000, sigma: 0.8 },
  'version-skew': { medianMs: 60_000, sigma: 0.5 },
  /** Source: guess: long enough for many lies. */
  liar: { medianMs: 60_000, sigma: 0.7 },
} as const satisfies Partial<Record<FaultKind, Spread>>;

/** Share of crashes that take the disk along: identity, incarnation, address book. Source: guess. */
const STATE_LOST = 0.15;
/** Share of suspended machines whose monotonic clock counts the sleep (macOS, Windows). Source: guess. */
const CLOCK_COUNTS = 0.5;
/** Share of partitions that let one direction through. Source: copied: about what TigerBeetle's simulator does. */
const ONE_WAY = 0.3;

const LIES: readonly Lie[] = ['load', 'replay', 'forge', 'equivocate', 'flood', 'accuse'];

interface Place {
  readonly atMs: number;
  /** The node that is struck; without a meaning for faults of the whole mesh. */
  readonly node: number;
  /** Nodes of the scenario. */
  readonly nodes: number;
}

/** None of them knows when the world heals: the caller cuts. */
export function drawFault(kind: FaultKind, place: Place, random: RandomStream): Fault {
  const { atMs, node } = place;
  if (kind === 'clock-step') return { kind, node, atMs, byMs: clockStep(random) };
  if (kind === 'nat-rebinding') return { kind, node, atMs };
  const { medianMs, sigma } = DURATION[kind];
  const lasts = { atMs, durationMs: Math.max(1, Math.round(random.lognormal(medianMs, sigma))) };
  switch (kind) {
    case 'power-loss':
    case 'leave':
    case 'pause':
    case 'duplicate':
    case 'disk-full':
    case 'relay-loss':
    case 'version-skew':
      return { kind, node, ...lasts };
    case 'crash':
      return { kind, node, ...lasts, state: random.ratio() < STATE_LOST ? 'lost' : 'kept' };
    case 'suspend':
      return { kind, node, ...lasts, clock: drawSleepingClock(random) };
    case 'partition':
      return {
        kind,
        ...lasts,
        groups: drawGroups(place.nodes, random),
        direction: random.ratio() < ONE_WAY ? 'from-first' : 'both',
      };
    case 'swizzle':
      return { kind, ...lasts, nodes: shuffled(place.nodes, random).slice(0, Math.max(1, random.below(place.nodes))) };
    case 'gray':
      return { kind, node, ...lasts, how: random.ratio() < 0.5 ? 'mute' : 'deaf' };
    case 'liar':
      return { kind, node, ...lasts, lie: LIES[random.below(LIES.length)] ?? 'load' };
    case 'loss':
    case 'delay':
    case 'bandwidth':
    case 'clock-drift':
    case 'slow':
    case 'flash-crowd':
      return drawDegree(kind, { node, ...lasts }, random);
    default:
      return unreachable(kind);
  }
}

/** Faults that are a matter of degree: small ones as often as large ones, by orders of magnitude. */
function drawDegree(
  kind: 'loss' | 'delay' | 'bandwidth' | 'clock-drift' | 'slow' | 'flash-crowd',
  struck: { readonly node: number; readonly atMs: number; readonly durationMs: number },
  random: RandomStream,
): Fault {
  const { atMs, durationMs } = struck;
  switch (kind) {
    case 'loss':
      // Source: copied: TigerBeetle's simulator loses up to 30 %.
      return { kind, ...struck, loss: rounded(between(0.02, 0.3, random), 1_000) };
    case 'delay':
      // Source: guess: another continent, up to a bloated queue.
      return { kind, ...struck, addedMs: Math.round(between(30, 800, random)) };
    case 'bandwidth':
      // Source: guess: a bad mobile link to a slow home uplink.
      return { kind, ...struck, bytesPerSecond: Math.round(between(16_000, 500_000, random)) };
    case 'clock-drift': {
      // Source: guess: 50 ppm is a usual quartz; 2 % is far beyond any, and the most that a lease has to bear.
      const partsPerMillion = Math.round(between(50, 20_000, random));
      return { kind, ...struck, partsPerMillion: random.ratio() < 0.5 ? partsPerMillion : -partsPerMillion };
    }
    case 'slow':
      // Source: guess: a video call, up to a game that takes the whole card.
      return { kind, ...struck, factor: rounded(between(1.5, 20, random), 10) };
    case 'flash-crowd':
      // Source: guess: bursts of the workload are 3 times; this is more than a burst.
      return { kind, atMs, durationMs, factor: rounded(between(2, 8, random), 10) };
    default:
      return unreachable(kind);
  }
}

export function drawSleepingClock(random: RandomStream): 'counts' | 'halts' {
  return random.ratio() < CLOCK_COUNTS ? 'counts' : 'halts';
}

/** From a step of time synchronisation to a wrong time zone. Source: guess. */
function clockStep(random: RandomStream): number {
  const byMs = Math.max(1, Math.round(between(200, 43_200_000, random)));
  return random.ratio() < 0.5 ? byMs : -byMs;
}

/** One node alone, a cut at any size, or everybody by the toss of a coin. Source: copied: TigerBeetle's partition modes. */
function drawGroups(nodes: number, random: RandomStream): readonly (readonly number[])[] {
  const mode = random.below(3);
  const order = shuffled(nodes, random);
  const size = mode === 0 ? 1 : mode === 1 ? 1 + random.below(nodes - 1) : tosses(nodes, random);
  const groups = [order.slice(0, size), order.slice(size)].map((group) => group.toSorted((a, b) => a - b));
  // The smaller side is as often the one that cannot speak as the one that cannot hear.
  return random.ratio() < 0.5 ? groups : groups.toReversed();
}

/** Heads of as many coins as there are nodes, with at least one node on each side. */
function tosses(nodes: number, random: RandomStream): number {
  let heads = 0;
  for (let toss = 0; toss < nodes; toss += 1) heads += random.ratio() < 0.5 ? 1 : 0;
  return Math.min(Math.max(heads, 1), nodes - 1);
}

/** The numbers below `count` in an order of chance (Fisher and Yates). */
function shuffled(count: number, random: RandomStream): readonly number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last -= 1) {
    const other = random.below(last + 1);
    [order[last], order[other]] = [order[other] ?? 0, order[last] ?? 0];
  }
  return order;
}

/** Log-uniform. */
function between(min: number, max: number, random: RandomStream): number {
  return min * (max / min) ** random.ratio();
}

function rounded(value: number, perUnit: number): number {
  return Math.round(value * perUnit) / perUnit;
}
