/**
 * Randomness by name: which number does (seed, purpose, entity, counter) give? Seed and purpose are hashed once, the
 * entity is mixed in once per stream, and each draw mixes the key with a counter, so a draw is a handful of
 * multiplications and no stream knows of any other: taking one fault out of a plan leaves every other stream as it was.
 * Two rounds of MurmurHash3's finaliser over a Weyl sequence; the second half of the key goes in between them, because
 * one round alone would make all streams shifted copies of one sequence.
 * Limits: 2^32 draws per stream; logarithms may differ in the last digit between engines; not for secrets.
 * Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011, for the idea of counters.
 */
import { invariant } from '../../src/assert.ts';
import { finalMix, hash64, utf8, type Hash64 } from '../../src/bytes.ts';
import type { KeyedRandom, RandomStream } from './kernel-port.ts';

/** 2^32 divided by the golden ratio, odd: steps of it visit every 32-bit number. */
const WEYL_STEP = 0x9e3779b9;

const UINT32_SPAN = 0x1_0000_0000;

export class SeededRandom implements KeyedRandom {
  readonly #seed: string;
  /** A handful of purposes, named in the code. */
  readonly #purposes = new Map<string, Hash64>();

  constructor(seed: string | number) {
    this.#seed = String(seed);
  }

  stream(purpose: string, ...entity: readonly number[]): RandomStream {
    const key = this.#keyOf(purpose);
    let { high, low } = key;
    for (const part of entity) {
      invariant(Number.isSafeInteger(part), 'an entity is named by whole numbers');
      low = finalMix(low ^ Math.imul(part | 0, WEYL_STEP));
      high = finalMix(high + low + Math.floor(part / UINT32_SPAN));
    }
    // Without this, (3) and (3, 0) could be close relatives.
    return new CounterStream(finalMix(high ^ entity.length), finalMix(low + high));
  }

  #keyOf(purpose: string): Hash64 {
    let key = this.#purposes.get(purpose);
    if (key === undefined) {
      key = hash64(utf8(`${this.#seed}/${purpose}`));
      this.#purposes.set(purpose, key);
    }
    return key;
  }
}

class CounterStream implements RandomStream {
  readonly #high: number;
  #weyl: number;

  constructor(high: number, low: number) {
    this.#high = high;
    this.#weyl = low;
  }

  uint32(): number {
    this.#weyl = (this.#weyl + WEYL_STEP) | 0;
    return finalMix(finalMix(this.#weyl) + this.#high);
  }

  ratio(): number {
    return this.uint32() / UINT32_SPAN;
  }

  below(limit: number): number {
    return Math.floor(this.ratio() * limit);
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.ratio());
  }

  lognormal(median: number, sigma: number): number {
    // Box and Muller; the second normal number is given away so that a stream's state is one counter.
    const radius = Math.sqrt(-2 * Math.log(1 - this.ratio()));
    return median * Math.exp(sigma * radius * Math.cos(2 * Math.PI * this.ratio()));
  }
}
