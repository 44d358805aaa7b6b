/**
 * The report of a run in words: the answer in one sentence (what happened, to whom, did anyone notice), and numbers as
 * people read them. Both the screen of text and the page speak with these words. Source: ours.
 */
import type { DetectionByHow } from './falls.ts';
import { plural } from './plural.ts';
import { type RunReport, violationCount } from './report.ts';

const FELL: Readonly<Record<DetectionByHow['how'], string>> = {
  crashed: 'crashed',
  'powered-off': 'lost power',
  left: 'left',
  paused: 'stood still',
  suspended: 'fell asleep',
};

/** How a node went down, as a person says it. */
export function fellWord(how: DetectionByHow['how']): string {
  return FELL[how];
}

export function answer(report: RunReport): readonly string[] {
  return [whatHappened(report), ...whoNoticed(report), whatClientsSaw(report), whatBroke(report)];
}

export function whatBroke(report: RunReport): string {
  const broken = report.promises.filter((promise) => promise.broken > 0);
  const found = violationCount(report);
  if (report.promises.length === 0) return 'No promise was judged.';
  if (found === 0 && report.endedEarly) return 'No promise was broken up to there; what is judged at the end was not.';
  if (found === 0) return `${capital(all(report.promises.length, 'promise'))} that could be judged held.`;
  const ids = broken.map(({ id, broken: times }) => (times > 1 ? `${id} ${times} times` : id)).join(', ');
  const count = broken.length === 1 ? '1 promise was' : `${broken.length} promises were`;
  return `${count} broken: ${ids}.`;
}

function whatHappened(report: RunReport): string {
  const { detection } = report.metrics.summary.membership;
  const falls = report.metrics.falls;
  const start = `${plural(report.scenario.nodes, 'node')} ran for ${duration(report.durationMs)}`;
  if (detection.length === 0)
    return report.plan.length === 0
      ? `${start} and nothing struck them.`
      : `${start}; ${plural(report.plan.length, 'fault')} struck and no node went down.`;
  const kinds = detection.map(({ how, falls: count }) => `${count} ${fellWord(how)}`).join(', ');
  const struck = new Set(falls.map(({ node }) => node)).size;
  const total = detection.reduce((sum, { falls: count }) => sum + count, 0);
  return `${start}; ${struck} of them went down, ${plural(total, 'time')} in all: ${kinds}.`;
}

function whoNoticed(report: RunReport): readonly string[] {
  const { detection, falseSuspicions } = report.metrics.summary.membership;
  const falls = detection.reduce((sum, one) => sum + one.falls, 0);
  const noticed = detection.reduce((sum, one) => sum + one.noticed, 0);
  const backFirst = detection.reduce((sum, one) => sum + one.backFirst, 0);
  const wrong =
    falseSuspicions.episodes === 0
      ? 'nobody was suspected wrongly'
      : `${plural(falseSuspicions.episodes, 'time')} a node was suspected wrongly`;
  if (falls === 0) return [`${capital(wrong)}.`];
  const silent = detection.filter(({ how }) => how !== 'left').flatMap(({ noticedAfterMs }) => noticedAfterMs ?? []);
  const slowest =
    silent.length === 0 ? '' : `, at the latest after ${duration(Math.max(...silent.map(({ max }) => max)))}`;
  const early = backFirst === 0 ? '' : `, ${backFirst} came back before anybody did`;
  const missed = falls - noticed - backFirst;
  const unseen = missed === 0 ? '' : `, ${missed} nobody noticed by the end`;
  return [`The others noticed ${noticed} of ${falls}${slowest}${early}${unseen}; ${wrong}.`];
}

function whatClientsSaw(report: RunReport): string {
  const { requests } = report.metrics.summary;
  if (requests.arrived === 0) return 'Nobody asked anything.';
  const rest = [
    [requests.failed, 'failed'],
    [requests.refused, `${wasOrWere(requests.refused)} refused`],
    [requests.nodeLost, `${wasOrWere(requests.nodeLost)} lost with the node asked`],
    [requests.clientGone, `${wasOrWere(requests.clientGone)} given up by the client`],
    [requests.unfinished, 'never ended'],
  ] as const;
  const others = rest.filter(([count]) => count > 0).map(([count, word]) => `, ${count} ${word}`);
  const gap = requests.failoverGapMs;
  const failovers =
    requests.failoversMidAnswer === 0
      ? ''
      : `; ${requests.failoversMidAnswer} answers went on at another node${gap === undefined ? '' : `, after ${duration(gap.max)} at most`}`;
  return `${requests.answered} of ${plural(requests.arrived, 'request')} were answered${others.join('')}${failovers}.`;
}

/** 850 ms, 2.4 s, 12 min, 3.5 h: two digits that matter. */
export function duration(ms: number): string {
  const sizes = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's'],
  ] as const;
  // Up to 90 of the smaller unit reads better than 1.5 of the greater.
  const size = sizes.find(([unit], index) => ms >= unit * (index === 3 ? 1 : 1.5));
  return size === undefined ? `${digits(ms)} ms` : `${digits(ms / size[0])} ${size[1]}`;
}

/** A moment of the run: 2:05.250, 1:02:05.250. */
export function moment(ms: number): string {
  const rounded = Math.round(ms);
  const whole = Math.floor(rounded / 1_000);
  const hours = Math.floor(whole / 3_600);
  const minutes = Math.floor(whole / 60) % 60;
  const seconds = String(whole % 60).padStart(2, '0');
  const thousandths = String(rounded % 1_000).padStart(3, '0');
  const head = hours === 0 ? `${minutes}` : `${hours}:${String(minutes).padStart(2, '0')}`;
  return `${head}:${seconds}.${thousandths}`;
}

export function bytes(count: number): string {
  if (count >= 1_000_000) return `${digits(count / 1_000_000)} MB`;
  return count >= 1_000 ? `${digits(count / 1_000)} kB` : `${digits(count)} B`;
}

/** Whole from 10 on, one decimal below, two below 1. */
export function digits(value: number): string {
  if (value >= 10 || Number.isInteger(value)) return String(Math.round(value));
  return String(Number(value.toFixed(value < 1 ? 2 : 1)));
}

/** Never 100 % for what is less: one in a thousand is what people look for. */
export function percent(share: number): string {
  if (share > 0.99 && share < 1) return `${Math.floor(share * 10_000) / 100} %`;
  return `${digits(share * 100)} %`;
}

function all(count: number, noun: string): string {
  return count === 1 ? `the one ${noun}` : `all ${count} ${noun}s`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function wasOrWere(count: number): string {
  return count === 1 ? 'was' : 'were';
}
