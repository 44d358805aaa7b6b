/**
 * The report of a run as one page that needs nothing else: the question and its answer, pictures on one time axis,
 * tables, and the command that runs it again. It reads without script, in light and dark, on a phone and aloud; a
 * policy in its head forbids it to load anything. All text of the run is escaped. Source: ours.
 */
import { type RunReport, violationCount } from '../report/report.ts';
import { answer, digits, duration, percent } from '../report/report-words.ts';
import { plural } from '../report/plural.ts';
import { timeAxis } from './axis.ts';
import { DOTS, faultPanel, noticedPanel } from './events.ts';
import { figures } from './figures.ts';
import { html, type Markup, NOTHING, trusted } from './markup.ts';
import { stripPanel } from './strip.ts';
import { SCRIPT, STYLE } from './style.ts';
import { detection, failovers, planTable, promises, violations } from './tables.ts';

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

export function reportPage(report: RunReport): string {
  const { scenario, seed } = report;
  const time = timeAxis(report.durationMs);
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <title>${scenario.name}, seed ${seed}: simulated mesh</title>
        <style>
          ${trusted(STYLE)}
        </style>
      </head>
      <body>
        ${header(report)}
        <main>
          ${violations(report)}
          <h2>What happened</h2>
          ${DOTS}${faultPanel(report, time)}${stripPanel(report, time)}${noticedPanel(report, time)}
          ${figures(report, time)}
          <h2>Who noticed</h2>
          ${detection(report)}
          <h2>Failovers</h2>
          ${failovers(report)}
          <h2>Promises</h2>
          ${promises(report)}
          <h2>The run</h2>
          ${planTable(report)} ${setup(report)}
        </main>
        <script>
          ${trusted(SCRIPT)};
        </script>
      </body>
    </html>`;
  return page.markup.replaceAll(/^\s+/gm, '');
}

function header(report: RunReport): Markup {
  const { scenario, seed, commit, endedEarly, durationMs } = report;
  const isBroken = violationCount(report) > 0;
  const sentences = answer(report).map((sentence) => html`<p>${sentence}</p>`);
  return html`<header>
    <p class="scenario">${scenario.name}, seed ${seed}, commit ${commit}</p>
    <h1>${scenario.question}</h1>
    <div class="answer ${isBroken ? 'broken' : 'held'}">${sentences}</div>
    ${
      endedEarly
        ? html`<p>The run was ended after ${duration(durationMs)} of ${duration(scenario.durationMs)}.</p>`
        : NOTHING
    }
    ${tiles(report)}
  </header>`;
}

function tiles({ metrics: { summary }, nodeHours }: RunReport): Markup {
  const { requests, membership, load } = summary;
  const { gossip, heartbeats, requests: asked } = load.bytesPerNodeSecond;
  const first = requests.timeToFirstTokenMs;
  const shown: readonly (readonly [name: string, value: string, more: string])[] = [
    ['node-hours', digits(nodeHours), `${membership.restarts} restarts`],
    ['answered', share(requests.answered, requests.arrived), `of ${plural(requests.arrived, 'request')}`],
    [
      'first token',
      first === undefined ? '-' : duration(first.p50),
      first === undefined ? '' : `p99 ${duration(first.p99)}`,
    ],
    [
      'failovers',
      String(requests.failovers),
      requests.failoverGapMs === undefined ? '' : `pause p99 ${duration(requests.failoverGapMs.p99)}`,
    ],
    ['crowding p99', requests.crowding === undefined ? '-' : digits(requests.crowding.p99), 'worst node of 2 s'],
    [
      'wrong suspicions',
      String(membership.falseSuspicions.episodes),
      `${membership.falseDeaths.episodes} wrong deaths`,
    ],
    ['sent by a node', `${digits((gossip + heartbeats + asked) / 1_000)} kB/s`, ''],
    ['slots in use', load.utilisation === undefined ? '-' : percent(load.utilisation), ''],
  ];
  return html`<dl class="tiles">
    ${shown.map(
      ([name, value, more]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value} <small>${more}</small></dd>
        </div>`,
    )}
  </dl>`;
}

function setup({ scenario, traceHash, checkpoints, reproduce }: RunReport): Markup {
  const last = checkpoints.at(-1);
  return html`<details>
      <summary>The scenario, resolved</summary>
      <pre tabindex="0"><code>${trusted(kept(html`${JSON.stringify(scenario, undefined, 2)}`))}</code></pre>
    </details>
    <p class="facts">
      Trace ${traceHash}${last === undefined ? '' : `, with ${checkpoints.length} checkpoints`}. Equal hashes are equal
      runs.
    </p>
    <h2>Run it again</h2>
    <pre tabindex="0"><code>${reproduce}</code></pre>`;
}

/** The page loses the spaces at the head of its lines; here they mean something. */
function kept({ markup }: Markup): string {
  return markup.replaceAll(/^ +/gm, (spaces) => '&#32;'.repeat(spaces.length));
}

function share(part: number, whole: number): string {
  return whole === 0 ? '-' : percent(part / whole);
}
