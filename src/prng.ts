/**
 * Seeded randomness for everything that decides or simulates. xoshiro128** (Blackman and Vigna, 2018) seeded through
 * `hash64`; `fork(label)` gives an independent stream, so that a new draw in one part does not shift any other.
 * Not for secrets: keys and nonces come from the operating system in `.io.ts` files.
 */
import { hash64, utf8 } from './bytes.ts';

export class Prng {
  readonly #seed: string;
  readonly #state: Uint32Array;

  constructor(seed: string) {
    this.#seed = seed;
    const first = hash64(utf8(`${seed}/0`));
    const second = hash64(utf8(`${seed}/1`));
    this.#state = Uint32Array.of(first.high, first.low, second.high, second.low | 1);
  }

  /** An independent stream; equal labels of equal parents give equal streams. */
  fork(label: string): Prng {
    return new Prng(`${this.#seed}/${label}`);
  }

  /** Uniform in [0, 2^32). */
  nextUint32(): number {
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = this.#state;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const third = s2 ^ s0;
    const fourth = s3 ^ s1;
    this.#state[1] = s1 ^ third;
    this.#state[0] = s0 ^ fourth;
    this.#state[2] = third ^ (s1 << 9);
    this.#state[3] = rotateLeft(fourth, 11);
    return result;
  }

  /** Uniform in [0, 1), with 32 bits. */
  nextRatio(): number {
    return this.nextUint32() / 0x1_0000_0000;
  }

  /** A whole number in [0, limit), unbiased enough for limits far below 2^32. */
  nextBelow(limit: number): number {
    return Math.floor(this.nextRatio() * limit);
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
