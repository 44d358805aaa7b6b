/**
 * The study as text: one line per strategy with what it reached, one per cell for a single strategy, and whether ours
 * keeps what was promised. Ratios are to the omniscient scheduler, so 1.00 is as good as it. Source of the goals: the
 * placement study, rounded to what the mesh promises.
 */
import { cellName } from './cells.ts';
import { type CellResult, type LiarsResult, ratio, type Row } from './study.ts';

export const GOALS = { p50: 1.17, p99: 1.15, worst: 1.35, herd: 3 } as const;

const NAME_WIDTH = 37;

export function strategyTable(rows: readonly Row[]): string {
  const head = [
    'p50 x (seeds)',
    'p99 x (seeds)',
    'worst p50/p99',
    'herd mean/worst',
    'cached',
    'bounces',
    'refused',
    'used',
  ];
  const lines = rows.map((row) => {
    const figures = [
      `${fixed(row.p50)} (${row.p50Seeds.map(fixed).join('-')})`,
      `${fixed(row.p99)} (${row.p99Seeds.map(fixed).join('-')})`,
      `${fixed(row.worstP50)}/${fixed(row.worstP99)}`,
      `${fixed(row.herdMean)}/${fixed(row.herdWorst)}`,
      fixed(row.cacheShare),
      fixed(row.bouncesPerMessage),
      fixed(row.refusedShare),
      fixed(row.utilisation),
    ];
    return line(row.strategy, figures);
  });
  return [line('strategy', head), ...lines].join('\n');
}

const WIDTHS = [18, 20, 14, 16, 7, 8, 8, 5] as const;

function line(name: string, figures: readonly string[]): string {
  return name.padEnd(NAME_WIDTH) + figures.map((figure, index) => figure.padStart((WIDTHS[index] ?? 8) + 1)).join('');
}

/** Every cell of the results, first seed's times. */
export function cellTable(results: readonly CellResult[]): string {
  return results
    .map((one) => {
      const first = one.runs[0];
      if (first === undefined) return cellName(one.cell);
      const { result, best } = first;
      const times = `p50 ${seconds(result.p50Ms)} (${seconds(best.p50Ms)}) p99 ${seconds(result.p99Ms)} (${seconds(best.p99Ms)})`;
      return (
        `${cellName(one.cell).padEnd(23)} ${one.strategy.padEnd(NAME_WIDTH)} ${fixed(ratio(one, 'p50Ms'))} / ${fixed(ratio(one, 'p99Ms'))}  ` +
        `${times}  herd ${fixed(result.herdIndex)} cached ${fixed(result.cacheShare)} bounces ${fixed(result.bouncesPerMessage)} ` +
        `refused ${fixed(result.refusedShare)} used ${fixed(result.utilisation)} messages ${result.messages}`
      );
    })
    .join('\n');
}

export function liarsTable(results: readonly LiarsResult[]): string {
  return results
    .map(
      ({ strategy, honestP90Ms, medianP90Ms, slowestP90Ms }) =>
        `${strategy.padEnd(NAME_WIDTH)} p90 ${seconds(honestP90Ms)}; with 2 liars of 50: ${seconds(medianP90Ms)} (middling machines), ${seconds(slowestP90Ms)} (the slowest)`,
    )
    .join('\n');
}

/** What was promised, what came out. */
export function verdicts(row: Row): readonly { readonly text: string; readonly met: boolean }[] {
  return [
    judged('p50, geometric mean', row.p50, GOALS.p50),
    judged('p99, geometric mean', row.p99, GOALS.p99),
    judged('worst cell', Math.max(row.worstP50, row.worstP99), GOALS.worst),
    judged('herd index, mean over the cells', row.herdMean, GOALS.herd),
  ];
}

function fixed(value: number): string {
  return value.toFixed(2);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

function judged(name: string, reached: number, goal: number): { readonly text: string; readonly met: boolean } {
  const met = reached <= goal;
  return { met, text: `${name} ${fixed(reached)}, goal ${fixed(goal)}: ${met ? 'met' : 'MISSED'}` };
}
