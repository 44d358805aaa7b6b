/**
 * The parts of the page that are read and not looked at: promises, violations with what led to them, falls, failovers,
 * the plan, the scenario. Long tables are bounded and say what they leave out; the JSON has the rest. Source: ours.
 */
import { shortRequest } from '../report/describe-event.ts';
import { faultDurationMs, faultNodes, faultSentence, named } from '../faults/fault-nodes.ts';
import type { FallRow } from '../report/falls.ts';
import { type ReportedViolation, type RunReport, violationCount } from '../report/report.ts';
import { duration, fellWord, moment } from '../report/report-words.ts';
import type { Quantiles } from '../report/sketch.ts';
import { html, type Markup, NOTHING } from './markup.ts';

const ROWS_MAX = 200;
/** Above this a table is folded up. */
const OPEN_MAX = 15;

interface Column<Row> {
  readonly name: string;
  readonly of: (row: Row) => string;
  readonly isNumber?: boolean;
}

export function promises({ promises: judged, notYet, endedEarly }: RunReport): Markup {
  const rows = [
    ...judged.map(({ id, promise, broken }) => ({
      id,
      promise,
      verdict:
        broken === 0 ? (endedEarly ? 'held so far' : 'held') : broken === 1 ? 'broken' : `broken ${broken} times`,
      tone: broken === 0 ? 'held' : 'broken',
    })),
    ...notYet.map(({ id, promise }) => ({ id, promise, verdict: 'not judged yet', tone: 'open' })),
  ];
  if (rows.length === 0) return html`<p>No promise was judged.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Promises">
    <table>
      <thead>
        <tr>
          <th scope="col">Promise</th>
          <th scope="col"></th>
          <th scope="col">Verdict</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ id, promise, verdict, tone }) =>
            html`<tr>
              <th scope="row">${id}</th>
              <td>${promise}</td>
              <td class="verdict ${tone}">${verdict}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

export function violations(report: RunReport): Markup {
  const total = violationCount(report);
  if (total === 0) return NOTHING;
  const more = total - Math.min(ROWS_MAX, report.violations.length);
  return html`<h2 id="violations">What broke</h2>
    ${report.violations.slice(0, ROWS_MAX).map(violation)}
    ${more > 0 ? html`<p>${more} more are not shown.</p>` : NOTHING}`;
}

function violation({ id, atMs, nodes, requestId, detail, promise, slice }: ReportedViolation, index: number): Markup {
  const whom = nodes.length === 0 ? '' : ` at ${named(nodes, 8)}`;
  const what = requestId === undefined ? '' : `, ${shortRequest(requestId)}`;
  const lines = (slice?.lines ?? []).map(
    (line) => html`<li><time>${moment(line.atMs)}</time><span>${line.text}</span></li>`,
  );
  const left = slice?.leftOut ?? 0;
  const log =
    slice === undefined
      ? html`<p class="note">The events before it were not kept.</p>`
      : html`<details ${index < 3 ? html`open` : NOTHING}>
          <summary>What led to it: ${lines.length} events${left > 0 ? `, ${left} older ones left out` : ''}</summary>
          <ol class="log">
            ${lines}
          </ol>
        </details>`;
  return html`<article class="violation">
    <h3>${id} at ${moment(atMs)}${whom}${what}</h3>
    <p>${detail}</p>
    <p class="note">${promise}</p>
    ${log}
  </article>`;
}

export function detection({ metrics: { summary, falls } }: RunReport): Markup {
  const { detection: kinds, falseSuspicions, falseDeaths, excusedVerdicts, lateVerdicts } = summary.membership;
  const byHow = table('How falls were noticed', kinds, [
    { name: 'A node', of: ({ how }) => fellWord(how) },
    { name: 'times', of: (row) => String(row.falls), isNumber: true },
    { name: 'noticed', of: ({ noticed }) => String(noticed), isNumber: true },
    { name: 'back before that', of: ({ backFirst }) => String(backFirst), isNumber: true },
    { name: 'by most after p50', of: (row) => at(row.noticedAfterMs, 'p50'), isNumber: true },
    { name: 'max', of: (row) => at(row.noticedAfterMs, 'max'), isNumber: true },
    { name: 'by one node after p99', of: (row) => at(row.observerAfterMs, 'p99'), isNumber: true },
    { name: 'held dead after p50', of: (row) => at(row.heldDeadAfterMs, 'p50'), isNumber: true },
  ]);
  const list = table('Who fell, and when the others noticed', falls, FALL_COLUMNS);
  const rate = falseSuspicions.episodesPerNodeDay;
  return html`${byHow}
    <p>
      Wrong verdicts: ${falseSuspicions.episodes} suspicions${rate === undefined ? '' : ` (${rate} a node and day)`} and
      ${falseDeaths.episodes} deaths of nodes that were up and could be reached. Verdicts of single nodes that were
      excused because the network would not have carried a message: ${excusedVerdicts}; that came up to 5 s after the
      node was back: ${lateVerdicts}.
    </p>
    ${list}`;
}

const FALL_COLUMNS: readonly Column<FallRow>[] = [
  { name: 'Node', of: ({ node }) => `n${node}` },
  { name: 'what', of: ({ how }) => fellWord(how) },
  { name: 'at', of: ({ atMs }) => moment(atMs), isNumber: true },
  { name: 'first noticed after', of: (row) => after(row.firstNoticedAtMs, row.atMs), isNumber: true },
  { name: 'by most after', of: (row) => after(row.noticedAtMs, row.atMs), isNumber: true },
  { name: 'held dead after', of: (row) => after(row.heldDeadAtMs, row.atMs), isNumber: true },
  { name: 'back after', of: (row) => after(row.backAtMs, row.atMs), isNumber: true },
  { name: 'trusted again after', of: (row) => after(row.trustedAgainAtMs, row.backAtMs), isNumber: true },
];

export function failovers({ metrics }: RunReport): Markup {
  return table('Requests that went on at another node', metrics.failovers, [
    { name: 'Request', of: ({ requestId }) => `..${requestId.slice(-6)}` },
    { name: 'entered at', of: ({ node }) => `n${node}` },
    { name: 'at', of: ({ atMs }) => moment(atMs), isNumber: true },
    { name: 'from', of: ({ from }) => `n${from}` },
    { name: 'to', of: ({ to }) => `n${to}` },
    { name: 'why', of: ({ code }) => code },
    { name: 'from token', of: ({ resumedAt }) => String(resumedAt), isNumber: true },
    { name: 'pause', of: ({ gapMs }) => (gapMs === undefined ? 'no more text' : duration(gapMs)), isNumber: true },
  ]);
}

export function planTable({ plan }: RunReport): Markup {
  const rows = plan.map((fault, index) => ({ fault, index }));
  return table('Faults that this seed drew', rows, [
    { name: '', of: ({ index }) => String(index), isNumber: true },
    { name: 'Fault', of: ({ fault }) => fault.kind },
    { name: 'at', of: ({ fault }) => moment(fault.atMs), isNumber: true },
    {
      name: 'for',
      of: ({ fault }) => (faultDurationMs(fault) === 0 ? '' : duration(faultDurationMs(fault))),
      isNumber: true,
    },
    { name: 'nodes', of: ({ fault }) => named(faultNodes(fault), 12) || 'all' },
    { name: 'what it does', of: ({ fault }) => faultSentence(fault) },
  ]);
}

/** Folded up when it is long; numbers at the right. */
function table<Row>(caption: string, rows: readonly Row[], columns: readonly Column<Row>[]): Markup {
  if (rows.length === 0) return html`<p class="note">${caption}: none.</p>`;
  const shown = rows.slice(0, ROWS_MAX);
  const more = rows.length > shown.length ? `; the first ${shown.length} are shown` : '';
  const body = shown.map(
    (row) =>
      html`<tr>
        ${columns.map(({ of, isNumber }) => html`<td${numberClass(isNumber)}>${of(row)}</td>`)}
      </tr>`,
  );
  return html`<details${rows.length <= OPEN_MAX ? html` open` : NOTHING}>
    <summary>${caption}: ${rows.length}${more}</summary>
    <div class="scroll" tabindex="0" role="region" aria-label="${caption}">
      <table>
        <thead>
          <tr>
            ${columns.map(({ name, isNumber }) => html`<th scope="col" ${numberClass(isNumber)}>${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${body}
        </tbody>
      </table>
    </div>
  </details>`;
}

function numberClass(isNumber: boolean | undefined): Markup {
  return isNumber === true ? html` class="number"` : NOTHING;
}

function after(atMs: number | undefined, sinceMs: number | undefined): string {
  return atMs === undefined || sinceMs === undefined ? '-' : duration(atMs - sinceMs);
}

function at(quantiles: Quantiles | undefined, name: 'p50' | 'p99' | 'max'): string {
  return quantiles === undefined ? '-' : duration(quantiles[name]);
}
