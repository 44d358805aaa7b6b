/**
 * Is this count too high to be chance? Rare events of independent nodes come as a Poisson process, so a promise of so many
 * per node-day is broken only when a process that just keeps it would hardly have shown as many. `poissonLowerBound` is
 * the least mean that makes the count believable (the exact one-sided bound, P(X >= count) = 1 - confidence);
 * `chanceAtLeast` is that probability for a given mean. Both take fractional counts (an event that half of the observers
 * missed). Limits: means up to a few ten thousand. Source: Garwood 1936; the series of the incomplete gamma function.
 */

/** Of the lower bound. Source: guess, as usual: one false alarm in a hundred runs of a core that only just keeps a promise. */
const CONFIDENCE = 0.99;
const TERMS_MAX = 100_000;
const BISECTIONS = 80;

/** The least mean under which so many are not surprising. */
export function poissonLowerBound(count: number, confidence = CONFIDENCE): number {
  if (count <= 0) return 0;
  let low = 0;
  let high = count;
  for (let step = 0; step < BISECTIONS; step += 1) {
    const middle = (low + high) / 2;
    if (chanceAtLeast(count, middle) < 1 - confidence) low = middle;
    else high = middle;
  }
  return low;
}

/** P(X >= count) of a Poisson variable with this mean. */
export function chanceAtLeast(count: number, mean: number): number {
  if (count <= 0) return 1;
  if (mean <= 0) return 0;
  let term = 1;
  let sum = 1;
  for (let index = 1; index < TERMS_MAX && term > sum * 1e-16; index += 1) {
    term *= mean / (count + index);
    sum += term;
  }
  return Math.min(1, Math.exp(count * Math.log(mean) - mean - logGamma(count + 1)) * sum);
}

/** Lanczos' approximation, 15 digits for arguments above 1/2. */
function logGamma(value: number): number {
  const base = value + 6.5;
  let sum = 0.99999999999980993;
  for (const [index, coefficient] of LANCZOS.entries()) sum += coefficient / (value + index);
  return 0.5 * Math.log(2 * Math.PI) + (value - 0.5) * Math.log(base) - base + Math.log(sum);
}

const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];
