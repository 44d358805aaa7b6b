/**
 * How close does every node deciding for itself on an old view come to one that knows everything? Runs each strategy in
 * each cell under each seed, all of a cell on the same machines and messages, and sums up: times to the first token
 * relative to the omniscient scheduler, geometric mean over cells and seeds; the worst cell, its seeds averaged the same
 * way; the herd index, mean and worst over cells. `steps` yields between runs, so that a caller can show how far it is.
 */
import { type Cell, LIARS_CELL, spanOf } from './cells.ts';
import { OMNISCIENT } from './omniscient.ts';
import { OURS } from './ours.ts';
import { PLAIN_STRATEGIES } from './plain.ts';
import { runStrategy } from './run.ts';
import type { Result } from './tally.ts';
import type { Strategy } from './world.ts';

export const STRATEGIES: readonly Strategy[] = [OMNISCIENT, OURS, ...PLAIN_STRATEGIES];

export interface StudyOptions {
  readonly cells: readonly Cell[];
  readonly strategies: readonly Strategy[];
  readonly seeds: readonly string[];
  /** Of the length that each cell has. */
  readonly share: number;
}

/** One strategy in one cell: a result for each seed, beside the omniscient one's. */
export interface CellResult {
  readonly cell: Cell;
  readonly strategy: string;
  readonly runs: readonly { readonly result: Result; readonly best: Result }[];
}

export interface Row {
  readonly strategy: string;
  readonly p50: number;
  readonly p99: number;
  readonly worstP50: number;
  readonly worstP99: number;
  /** Least and greatest geometric mean of a single seed. */
  readonly p50Seeds: readonly [number, number];
  readonly p99Seeds: readonly [number, number];
  readonly herdMean: number;
  readonly herdWorst: number;
  readonly cacheShare: number;
  readonly bouncesPerMessage: number;
  readonly refusedShare: number;
  readonly utilisation: number;
}

/** Yields how many runs are over, returns the results in the order of strategies, then cells. */
export function* steps(options: StudyOptions): Generator<number, readonly CellResult[]> {
  const { cells, strategies, seeds, share } = options;
  const results = new Map<Strategy, CellResult[]>(strategies.map((strategy) => [strategy, []]));
  let over = 0;
  for (const cell of cells) {
    const span = spanOf(cell, share);
    const best: Result[] = [];
    for (const seed of seeds) {
      best.push(runStrategy(OMNISCIENT, { cell, span, seed }));
      yield (over += 1);
    }
    for (const strategy of strategies) {
      const runs: { result: Result; best: Result }[] = [];
      for (const [index, seed] of seeds.entries()) {
        const known = best[index];
        if (known === undefined) throw new Error(`seed ${seed} was not run`);
        const result = strategy === OMNISCIENT ? known : runStrategy(strategy, { cell, span, seed });
        runs.push({ result, best: known });
        if (strategy !== OMNISCIENT) yield (over += 1);
      }
      results.get(strategy)?.push({ cell, strategy: strategy.name, runs });
    }
  }
  return [...results.values()].flat();
}

/** How many runs `steps` makes. */
export function countRuns({ cells, strategies, seeds }: StudyOptions): number {
  return cells.length * seeds.length * (1 + strategies.filter((strategy) => strategy !== OMNISCIENT).length);
}

export function rowsOf(results: readonly CellResult[]): readonly Row[] {
  return [...new Set(results.map(({ strategy }) => strategy))].map((strategy) => {
    const cells = results.filter((one) => one.strategy === strategy);
    const all = cells.flatMap(({ runs }) => runs.map(({ result }) => result));
    const herds = cells.map(({ runs }) => mean(runs.map(({ result }) => result.herdIndex)));
    const worst = (of: Figure): number => Math.max(...cells.map((one) => ratio(one, of)));
    const seeds = cells[0]?.runs.map((_, seed) =>
      cells.map((one) => ({ ...one, runs: one.runs.slice(seed, seed + 1) })),
    );
    const range = (of: Figure): readonly [number, number] => {
      const each = (seeds ?? []).map((ofSeed) => geometricMean(ofSeed.map((one) => ratio(one, of))));
      return [Math.min(...each), Math.max(...each)];
    };
    return {
      strategy,
      p50: geometricMean(cells.map((one) => ratio(one, 'p50Ms'))),
      p99: geometricMean(cells.map((one) => ratio(one, 'p99Ms'))),
      worstP50: worst('p50Ms'),
      worstP99: worst('p99Ms'),
      p50Seeds: range('p50Ms'),
      p99Seeds: range('p99Ms'),
      herdMean: mean(herds),
      herdWorst: Math.max(...herds),
      cacheShare: mean(all.map((result) => result.cacheShare)),
      bouncesPerMessage: mean(all.map((result) => result.bouncesPerMessage)),
      refusedShare: mean(all.map((result) => result.refusedShare)),
      utilisation: mean(all.map((result) => result.utilisation)),
    };
  });
}

type Figure = 'p50Ms' | 'p99Ms';

/** Of a cell's runs to the omniscient ones, geometric mean over the seeds. */
export function ratio({ runs }: CellResult, of: Figure): number {
  return geometricMean(runs.map(({ result, best }) => result[of] / best[of]));
}

export interface LiarsResult {
  readonly strategy: string;
  /** 90th percentile of the time to the first token, mean over the seeds. */
  readonly honestP90Ms: number;
  readonly medianP90Ms: number;
  readonly slowestP90Ms: number;
}

/** Two of fifty claim to be idle and 20 times as fast, and refuse nobody: two of middling speed, or the two slowest. */
export function liarsResult(strategy: Strategy, seeds: readonly string[], share: number): LiarsResult {
  const span = spanOf(LIARS_CELL, share);
  const p90 = (liars: 'none' | 'median' | 'slowest'): number =>
    mean(seeds.map((seed) => runStrategy(strategy, { cell: LIARS_CELL, span, seed, liars }).p90Ms));
  return {
    strategy: strategy.name,
    honestP90Ms: p90('none'),
    medianP90Ms: p90('median'),
    slowestP90Ms: p90('slowest'),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(mean(values.map((value) => Math.log(value))));
}
