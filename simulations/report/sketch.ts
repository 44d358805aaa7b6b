/**
 * What are the quantiles of many values, in little room and the same on every machine? A histogram whose bins grow with
 * the value: exact below 64, then 32 bins to each doubling, so that what it answers is within 1/64 of a true value. Only
 * whole-number arithmetic decides about a bin. Limits: 864 bins; values up to 2^31 - 1 times the resolution, what is
 * greater counts as that. Two sketches of one resolution merge by adding. Source: the layout of HdrHistogram.
 */
import { invariant } from '../../src/assert.ts';

const SUB_BITS = 5;
const SUB_BINS = 1 << SUB_BITS;
const VALUE_MAX = 0x7fff_ffff;
/** Relative width of half a bin: how far an answer may be from the truth. */
export const SKETCH_ERROR = 1 / 64;
const BINS = binOf(VALUE_MAX) + 1;

export interface Quantiles {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export class Sketch {
  readonly #resolution: number;
  readonly #bins = new Uint32Array(BINS);
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = 0;

  /** Values are counted in steps of `resolution`: 0.01 for a ratio, 1 for milliseconds. */
  constructor(resolution = 1) {
    invariant(resolution > 0, 'a resolution is positive');
    this.#resolution = resolution;
  }

  get count(): number {
    return this.#count;
  }

  /** Negative values count as 0. */
  add(value: number): void {
    const counted = Math.max(0, value);
    const bin = binOf(Math.min(VALUE_MAX, Math.round(counted / this.#resolution)));
    this.#bins[bin] = (this.#bins[bin] ?? 0) + 1;
    this.#count += 1;
    this.#sum += counted;
    this.#min = Math.min(this.#min, counted);
    this.#max = Math.max(this.#max, counted);
  }

  merge(other: Sketch): void {
    invariant(other.#resolution === this.#resolution, 'only sketches of one resolution merge');
    for (let bin = 0; bin < BINS; bin += 1) this.#bins[bin] = (this.#bins[bin] ?? 0) + (other.#bins[bin] ?? 0);
    this.#count += other.#count;
    this.#sum += other.#sum;
    this.#min = Math.min(this.#min, other.#min);
    this.#max = Math.max(this.#max, other.#max);
  }

  /** The value that this share of all values does not exceed (nearest rank); undefined when there is none. */
  quantile(share: number): number | undefined {
    if (this.#count === 0) return undefined;
    const rank = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    let bin = 0;
    while (bin < BINS - 1) {
      seen += this.#bins[bin] ?? 0;
      if (seen >= rank) break;
      bin += 1;
    }
    return Math.min(this.#max, Math.max(this.#min, middleOf(bin) * this.#resolution));
  }

  /** Undefined when there is no value. */
  quantiles(): Quantiles | undefined {
    if (this.#count === 0) return undefined;
    const at = (share: number): number => rounded(this.quantile(share) ?? 0);
    return {
      count: this.#count,
      mean: rounded(this.#sum / this.#count),
      p50: at(0.5),
      p90: at(0.9),
      p99: at(0.99),
      max: rounded(this.#max),
    };
  }
}

/** Three decimals: what a report needs of a number. */
export function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

function binOf(value: number): number {
  if (value < 2 * SUB_BINS) return value;
  const shift = 31 - Math.clz32(value) - SUB_BITS;
  return shift * SUB_BINS + (value >>> shift);
}

function middleOf(bin: number): number {
  if (bin < 2 * SUB_BINS) return bin;
  const shift = (bin >>> SUB_BITS) - 1;
  const low = (bin - shift * SUB_BINS) * 2 ** shift;
  return low + (2 ** shift - 1) / 2;
}
