import { deepEqual, doesNotMatch, equal, match, ok } from 'node:assert/strict';
import * as fc from 'fast-check';
import { linearAxis, logAxis, timeAxis } from '../../../simulations/report-html/axis.ts';
import { escape, html } from '../../../simulations/report-html/markup.ts';
import { reportPage } from '../../../simulations/report-html/page.ts';
import { buildReport, type RunReport } from '../../../simulations/report/report.ts';
import { sampleReport } from './report-sample.ts';

const HOSTILE = `"><img src=x onerror=alert(1)></title></style><script>alert('2')</script>\u202e{{\`\${3}\``;

/** Any code units, halves of pairs and control characters among them. */
const UTF16 = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 })
  .map((units) => String.fromCharCode(...units));

const QUIET = { nodes: 3, durationMs: 30_000, requestsPerSecond: 0, fallsPerNodeHour: 0 };
const CHURN = { nodes: 20, durationMs: 600_000, requestsPerSecond: 2, fallsPerNodeHour: 12 };

/** Drawing a sample takes longer than looking at its page. */
const churn = sampleReport(CHURN);

/** The tags of a page, in order; fails where they do not match. */
function checkTags(page: string): number {
  const body = page
    .replace(/<style>[\s\S]*?<\/style>/, '')
    .replace(/<script>[\s\S]*?<\/script>/, '')
    .replace('<!doctype html>', '');
  const open: string[] = [];
  let count = 0;
  for (const { groups } of body.matchAll(/<(?<close>\/?)(?<name>[a-z0-9]+)(?<rest>[^<>]*?)(?<self>\/?)>/gi)) {
    const { close, name = '', self } = groups ?? {};
    count += 1;
    if (close === '/') equal(open.pop(), name);
    else if (self !== '/' && !['meta', 'br'].includes(name)) open.push(name);
  }
  deepEqual(open, []);
  equal(body.replaceAll(/<\/?[a-z0-9]+[^<>]*>/gi, '').search(/[<>]/), -1, 'no loose brackets');
  return count;
}

