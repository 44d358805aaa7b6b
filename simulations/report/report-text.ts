/**
 * The report of a run as one screen of a terminal: what was asked, what happened, the figures, what broke and the one
 * command that runs it again. What comes from the run is stripped of control characters, so that no name can move the
 * cursor. Limit: about 30 lines of 100 characters; the rest is in the JSON and on the page. Source: ours.
 */
import type { Quantiles } from './sketch.ts';
import type { RunReport } from './report.ts';
import { answer, bytes, duration, fellWord, moment, percent } from './report-words.ts';
import { plural } from './plural.ts';

const VIOLATIONS_SHOWN = 5;
const WIDTH = 100;

export function reportText(report: RunReport): string {
  const { scenario, seed, commit, traceHash, nodeHours, endedEarly } = report;
  const lines = [
    `${scenario.name}: ${scenario.question}`,
    `seed ${seed}, commit ${commit}, trace ${traceHash}, ${nodeHours.toFixed(2)} node-hours${took(report)}`,
    ...(endedEarly ? [`ended early, after ${duration(report.durationMs)} of ${duration(scenario.durationMs)}`] : []),
    '',
    ...answer(report).map((sentence) => `  ${sentence}`),
    '',
    ...figures(report),
    ...noticing(report),
    '',
    ...broken(report),
    ...notYet(report),
    `reproduce: ${report.reproduce}`,
  ];
  return `${lines.flatMap((line) => wrap(plain(line))).join('\n')}\n`;
}

function took({ tookMs, nodeHours }: RunReport): string {
  if (tookMs === undefined) return '';
  const speed = tookMs > 0 ? `, ${((nodeHours * 1_000) / tookMs).toFixed(1)} per second` : '';
  return ` in ${duration(tookMs)}${speed}`;
}

function figures({ metrics: { summary } }: RunReport): readonly string[] {
  const { requests, load, membership } = summary;
  const { gossip, heartbeats, requests: asked } = load.bytesPerNodeSecond;
  const rows: readonly (readonly [string, string])[] = [
    ['first token', times(requests.timeToFirstTokenMs)],
    ...(requests.omniscientMs === undefined ? [] : [['omniscient', times(requests.omniscientMs)] as const]),
    ['failures', codes(requests.failedByCode)],
    ['refusals', codes(requests.refusedByCode)],
    [
      'failovers',
      `${requests.failovers}, ${requests.failoversMidAnswer} in the middle of an answer; gap ${times(requests.failoverGapMs)}`,
    ],
    ['busy answers', String(requests.busyAnswers)],
    ['crowding', spread(requests.crowding)],
    ['view age', times(load.viewAgeMs)],
    [
      'wrong verdicts',
      `${membership.falseSuspicions.episodes} suspicions (${membership.falseSuspicions.episodesPerNodeDay ?? 0} a node and day), ${membership.falseDeaths.episodes} deaths`,
    ],
    [
      'sent by a node',
      `${bytes(gossip)}/s gossip, ${bytes(heartbeats)}/s heartbeats, ${bytes(asked)}/s requests; slots in use ${share(load.utilisation)}`,
    ],
  ];
  return rows.map(([name, value]) => `  ${name.padEnd(15)}${value}`);
}

function noticing({ metrics: { summary } }: RunReport): readonly string[] {
  return summary.membership.detection.map(
    ({ how, falls, noticed, noticedAfterMs }) =>
      `  ${fellWord(how).padEnd(15)}${plural(falls, 'time')}, noticed ${noticed}, by most after ${times(noticedAfterMs)}`,
  );
}

function broken({ violations, violationsLeftOut }: RunReport): readonly string[] {
  const shown = violations.slice(0, VIOLATIONS_SHOWN);
  const more = violations.length - shown.length + violationsLeftOut;
  return [
    ...shown.map(({ id, atMs, detail }) => `FAIL ${id} at ${moment(atMs)}: ${detail}`),
    ...(more > 0 ? [`     and ${more} more, see the report`] : []),
  ];
}

function notYet({ notYet: missing }: RunReport): readonly string[] {
  return missing.length === 0 ? [] : [`not judged yet: ${missing.map(({ id }) => id).join(', ')}`];
}

function times(quantiles: Quantiles | undefined): string {
  if (quantiles === undefined) return 'none';
  const { p50, p90, p99, max } = quantiles;
  return `p50 ${duration(p50)}, p90 ${duration(p90)}, p99 ${duration(p99)}, max ${duration(max)}`;
}

function spread(quantiles: Quantiles | undefined): string {
  return quantiles === undefined ? 'none' : `p50 ${quantiles.p50}, p99 ${quantiles.p99}, max ${quantiles.max}`;
}

function share(value: number | undefined): string {
  return value === undefined ? 'none' : percent(value);
}

function codes(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([code, count]) => `${count} ${code}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

/** Control characters, and those that turn the direction of writing. */
function plain(line: string): string {
  return line.replaceAll(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '?');
}

/** Breaks at spaces; what follows is indented. A word that is longer than a line stays whole: it may be a path. */
function wrap(line: string): readonly string[] {
  // The command must stay in one piece, to be copied.
  if (line.length <= WIDTH || line.startsWith('reproduce: ')) return [line];
  const cut = line.lastIndexOf(' ', WIDTH);
  const indent = '      ';
  const isWordTooLong = line.slice(0, cut).trim() === '';
  return isWordTooLong ? [line] : [line.slice(0, cut), ...wrap(`${indent}${line.slice(cut + 1)}`)];
}
