/**
 * How many processes simulate at the same time? One option for every command that starts some, with one default and one
 * limit, so that "--jobs 4" means the same everywhere.
 */
import type { Checked } from '../problem.ts';
import { readCount } from './amounts.ts';

/** Source: guess: two keep a small machine busy. */
export const JOBS_USUAL = 2;
const JOBS_LIMIT = { min: 1, max: 64 } as const;

export const JOBS_OPTION = ['--jobs <number>', `processes that simulate (default: ${JOBS_USUAL})`] as const;

export function readJobs(text: string): Checked<number> {
  return readCount('jobs', text, JOBS_LIMIT);
}
