/**
 * Did a change make the mesh better or worse? Compares the figures of the same scenarios and seeds before and now. Each
 * figure has a direction and a tolerance: a relative part, and an absolute one below which a difference is noise. A
 * figure or a whole run that is gone counts as worse, because it must not pass unseen; one that is new cannot be judged.
 * The runs are deterministic, so that a tolerance covers what an innocent change of behaviour moves, not chance of the
 * machine. Limits: figures without a tolerance are shown and judge nothing. Source: iroh-gossip's `sim compare`.
 */
import type { Quantiles } from './sketch.ts';
import type { MetricSummary } from './metrics.ts';

export interface BaselineEntry {
  readonly scenario: string;
  readonly seed: number;
  readonly figures: Readonly<Record<string, number>>;
}

export type Baseline = readonly BaselineEntry[];

interface Tolerance {
  readonly better: 'lower' | 'higher';
  /** Of the figure before. */
  readonly relative: number;
  /** In the unit of the figure. */
  readonly absolute: number;
}

/**
 * What is judged. Source: guess for all, about twice the spread over neighbouring seeds that such figures have; the
 * absolute parts are what no person would notice.
 */
export const TOLERANCES: Readonly<Record<string, Tolerance>> = {
  // Promises: none may be broken more often than before. Source: what a promise is.
  violations: { better: 'lower', relative: 0, absolute: 0 },
  answeredShare: { better: 'higher', relative: 0, absolute: 0.005 },
  failedShare: { better: 'lower', relative: 0, absolute: 0.002 },
  refusedShare: { better: 'lower', relative: 0, absolute: 0.005 },
  firstTokenMsP50: { better: 'lower', relative: 0.05, absolute: 20 },
  firstTokenMsP99: { better: 'lower', relative: 0.1, absolute: 50 },
  failoverGapMsP99: { better: 'lower', relative: 0.1, absolute: 100 },
  // Nearest rank over a handful of falls: one fall moves it.
  noticedAfterMsMax: { better: 'lower', relative: 0.1, absolute: 250 },
  falseSuspicionsPerNodeDay: { better: 'lower', relative: 0.2, absolute: 0.2 },
  falseDeathsPerNodeDay: { better: 'lower', relative: 0.2, absolute: 0.02 },
  busyPerRequest: { better: 'lower', relative: 0.2, absolute: 0.02 },
  crowdingP99: { better: 'lower', relative: 0.15, absolute: 0.2 },
  viewAgeMsP50: { better: 'lower', relative: 0.1, absolute: 100 },
  bytesPerNodeSecond: { better: 'lower', relative: 0.05, absolute: 100 },
};

export type Verdict = 'better' | 'equal' | 'worse' | 'new' | 'gone' | 'not judged';

export interface ComparedFigure {
  readonly scenario: string;
  readonly seed: number;
  readonly figure: string;
  readonly before: number | undefined;
  readonly now: number | undefined;
  /** Now / before; undefined where that says nothing. */
  readonly ratio: number | undefined;
  readonly verdict: Verdict;
}

export interface Comparison {
  readonly rows: readonly ComparedFigure[];
  /** False when anything is worse or gone: the exit status. */
  readonly holds: boolean;
}

/** What a baseline keeps of a run. A figure of which nothing was seen is left out. */
export function figuresOf(summary: MetricSummary, violations: number): Readonly<Record<string, number>> {
  const { requests, membership, load } = summary;
  const ended = requests.arrived - requests.unfinished;
  const silent = membership.detection.filter(({ how }) => how !== 'left');
  const noticed = silent.flatMap(({ noticedAfterMs }) => noticedAfterMs?.max ?? []);
  const { gossip, heartbeats, requests: asked } = load.bytesPerNodeSecond;
  const figures: Readonly<Record<string, number | undefined>> = {
    violations,
    answeredShare: per(requests.answered, ended),
    failedShare: per(requests.failed, ended),
    refusedShare: per(requests.refused, ended),
    firstTokenMsP50: at(requests.timeToFirstTokenMs, 'p50'),
    firstTokenMsP99: at(requests.timeToFirstTokenMs, 'p99'),
    failoverGapMsP99: at(requests.failoverGapMs, 'p99'),
    noticedAfterMsMax: noticed.length === 0 ? undefined : Math.max(...noticed),
    falseSuspicionsPerNodeDay: membership.falseSuspicions.episodesPerNodeDay,
    falseDeathsPerNodeDay: membership.falseDeaths.episodesPerNodeDay,
    busyPerRequest: per(requests.busyAnswers, requests.arrived),
    crowdingP99: at(requests.crowding, 'p99'),
    viewAgeMsP50: at(load.viewAgeMs, 'p50'),
    bytesPerNodeSecond: gossip + heartbeats + asked,
  };
  return Object.fromEntries(
    Object.entries(figures).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Math.round(value * 10_000) / 10_000]],
    ),
  );
}

