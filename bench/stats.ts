/**
 * What do repeated measurements say, and in which order should they be taken? Summaries without assumptions (least,
 * median, greatest, nearest-rank percentiles) and an order that interleaves the cases, each round starting with the next
 * one, so that a machine that slows down meanwhile slows all cases alike and their ratios hold. Pure. Source: ours.
 */

export interface Summary {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** The least sample that at least `percent` per cent of the samples do not exceed (nearest rank). */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = samples.toSorted((left, right) => left - right);
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  const value = sorted[Math.min(rank, sorted.length) - 1];
  if (value === undefined) throw new Error('no samples');
  return value;
}

/** [median, 99th percentile] by nearest rank; zeros where nothing was measured. */
export function percentiles(samples: readonly number[]): readonly [p50: number, p99: number] {
  return samples.length === 0 ? [0, 0] : [percentile(samples, 50), percentile(samples, 99)];
}

/** The mean of the middle two where their number is even. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((left, right) => left - right);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (low === undefined || high === undefined) throw new Error('no samples');
  return (low + high) / 2;
}

export function summarize(samples: readonly number[]): Summary {
  return { min: Math.min(...samples), median: median(samples), max: Math.max(...samples) };
}

/** `rounds` times all cases, each round starting one later. */
export function interleaved<Case>(cases: readonly Case[], rounds: number): readonly Case[] {
  return Array.from({ length: rounds }, (_, round) => {
    const start = cases.length === 0 ? 0 : round % cases.length;
    return [...cases.slice(start), ...cases.slice(0, start)];
  }).flat();
}

/** One line: "min 1.20 / median 1.31 / max 2.05 us". */
export function formatSummary(summary: Summary, unit: string): string {
  const [min, middle, max] = [summary.min, summary.median, summary.max].map((value) => value.toFixed(2));
  return `min ${min} / median ${middle} / max ${max} ${unit}`;
}
