/**
 * How does a person write a seed, a range of seeds, a time or a count on a command line? Each reader takes the text of one
 * option and returns what it says, or what was expected in its place and what was found. Written as everybody writes them:
 * `7`, `1..500`, `90s`, `10m`, `2h`. Limits: a million seeds in one go, a day of budget, 64 jobs.
 */
import { type Checked, checkShape, wholeNumber, within } from '../problem.ts';
import { seedNumber } from '../run-file.ts';

/** Both ends are part of it. */
export interface SeedRange {
  readonly first: number;
  readonly last: number;
}

/** Source: guess: weeks of computing. */
const SEEDS_MAX = 1_000_000;
/** Source: guess: a day; a longer search is a row of days. */
const BUDGET_MS_MAX = 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

export function readSeed(text: string): Checked<number> {
  return named('seed', readWhole(text, seedNumber));
}

export function readSeeds(text: string): Checked<SeedRange> {
  const parts = /^(?<first>\d+)(?:\.\.(?<last>\d+))?$/.exec(text)?.groups;
  const first = Number(parts?.['first'] ?? Number.NaN);
  const last = Number(parts?.['last'] ?? first);
  const isRange = Number.isSafeInteger(first) && Number.isSafeInteger(last) && first <= last;
  if (isRange && last - first < SEEDS_MAX) return { type: 'valid', value: { first, last } };
  return wrong('seeds', `a seed, or a range like 1..500 of up to ${SEEDS_MAX} seeds`, text);
}

export function readBudgetMs(text: string): Checked<number> {
  const parts = /^(?<count>\d+(?:\.\d+)?)(?<unit>[smh])$/.exec(text)?.groups;
  const budgetMs = Number(parts?.['count']) * (UNIT_MS[parts?.['unit'] ?? ''] ?? Number.NaN);
  return budgetMs > 0 && budgetMs <= BUDGET_MS_MAX
    ? { type: 'valid', value: budgetMs }
    : wrong('budget', 'a time up to 24h, like 90s, 10m or 2h', text);
}

/** A whole number of something, by the name of its option. */
export function readCount(
  option: string,
  text: string,
  limit: { readonly min: number; readonly max: number },
): Checked<number> {
  return named(option, readWhole(text, wholeNumber(limit.min, limit.max)));
}

function readWhole(text: string, shape: ReturnType<typeof wholeNumber>): Checked<number> {
  // `Number` takes '', ' 7' and '0x7' for numbers; nobody means them.
  return checkShape(shape, /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text);
}

function named<Value>(option: string, read: Checked<Value>): Checked<Value> {
  return read.type === 'valid' ? read : { type: 'invalid', problems: within(option, read.problems) };
}

function wrong(field: string, expected: string, got: string): Checked<never> {
  return { type: 'invalid', problems: [{ field, expected, got: JSON.stringify(got) }] };
}