describe('escaping', () => {
  it('leaves nothing that means something in text or in a quoted attribute', () => {
    fc.assert(
      fc.property(fc.oneof(UTF16, fc.constant(HOSTILE)), (text) => {
        const written = escape(text);
        doesNotMatch(written, /[<>"'`]/);
        doesNotMatch(written, /&(?!amp;|lt;|gt;|quot;|#39;|#96;)/);
        doesNotMatch(written.replaceAll(/[\n\t]/g, ''), /[\p{Cc}\u202a-\u202e]/u);
        ok(written.isWellFormed());
      }),
    );
  });

  it('is done to every part of a template that is not markup itself', () => {
    equal(
      html`<p>${'<b>'}${3}${html`<i>${'&'}</i>`}${[html`1`, html`2`]}</p>`.markup,
      '<p>&lt;b&gt;3<i>&amp;</i>1\n2</p>',
    );
  });
});

describe('the page of a report', () => {
  it('is well-formed and whole for twenty nodes, for none that fell, and for a run that broke something', () => {
    for (const options of [QUIET, { ...CHURN, broken: true }]) ok(checkTags(reportPage(sampleReport(options))) > 60);
  });

  it('lets no text of the run become part of it', () => {
    const report = sampleReport({ ...CHURN, broken: true, name: HOSTILE });
    const [first] = report.violations;
    const hostile: RunReport = {
      ...report,
      scenario: {
        ...report.scenario,
        question: HOSTILE,
        models: report.scenario.models.map((one) => ({ ...one, name: HOSTILE })),
      },
      commit: HOSTILE,
      reproduce: HOSTILE,
      notYet: [{ id: HOSTILE, promise: HOSTILE }],
      promises: [{ id: HOSTILE, promise: HOSTILE, when: 'always', broken: 2 }],
      violations: [
        {
          id: HOSTILE,
          atMs: 1,
          nodes: [],
          detail: HOSTILE,
          promise: HOSTILE,
          requestId: HOSTILE,
          slice: { lines: [{ atMs: 1, text: HOSTILE }], leftOut: 3 },
        },
        ...(first === undefined ? [] : [first]),
      ],
      metrics: {
        ...report.metrics,
        failovers: [
          { requestId: HOSTILE, node: 0, atMs: 0, from: 1, to: 2, code: HOSTILE, resumedAt: 0, gapMs: undefined },
        ],
      },
    };
    const page = reportPage(hostile);
    checkTags(page);
    doesNotMatch(page, /<img|<script>alert|onerror=alert\(1\)>|\u202e/);
    equal(page.match(/<script>/g)?.length, 1);
    equal(page.match(/<\/style>/g)?.length, 1);
  });

  it('loads nothing and forbids itself to', () => {
    const page = reportPage(churn);
    match(page, /Content-Security-Policy" content="default-src &#39;none&#39;/);
    doesNotMatch(page, /\b(?:src|href)="(?!#)|url\(|@import|https?:/);
  });

  it('says what every picture shows, and reads without script and by keyboard', () => {
    const page = reportPage(churn);
    const pictures = [...page.matchAll(/<svg viewBox="0 0 1160[^>]*>/g)].map(([tag]) => tag);
    ok(pictures.length >= 9);
    for (const tag of pictures) {
      const [, title = ''] = /role="img" aria-labelledby="([\w-]+)"/.exec(tag) ?? [];
      ok(page.includes(`id="${title}"`), tag);
    }
    match(page, /<title>n\d+, laptop: stopped, most take it for dead, from/);
    ok(page.indexOf('<script>') > page.indexOf('Run it again'));
    match(page, /prefers-color-scheme: dark/);
    match(page, /<html lang="en">/);
    match(page, /tabindex="0" role="region" aria-label=/);
  });

  it('draws a thousand nodes in rows of a pixel and in less than two megabytes', () => {
    const page = reportPage(
      sampleReport({ nodes: 150, durationMs: 200_000, requestsPerSecond: 1, fallsPerNodeHour: 4 }),
    );
    const strips = Array.from({ length: 1_000 }, (_, node) => ({
      ...(churn.metrics.strips[node % 20] ?? { intervals: [], leftOut: 0 }),
      node,
    }));
    const thousand = reportPage({ ...churn, metrics: { ...churn.metrics, strips } });
    ok(page.length < 2_000_000 && thousand.length < 2_000_000, `${page.length} ${thousand.length}`);
    match(thousand, /viewBox="0 0 1160 1028"/);
    match(thousand, /<path class="stopped noticed" d="M/);
    checkTags(thousand);
  });

  it('has words where there is nothing to draw', () => {
    const empty = sampleReport({ ...QUIET, nodes: 0, durationMs: 0 });
    const page = reportPage(buildReport({ ...empty, checkers: [], violations: [] }));
    checkTags(page);
    match(page, /Nothing was seen\./);
    match(page, /Nobody asked anything\./);
    match(page, /No promise was judged\./);
    doesNotMatch(page, /NaN|undefined|Infinity/);
  });

  it('never writes a number that is none', () => {
    for (const options of [QUIET, { ...CHURN, nodes: 130, durationMs: 120_000 }])
      doesNotMatch(reportPage(sampleReport(options)), /\bNaN\b|\bundefined\b|\bInfinity\b/);
  });
});

describe('axes', () => {
  it('have a handful of ticks on whole numbers of time, whatever the length', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 100 * 86_400_000 }), (durationMs) => {
        const axis = timeAxis(durationMs);
        const { ticks } = axis;
        ok(ticks.length >= 2 && ticks.length <= 11, `${durationMs}: ${ticks.length}`);
        equal(new Set(ticks.map(({ label }) => label)).size, ticks.length);
        const [start, end] = [axis.x(0), axis.x(durationMs)];
        ok(start < end && axis.x(-1) === start && axis.x(2 * durationMs) === end);
      }),
    );
  });

  it('hold every value between their first and last tick', () => {
    const positive = fc.double({ min: 0.01, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(positive, positive, (left, right) => {
        const [min, max] = [Math.min(left, right), Math.max(left, right)];
        for (const axis of [linearAxis(max, String), logAxis(min, max, String)]) {
          deepEqual([axis.ticks[0]?.at, axis.ticks.at(-1)?.at], [0, 1]);
          ok(axis.ticks.length <= 13);
          ok(axis.height(min) >= 0 && axis.height(min) <= axis.height(max) && axis.height(max) <= 1);
        }
      }),
    );
    equal(linearAxis(0, String).height(0), 0);
    equal(logAxis(1, 1, String).height(0), 0);
  });
});
