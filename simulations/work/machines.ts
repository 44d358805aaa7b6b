/**
 * Which machines people have at home, and how fast are they? One profile for each kind: a range of speeds, drawn
 * log-uniformly, for one stream of an 8B model with 4-bit weights (a model's own `speed` multiplies it), slots, and the
 * room for its key-value cache. `drawMachine` makes one; what owners do with theirs is `habits.ts`.
 * The service model is that of the placement study: b requests at once share v * b^0.6 tokens per second, and a prompt
 * is read 15 times as fast as an answer is written. Measured prefill factors are 10 (Macs) to 50 (graphics cards).
 * Limits: one speed for a machine, whatever the length of the context.
 */
import { invariant } from '../../src/assert.ts';
import type { RandomStream } from '../kernel/kernel-port.ts';
import type { MachineKind, NatClass } from '../scenario.ts';

export interface MachineProfile {
  /** Of one stream. */
  readonly tokensPerSecondMin: number;
  readonly tokensPerSecondMax: number;
  readonly slotsMin: number;
  readonly slotsMax: number;
  /** Room for prefixes and running answers together. */
  readonly cacheTokensMin: number;
  readonly cacheTokensMax: number;
  /** Relative weights where a scenario says nothing. */
  readonly nat: Readonly<Record<NatClass, number>>;
}

export interface Machine {
  readonly kind: MachineKind;
  readonly tokensPerSecond: number;
  readonly prefillFactor: number;
  readonly slots: number;
  readonly cacheTokens: number;
}

/** Prompt tokens per second over answer tokens per second. Source: the placement study. */
export const PREFILL_FACTOR = 15;
/** Speed of b streams together over that of one: b to this power. Source: the placement study; measured here on two cores: b = 4 gives 1.8 (0.42), graphics cards scale better. */
const SHARING_EXPONENT = 0.6;

/** Behind a home router: a punch succeeds in 7 of 10 cases. Source: paper, Trautwein and others 2025, 4.4 million attempts: 70 % +- 7.1 %. One in ten is reachable: guess, port forwards and IPv6. */
const HOME_NAT: Readonly<Record<NatClass, number>> = { public: 1, punchable: 6.3, 'relay-only': 2.7 };

/**
 * Speeds of Llama 3 8B Q4_K_M in tokens per second. Source: copied from XiongjieDai/GPU-Benchmarks-on-LLM-Inference
 * (llama-bench, May 2024), except where said. Slots: the placement study's 1 to 8, spread over the kinds (guess).
 * Cache: computed, 128 KiB per token (32 layers, 8 heads of 128, key and value in 16 bits) in the memory that 5 GB of weights leave.
 */
export const MACHINES: Readonly<Record<MachineKind, MachineProfile>> = {
  /** RTX 3090 112, RTX 4090 128 and (pavlokhmel.com, a 9B model) A100 123, H100 190: always on, in a rack or a cellar. */
  server: {
    tokensPerSecondMin: 100,
    tokensPerSecondMax: 160,
    slotsMin: 8,
    slotsMax: 8,
    cacheTokensMin: 131_072,
    cacheTokensMax: 262_144,
    nat: { public: 8, punchable: 1, 'relay-only': 1 },
  },
  /** RTX 3070 71, RTX 4080 106, RTX 4090 128; the lower end a RTX 3060 with 5/6 of the 3070's memory bandwidth. */
  gaming: {
    tokensPerSecondMin: 50,
    tokensPerSecondMax: 130,
    slotsMin: 2,
    slotsMax: 6,
    cacheTokensMin: 16_384,
    cacheTokensMax: 131_072,
    nat: HOME_NAT,
  },
  /** M1 10, M1 Max 35, M2 Ultra 76; M5 22 (pavlokhmel.com, a 9B model). */
  mac: {
    tokensPerSecondMin: 10,
    tokensPerSecondMax: 76,
    slotsMin: 2,
    slotsMax: 4,
    cacheTokensMin: 16_384,
    cacheTokensMax: 131_072,
    nat: HOME_NAT,
  },
  /** Processors only: 8 (llama.cpp issue 5619, a 7B model) to 18 (issue 34, fast DDR5). */
  laptop: {
    tokensPerSecondMin: 8,
    tokensPerSecondMax: 18,
    slotsMin: 1,
    slotsMax: 2,
    cacheTokensMin: 8_192,
    cacheTokensMax: 32_768,
    nat: HOME_NAT,
  },
  /** Small always-on boxes: computed, 25 to 40 GB/s of memory bandwidth over 5 GB of weights. */
  mini: {
    tokensPerSecondMin: 5,
    tokensPerSecondMax: 8,
    slotsMin: 1,
    slotsMax: 1,
    cacheTokensMin: 8_192,
    cacheTokensMax: 16_384,
    nat: HOME_NAT,
  },
};

/** One machine of this kind. Draws the same number of times whatever comes out. */
export function drawMachine(kind: MachineKind, random: RandomStream): Machine {
  const profile = MACHINES[kind];
  const { tokensPerSecondMin, tokensPerSecondMax, slotsMin, slotsMax, cacheTokensMin, cacheTokensMax } = profile;
  return {
    kind,
    tokensPerSecond: logUniform(tokensPerSecondMin, tokensPerSecondMax, random.ratio()),
    prefillFactor: PREFILL_FACTOR,
    slots: slotsMin + random.below(slotsMax - slotsMin + 1),
    cacheTokens: Math.round(logUniform(cacheTokensMin, cacheTokensMax, random.ratio())),
  };
}

/** What `running` streams at once make together, as a multiple of what one makes alone. */
export function sharedSpeed(running: number): number {
  return running <= 0 ? 0 : running ** SHARING_EXPONENT;
}

/** Answer tokens per second with all slots busy. */
export function capacityOf(machine: Pick<Machine, 'tokensPerSecond' | 'slots'>): number {
  return machine.tokensPerSecond * sharedSpeed(machine.slots);
}

/** The index that `ratio` in [0, 1) falls on among relative weights; the weights need not sum to one. */
export function pickWeighted(weights: readonly number[], ratio: number): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  invariant(total > 0, 'some weight is above zero');
  let rest = ratio * total;
  let last = 0;
  for (const [index, weight] of weights.entries()) {
    if (weight <= 0) continue;
    last = index;
    rest -= weight;
    if (rest < 0) break;
  }
  return last;
}

function logUniform(low: number, high: number, ratio: number): number {
  return low * Math.exp(Math.log(high / low) * ratio);
}
