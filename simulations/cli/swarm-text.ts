/**
 * What did a swarm find? A few lines: how many seeds of each scenario ran and broke, what was not run and why, how fast it
 * went, and every seed that broke once more in one word, because what was said at once has scrolled away.
 */
import { plural } from '../report/plural.ts';
import { digits, duration } from '../report/report-words.ts';
import type { SwarmSummary } from './swarm-ledger.ts';

/** Source: guess: what a person reads at the end of a night. */
const SHOWN_MAX = 20;

export function swarmText(summary: SwarmSummary & { readonly tookMs: number }): string {
  const { scenarios, passed, failed, crashed, nodeHours, tookMs, failures } = summary;
  const width = Math.max(0, ...scenarios.map(({ scenario }) => scenario.length));
  const shown = failures.slice(0, SHOWN_MAX).map(({ scenario, seed }) => `${scenario} ${seed}`);
  const more = failed + crashed - shown.length;
  const perSecond = tookMs > 0 ? `, ${digits((nodeHours * 1_000) / tookMs)} a second` : '';
  const lines = [
    ...scenarios.map(
      ({ scenario, ended, broken }) =>
        `  ${scenario.padEnd(width)}  ${plural(ended, 'seed').padStart(10)}, ${broken === 0 ? 'none broken' : `${broken} broken`}`,
    ),
    `${passed} passed, ${failed} broke a promise, ${crashed} crashed; ${nodeHours.toFixed(1)} node-hours in ${duration(tookMs)}${perSecond}`,
    ...left(summary),
    ...(shown.length === 0 ? [] : [`broken: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function left({ unfinished, notRun }: SwarmSummary): readonly string[] {
  const names = unfinished.map(({ scenario, seed }) => `${scenario} ${seed}`);
  return [
    ...(names.length === 0 ? [] : [`ended in the middle: ${names.join(', ')}`]),
    ...(notRun === 0 ? [] : [`not run: ${plural(notRun, 'seed')}`]),
  ];
}
