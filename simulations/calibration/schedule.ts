/**
 * What is done to ten nodes, and when? A short list of strikes, one after the other with quiet between them, so that every
 * change of a verdict has one cause: kill -9 and a restart, a stop that ends before the member is given up and one that
 * ends after it, a polite leave. A seed draws the victims and the moments, so that they meet any phase of the heartbeats.
 * The same list strikes real processes and simulated ones; here it becomes the scenario and the plan of the latter.
 * Node 0 is the one by which the others join, and is never struck.
 */
import { invariant, unreachable } from '../../src/assert.ts';
import { LIVENESS } from '../../src/params.ts';
import { Prng } from '../../src/prng.ts';
import type { Fault, FaultPlan } from '../faults/fault.ts';
import type { Scenario } from '../scenario.ts';

export type Strike =
  /** kill -9; started again from the same directory. */
  | { readonly kind: 'kill'; readonly node: number; readonly atMs: number; readonly durationMs: number }
  /** SIGSTOP, then SIGCONT. */
  | { readonly kind: 'stop'; readonly node: number; readonly atMs: number; readonly durationMs: number }
  /** SIGTERM. */
  | { readonly kind: 'leave'; readonly node: number; readonly atMs: number };

/** Times are ms from the moment when everybody sees everybody. */
export interface Schedule {
  readonly seed: number;
  readonly nodes: number;
  readonly strikes: readonly Strike[];
  readonly endMs: number;
}

/** As many as are struck, and two that see it all. */
export const NODES_MIN = 6;
/** Source: guess: about 120 MB each. */
export const NODES_MAX = 30;

/** Quiet before the first strike: two heartbeats and a few beacons. Source: guess. */
const SETTLE_MS = 4_000;
/** Moments are drawn from this: two heartbeats. */
const PHASE_MS = 1_000;
/** Down for so long, a killed node is dead to everybody. Source: `deadAfterMs` and a third more. */
const KILLED_MS = 16_000;
/** Suspect, and not dead yet. */
const SHORT_STOP_MS = 5_000;
/** Dead: 2.6 s and 12 s, and room. */
const LONG_STOP_MS = 20_000;
/** Quiet after each, and most after a restart, which takes a real process seconds of its own. Source: guess. */
const QUIET_MS = { kill: 10_000, stop: 8_000, leave: 4_000 } as const;

invariant(LONG_STOP_MS > LIVENESS.suspectAfterMs + LIVENESS.deadAfterMs, 'a long stop is one that is given up');
invariant(SHORT_STOP_MS < LIVENESS.deadAfterMs, 'a short stop is one that is not given up');

export function makeSchedule(seed: number, nodes: number): Schedule {
  const prng = new Prng(`calibration/${seed}`);
  const victims = drawVictims(prng, nodes);
  const kinds = [
    { kind: 'kill', durationMs: KILLED_MS },
    { kind: 'stop', durationMs: SHORT_STOP_MS },
    { kind: 'stop', durationMs: LONG_STOP_MS },
    { kind: 'leave', durationMs: 0 },
  ] as const;
  const strikes: Strike[] = [];
  let freeAtMs = SETTLE_MS;
  for (const [index, { kind, durationMs }] of kinds.entries()) {
    const atMs = freeAtMs + prng.nextBelow(PHASE_MS);
    const node = victims[index] ?? 1;
    strikes.push(kind === 'leave' ? { kind, node, atMs } : { kind, node, atMs, durationMs });
    freeAtMs = atMs + durationMs + QUIET_MS[kind];
  }
  return { seed, nodes, strikes, endMs: freeAtMs };
}

function drawVictims(prng: Prng, nodes: number): readonly number[] {
  const left = Array.from({ length: nodes - 1 }, (_, index) => index + 1);
  const drawn: number[] = [];
  while (left.length > 0) drawn.push(...left.splice(prng.nextBelow(left.length), 1));
  return drawn;
}

/** What a person calls it. */
export function strikeName(strike: Strike): string {
  switch (strike.kind) {
    case 'kill':
      return 'kill -9';
    case 'stop':
      return `SIGSTOP ${strike.durationMs / 1_000} s`;
    case 'leave':
      return 'SIGTERM';
    default:
      return unreachable(strike);
  }
}

// The simulated half.

/** Simulated nodes start within this, and are struck from `BASE_MS` on: as long as real ones are given to meet. */
const START_WITHIN_MS = 8_000;
export const BASE_MS = 20_000;

/** Ten machines on one host: no distance, no loss, no narrow line; nobody asks for anything. */
export function scenarioOf({ nodes, endMs }: Schedule): Scenario {
  const durationMs = BASE_MS + endMs;
  return {
    name: 'calibration',
    question: 'Do simulated nodes notice the same things as late as real processes do?',
    nodes,
    machines: { laptop: 1 },
    nat: { public: 1 },
    bootstraps: 1,
    models: [{ name: 'skein-hello', holders: 1, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 1 }],
    workload: { arrivals: 'none', load: 0, followUps: 0, promptTokens: 1, answerTokens: 1, answerTokensMax: 1 },
    network: {
      delayMsMin: 0,
      delayMsMax: 1,
      jitterMs: 0,
      loss: 0,
      lossBurstMs: 1,
      bytesPerSecond: 1_000_000_000,
      queueMs: 100,
    },
    gossip: 'hop',
    faults: { perNodeHour: {}, enable: 1 },
    startWithinMs: START_WITHIN_MS,
    faultsFromMs: BASE_MS,
    healAtMs: durationMs,
    durationMs,
    drainMs: 0,
  };
}

export function planOf({ strikes, endMs }: Schedule): FaultPlan {
  return strikes.map((strike): Fault => {
    const { node } = strike;
    const atMs = BASE_MS + strike.atMs;
    switch (strike.kind) {
      case 'kill':
        return { kind: 'crash', node, atMs, durationMs: strike.durationMs, state: 'kept' };
      case 'stop':
        return { kind: 'pause', node, atMs, durationMs: strike.durationMs };
      case 'leave':
        return { kind: 'leave', node, atMs, durationMs: endMs - strike.atMs };
      default:
        return unreachable(strike);
    }
  });
}
