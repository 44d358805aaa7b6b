/**
 * What is -log2 of a 32-bit hash, as an integer, and the same on every engine? `Math.log2` may differ in its last bits
 * between engines and versions, and one bit is enough for two nodes to rank differently. So: a table of 4096 steps and
 * linear interpolation between them, built and read with integers only (the idea of Ceph's straw2 table).
 * The table comes from ln((m+1)/m) = 2 (1/z + 1/3z^3 + ...) with z = 2m+1, summed in units of 2^-50: 4096 terms, each
 * wrong by less than two units, so that the sums are exact to 2^-37. Result: within `LOG_ERROR_MAX` units of the truth
 * and never rising where the hash rises. Source: ours; the bound is tested against `Math.log2`.
 */

/** One bit (a factor of two) in units of the results. Source: ours: the product with a weight stays under 2^53. */
export const LOG_ONE = 0x1_00_00_00;
/** The largest result: the hash 0. */
export const LOG_MAX = 32 * LOG_ONE;
/** Rounding of the table 0.6, chord under the curve 0.2, rounding of the interpolation 1.1. Source: computed, tested. */
export const LOG_ERROR_MAX = 2;

const STEPS_LOG2 = 12;
const STEPS = 1 << STEPS_LOG2;

/** log2(1 + step / 4096) in units, for step 0 to 4096. */
const TABLE = buildTable();

/** -log2((hash + 1) / 2^32) in units of 2^-24, for an unsigned 32-bit hash: 0 for the largest, `LOG_MAX` for 0. */
export function negativeLog2(hash: number): number {
  if (hash >= 0xffffffff) return 0;
  const value = hash + 1;
  const zeros = Math.clz32(value);
  const mantissa = value << zeros;
  const step = (mantissa >>> 19) & (STEPS - 1);
  const rest = (mantissa >>> 3) & 0xffff;
  const base = TABLE[step] ?? 0;
  const rise = (TABLE[step + 1] ?? 0) - base;
  return ((zeros + 1) << 24) - base - (Math.imul(rise, rest) >>> 16);
}

function buildTable(): Int32Array {
  const sums = new Float64Array(STEPS + 1);
  for (let step = 0; step < STEPS; step += 1) {
    const z = 2 * (STEPS + step) + 1;
    const term = Math.floor(2_251_799_813_685_248 / z) + Math.floor(2_251_799_813_685_248 / (3 * z * z * z));
    sums[step + 1] = (sums[step] ?? 0) + term;
  }
  // The last sum is ln 2; 28 bits of each leave room for the 24 of the result in a 53-bit product.
  const whole = Math.floor((sums[STEPS] ?? 0) / 4_194_304);
  return Int32Array.from(sums, (sum) => Math.floor((Math.floor(sum / 4_194_304) * LOG_ONE + whole / 2) / whole));
}
