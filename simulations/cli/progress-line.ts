/**
 * How far is it? One line for a terminal: a bar, the share that is done, what is being done, and how long the rest will
 * take if it goes on like this. Limit: the estimate is a straight line, and is left out in the first seconds.
 */
import { duration } from '../report/report-words.ts';

const BAR_CELLS = 24;
/** Before this, an estimate says nothing. Source: guess. */
const ESTIMATE_FROM_MS = 2_000;

export interface Progress {
  /** From 0 to 1. */
  readonly share: number;
  readonly what: string;
  readonly elapsedMs: number;
  /** Of the terminal. */
  readonly columns: number;
}

export function progressLine({ share, what, elapsedMs, columns }: Progress): string {
  const done = Math.min(1, Math.max(0, share));
  const full = Math.floor(done * BAR_CELLS);
  const bar = `[${'#'.repeat(full)}${'.'.repeat(BAR_CELLS - full)}]`;
  const hasEstimate = elapsedMs >= ESTIMATE_FROM_MS && done > 0 && done < 1;
  const left = hasEstimate ? `, ${duration((elapsedMs * (1 - done)) / done)} left` : '';
  // A line that is wrapped could not be written over.
  return `${bar} ${String(Math.floor(done * 100)).padStart(3)} % ${what}${left}`.slice(0, Math.max(0, columns - 1));
}
