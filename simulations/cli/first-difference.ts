/**
 * Where did two runs part that should have been the same? Their traces are hashed up to the end of each second, so that the
 * first second whose hashes differ is the one in which something else happened; the hash at the end seals the rest. Limit:
 * which event it was is for `replay --trace` of both to show.
 */
import type { RunReport } from '../report/report.ts';

export type TraceDifference =
  | { readonly type: 'same' }
  /** What happened from `fromMs` to `toMs` was not the same; before it was. */
  | { readonly type: 'parted'; readonly fromMs: number; readonly toMs: number };

type Trace = Pick<RunReport, 'traceHash' | 'checkpoints' | 'durationMs'>;

const SECOND_MS = 1_000;

export function firstDifference(left: Trace, right: Trace): TraceDifference {
  const both = Math.min(left.checkpoints.length, right.checkpoints.length);
  for (let second = 0; second < both; second += 1)
    if (left.checkpoints[second]?.hash !== right.checkpoints[second]?.hash)
      return { type: 'parted', fromMs: second * SECOND_MS, toMs: (second + 1) * SECOND_MS };
  if (left.traceHash === right.traceHash && left.checkpoints.length === right.checkpoints.length)
    return { type: 'same' };
  return { type: 'parted', fromMs: both * SECOND_MS, toMs: Math.max(left.durationMs, right.durationMs) };
}
