/**
 * What did the gate find? Each mutant gets one verdict, and one line: name, trial, who saw it at which virtual time, and what
 * it cost. Only one verdict is good: caught by a checker that was expected to. A mutant that is caught by somebody else is no
 * proof of the checker that it was made for.
 */
import { unreachable } from '../../src/assert.ts';
import { plural } from '../report/plural.ts';
import { moment } from '../report/report-words.ts';
import type { Mutant } from './mutant.ts';
import type { Seen, TrialResult } from './trial-run.ts';

export type Verdict =
  | { readonly type: 'caught'; readonly by: Seen }
  /** By none of those that should. */
  | { readonly type: 'caught-elsewhere'; readonly by: Seen }
  | { readonly type: 'survived' }
  /** The core threw, which says nothing about checkers; or the trial could not be run. */
  | { readonly type: 'broken'; readonly reason: string };

export interface Judged {
  readonly mutant: Mutant;
  readonly verdict: Verdict;
  readonly cpuMs: number;
}

/** The core as it is, in one trial. */
export interface Clean {
  readonly trial: string;
  /** undefined = every promise held. */
  readonly problem: string | undefined;
  readonly cpuMs: number;
}

export interface GateReport {
  readonly clean: readonly Clean[];
  readonly judged: readonly Judged[];
  /** Checkers that no mutant set off. */
  readonly unproven: readonly string[];
  readonly cpuMs: number;
}

export function judgeClean(trial: string, result: TrialResult): Clean {
  return { trial, problem: problemOf(result), cpuMs: cpuOf(result) };
}

export function judge(mutant: Mutant, result: TrialResult): Judged {
  return { mutant, verdict: verdictOf(mutant, result), cpuMs: cpuOf(result) };
}

/** Nothing survived, nothing is broken, and the core itself passes. */
export function isGood({ clean, judged }: GateReport): boolean {
  return clean.every(({ problem }) => problem === undefined) && judged.every(({ verdict }) => isFine(verdict));
}

export function isFine({ type }: Verdict): boolean {
  return type === 'caught';
}

export function reportOf(
  found: Pick<GateReport, 'clean' | 'judged'>,
  checkers: readonly { readonly id: string }[],
): GateReport {
  const proven = new Set(found.judged.flatMap(({ verdict }) => (verdict.type === 'caught' ? [verdict.by.id] : [])));
  const cpuMs = [...found.clean, ...found.judged].reduce((sum, one) => sum + one.cpuMs, 0);
  return { ...found, unproven: checkers.map(({ id }) => id).filter((id) => !proven.has(id)), cpuMs };
}

export function gateText({ clean, judged, unproven, cpuMs }: GateReport): string {
  const rows = judged.map(({ mutant, verdict, cpuMs: ownMs }) => [
    mutant.name,
    mutant.trial.name,
    ...verdictWords(mutant, verdict),
    seconds(ownMs),
  ]);
  const bad = judged.filter(({ verdict }) => !isFine(verdict)).length;
  return [
    ...table([['mutant', 'trial', 'caught by', 'at', 'CPU'], ...rows]),
    '',
    ...judged.flatMap(({ mutant, verdict }) => complaint(mutant, verdict)),
    ...clean.flatMap(({ trial, problem }) =>
      problem === undefined ? [] : [`FAIL the core itself in ${trial}, which then proves nothing: ${problem}`],
    ),
    ...(unproven.length === 0 ? [] : [`no mutant sets off ${unproven.join(', ')}`]),
    `${plural(judged.length, 'mutant')}: ${judged.length - bad} caught, ${bad} not as expected; ${plural(clean.length, 'clean run')}, ${seconds(cpuMs)} of CPU`,
    '',
  ].join('\n');
}

function verdictOf(mutant: Mutant, result: TrialResult): Verdict {
  if (result.type !== 'ran') return { type: 'broken', reason: problemOf(result) ?? '' };
  const [first] = result.seen;
  const by = result.seen.find(({ id }) => mutant.expected.includes(id));
  if (by !== undefined) return { type: 'caught', by };
  return first === undefined ? { type: 'survived' } : { type: 'caught-elsewhere', by: first };
}

function problemOf(result: TrialResult): string | undefined {
  switch (result.type) {
    case 'ran': {
      const [first] = result.seen;
      return first === undefined ? undefined : `${first.id} at ${moment(first.atMs)}: ${first.detail}`;
    }
    case 'crashed':
      return `it threw at ${moment(result.atMs)}: ${result.error}`;
    case 'broken':
      return result.reason;
    default:
      return unreachable(result);
  }
}

function cpuOf(result: TrialResult): number {
  return result.type === 'broken' ? 0 : result.cpuMs;
}

function verdictWords(mutant: Mutant, verdict: Verdict): readonly [string, string] {
  switch (verdict.type) {
    case 'caught':
      return [verdict.by.id, moment(verdict.by.atMs)];
    case 'caught-elsewhere':
      return [`${verdict.by.id}, not ${wanted(mutant)}`, moment(verdict.by.atMs)];
    case 'survived':
      return ['SURVIVED', ''];
    case 'broken':
      return ['BROKEN', ''];
    default:
      return unreachable(verdict);
  }
}

function complaint(mutant: Mutant, verdict: Verdict): readonly string[] {
  const begin = `FAIL ${mutant.name} (${mutant.bug})`;
  switch (verdict.type) {
    case 'survived':
      return [`${begin}: ${wanted(mutant)} should have seen it in ${mutant.trial.name}, nobody did`];
    case 'caught-elsewhere': {
      const { id, atMs, detail } = verdict.by;
      return [`${begin}: seen by ${id} and not by ${wanted(mutant)}: ${moment(atMs)} ${detail}`];
    }
    case 'broken':
      return [`${begin}: ${verdict.reason}`];
    default:
      return [];
  }
}

function wanted(mutant: Mutant): string {
  return mutant.expected.join(' or ');
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  '),
  );
}
