/**
 * The comparison as a person reads it: a row for each cause and effect, simulated and real side by side as least / median /
 * greatest, the difference of the medians, and whether the one explains the other. Then the tolerances with their
 * reasons, what nobody caused, and how busy the machine was.
 */
import { type Comparison, type Figures, type Row, type Subject, TOLERANCES } from './comparison.ts';
import type { Change } from './recording.ts';

const SUBJECTS: readonly Subject[] = ['noticing', 'joining', 'gossip'];
/** Source: guess: more are a machine that was busy, and say nothing new. */
const STRAYS_SHOWN_MAX = 5;

const HEADINGS = ['cause', 'effect', 'simulated', 'real', 'seen', 'difference', 'verdict'] as const;

export function comparisonText(comparison: Comparison): string {
  const { rows, simulatedRuns, realRuns, simulatedStrays, realStrays } = comparison;
  const cells = [HEADINGS, ...rows.map(cellsOf)];
  const widths = HEADINGS.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  const table = cells.map(
    (row) =>
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
  );
  const failed = rows.filter(({ explained }) => explained !== 'explained').length;
  const tolerances = SUBJECTS.map(
    (subject) => `  ${TOLERANCES[subject].ms} ms of ${subject}: ${TOLERANCES[subject].reason}\n`,
  );
  return [
    ...table,
    '\nDelays in ms: least / median / greatest (99th percentile for messages). Difference of the medians, real less simulated.\n',
    `Runs: ${simulatedRuns} simulated, ${realRuns} real. Changes that no strike explains, per run: ${oneDigit(simulatedStrays)} simulated, ${oneDigit(realStrays)} real.\n`,
    'Explained: the real range lies within the simulated one, give or take\n',
    ...tolerances,
    failed === 0 ? 'All rows are explained.\n' : `${failed} of ${rows.length} rows are not explained.\n`,
  ].join('');
}

/** What no strike explains, with the time since the first one. */
export function strayLines(strays: readonly Change[], firstMs: number): string {
  const shown = strays.slice(0, STRAYS_SHOWN_MAX).map(({ atMs, observer, target, verdict, reason }) => {
    const after = ((atMs - firstMs) / 1_000).toFixed(1);
    return `  at ${after} s node ${observer} took node ${target} for ${verdict} (${reason})\n`;
  });
  const more = strays.length - shown.length;
  return `${shown.join('')}${more > 0 ? `  and ${more} more\n` : ''}`;
}

function cellsOf(row: Row): readonly string[] {
  const { cause, what, simulated, real, realExpected, differenceMs, explained, subject } = row;
  const seen = `${real?.count ?? 0}${realExpected === 0 ? '' : ` of ${realExpected}`}`;
  const difference = differenceMs === undefined ? '-' : `${differenceMs < 0 ? '' : '+'}${ms(differenceMs)}`;
  return [cause, what, rangeText(simulated, subject), rangeText(real, subject), seen, difference, explained];
}

function rangeText(figures: Figures | undefined, subject: Row['subject']): string {
  if (figures === undefined) return 'never';
  const { minMs, medianMs, p99Ms, maxMs } = figures;
  return [minMs, medianMs, subject === 'gossip' ? p99Ms : maxMs].map(ms).join(' / ');
}

/** A tenth of a ms says something about a message, and nothing about a verdict. */
function ms(value: number): string {
  return Math.abs(value) < 100 ? oneDigit(value) : String(Math.round(value));
}

function oneDigit(value: number): string {
  return String(Math.round(value * 10) / 10);
}