/** Every run and figure of either side, in the order of the baseline, then what is new. */
export function compare(before: Baseline, now: Baseline): Comparison {
  const beforeByKey = new Map(before.map((entry) => [keyOf(entry), entry]));
  const nowByKey = new Map(now.map((entry) => [keyOf(entry), entry]));
  const all = new Map([...beforeByKey, ...nowByKey]);
  const rows = [...all].flatMap(([key, { scenario, seed }]) => {
    const old = beforeByKey.get(key)?.figures ?? {};
    const current = nowByKey.get(key)?.figures ?? {};
    const names = new Set([...Object.keys(old), ...Object.keys(current)]);
    return [...names].map((figure) => ({ scenario, seed, figure, ...judge(figure, old[figure], current[figure]) }));
  });
  return { rows, holds: rows.every(({ verdict }) => verdict !== 'worse' && verdict !== 'gone') };
}

/** A table of what moved, and one line for the rest. */
export function comparisonText({ rows, holds }: Comparison): string {
  const moved = rows.filter(({ verdict }) => verdict !== 'equal');
  const cells = moved.map((row) => [
    `${row.scenario} ${row.seed}`,
    row.figure,
    shown(row.before),
    shown(row.now),
    row.ratio === undefined ? '' : `${row.ratio.toFixed(2)}x`,
    row.verdict,
  ]);
  const table = [['scenario and seed', 'figure', 'before', 'now', 'ratio', 'verdict'], ...cells];
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const equal = `${rows.length - moved.length} of ${rows.length} figures are as before`;
  const end = holds ? 'nothing is worse' : 'something is worse or gone';
  return `${[...(moved.length === 0 ? [] : lines), `${equal}; ${end}`].join('\n')}\n`;
}

function judge(
  figure: string,
  before: number | undefined,
  now: number | undefined,
): Pick<ComparedFigure, 'before' | 'now' | 'ratio' | 'verdict'> {
  if (before === undefined) return { before, now, ratio: undefined, verdict: 'new' };
  if (now === undefined) return { before, now, ratio: undefined, verdict: 'gone' };
  const ratio = before === 0 ? undefined : now / before;
  const tolerance = Object.hasOwn(TOLERANCES, figure) ? TOLERANCES[figure] : undefined;
  if (tolerance === undefined) return { before, now, ratio, verdict: 'not judged' };
  const allowed = Math.max(Math.abs(before) * tolerance.relative, tolerance.absolute);
  // A tolerance includes its own edge, and sums of decimals miss it by a hair.
  if (Math.abs(now - before) <= allowed + Number.EPSILON * 16 * Math.abs(before))
    return { before, now, ratio, verdict: 'equal' };
  const isBetter = tolerance.better === 'lower' ? now < before : now > before;
  return { before, now, ratio, verdict: isBetter ? 'better' : 'worse' };
}

function per(count: number, whole: number): number | undefined {
  return whole === 0 ? undefined : count / whole;
}

function keyOf({ scenario, seed }: BaselineEntry): string {
  return `${scenario} ${seed}`;
}

function at(quantiles: Quantiles | undefined, name: 'p50' | 'p99'): number | undefined {
  return quantiles?.[name];
}

function shown(value: number | undefined): string {
  return value === undefined ? '-' : String(value);
}
