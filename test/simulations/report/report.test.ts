import { deepEqual, doesNotMatch, equal, match, ok } from 'node:assert/strict';
import type { Fault } from '../../../simulations/faults/fault.ts';
import { faultNodes, faultSentence, named } from '../../../simulations/faults/fault-nodes.ts';
import { buildReport, type ReportParts, type RunReport, violationCount } from '../../../simulations/report/report.ts';
import { reportText } from '../../../simulations/report/report-text.ts';
import { answer, bytes, duration, moment, percent } from '../../../simulations/report/report-words.ts';
import { sampleReport } from './report-sample.ts';

const QUIET = { nodes: 3, durationMs: 30_000, requestsPerSecond: 0, fallsPerNodeHour: 0 };
const CHURN = { nodes: 20, durationMs: 600_000, requestsPerSecond: 2, fallsPerNodeHour: 12 };

function partsOf(report: RunReport): ReportParts {
  return { ...report, checkers: [], violations: [] };
}

describe('the report of a run', () => {
  it('lists promises that nobody could judge apart from those that held', () => {
    const report = sampleReport(QUIET);
    deepEqual(
      report.notYet.map(({ id }) => id),
      ['S1'],
    );
    deepEqual(
      report.promises.map(({ id, broken }) => [id, broken]),
      [
        ['S6', 0],
        ['V1', 0],
      ],
    );
  });

  it('counts all violations and keeps two hundred', () => {
    const report = sampleReport(QUIET);
    for (const { found, kept } of [
      { found: 200, kept: 200 },
      { found: 201, kept: 200 },
    ]) {
      const violations = Array.from({ length: found }, (_, index) => ({
        violation: { id: 'S6', atMs: index, nodes: [0], detail: 'x' },
        slice: undefined,
      }));
      const built = buildReport({ ...partsOf(report), violations });
      equal(built.violations.length, kept);
      equal(violationCount(built), found);
    }
  });

  it('says when it was ended early', () => {
    const parts = partsOf(sampleReport(QUIET));
    equal(buildReport({ ...parts, durationMs: 30_000 }).endedEarly, false);
    equal(buildReport({ ...parts, durationMs: 29_999 }).endedEarly, true);
    match(reportText(buildReport({ ...parts, durationMs: 9_000 })), /ended early, after 9 s of 30 s/);
    // What is judged at the end cannot have held.
    equal(
      answer({ ...sampleReport(QUIET), endedEarly: true }).at(-1),
      'No promise was broken up to there; what is judged at the end was not.',
    );
  });

  it('is plain JSON', () => {
    const report = sampleReport({ ...CHURN, broken: true });
    const again = JSON.parse(JSON.stringify(report)) as RunReport;
    equal(again.traceHash, report.traceHash);
    equal(JSON.stringify(again), JSON.stringify(report));
  });
});

describe('the answer in words', () => {
  it('says what happened, to whom, whether anybody noticed, what clients saw and what broke', () => {
    const [happened = '', noticed = '', clients = '', broke = ''] = answer(sampleReport({ ...CHURN, broken: true }));
    match(happened, /^20 nodes ran for 10 min; \d+ of them went down, \d+ times in all: \d+ crashed/);
    match(
      noticed,
      /^The others noticed \d+ of \d+, at the latest after [\d.]+ s.*; 2 times a node was suspected wrongly\.$/,
    );
    match(clients, /^\d+ of \d+ requests were answered/);
    match(broke, /^1 promise was broken: S6/);
  });

  it('does not claim what was not there', () => {
    deepEqual(answer(sampleReport(QUIET)), [
      '3 nodes ran for 30 s and nothing struck them.',
      'Nobody was suspected wrongly.',
      'Nobody asked anything.',
      'All 2 promises that could be judged held.',
    ]);
    equal(answer(buildReport(partsOf(sampleReport(QUIET)))).at(-1), 'No promise was judged.');
  });

  it('writes numbers as people read them', () => {
    deepEqual([0, 12.4, 999, 1_000, 2_449, 89_000, 90_000, 5_400_000].map(duration), [
      '0 ms',
      '12 ms',
      '999 ms',
      '1 s',
      '2.4 s',
      '89 s',
      '1.5 min',
      '1.5 h',
    ]);
    deepEqual([0, 61_005, 3_599_999, 3_661_000].map(moment), ['0:00.000', '1:01.005', '59:59.999', '1:01:01.000']);
    deepEqual([999, 1_000, 12_345_678].map(bytes), ['999 B', '1 kB', '12 MB']);
    // What is not all is never 100 %.
    deepEqual([1, 0.99999, 0.9915, 0.5, 0].map(percent), ['100 %', '99.99 %', '99.15 %', '50 %', '0 %']);
  });
});

describe('the screen of text', () => {
  it('fits a screen and ends with the one command that runs it again', () => {
    const text = reportText(sampleReport({ ...CHURN, broken: true }));
    const lines = text.trimEnd().split('\n');
    ok(lines.length <= 40, `${lines.length} lines`);
    for (const line of lines) ok(line.length <= 100, line);
    equal(lines.at(-1), 'reproduce: npm run sim -- run sample --seed 8812');
    match(text, /^not judged yet: S1$/m);
    match(text, /^FAIL S6 at \d+:\d\d\.\d{3}: promised/m);
  });

  it('lets no name of a run move the cursor or turn the writing', () => {
    const text = reportText(sampleReport({ ...QUIET, name: 'a\u001b[2J\u202eb\r\nc' }));
    doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\u202e]/u);
    match(text, /^a\?\[2J\?b\?\?c: /);
  });

  it('keeps a long command in one piece and a long word whole', () => {
    const word = 'x'.repeat(300);
    const text = reportText({ ...sampleReport(QUIET), reproduce: `npm run ${word} and more`, commit: word });
    match(text, new RegExp(`^reproduce: npm run ${word} and more$`, 'm'));
    ok(text.includes(word));
  });
});

const partition = (groups: readonly (readonly number[])[]): Fault => ({
  kind: 'partition',
  atMs: 0,
  durationMs: 1,
  groups,
  direction: 'both',
});

describe('a fault in words', () => {
  it('takes the smaller groups of a partition for those who are cut off', () => {
    deepEqual(
      faultNodes(
        partition([
          [0, 1, 2],
          [4, 3],
        ]),
      ),
      [3, 4],
    );
    deepEqual(faultNodes(partition([[0], [1, 2], [3, 4]])), [0, 3, 4]);
    deepEqual(faultNodes({ kind: 'flash-crowd', atMs: 0, durationMs: 1, factor: 2 }), []);
    equal(faultSentence(partition([[0], [1, 2]])), 'groups of 1 + 2 nodes reach none of each other');
  });

  it('names a few nodes and counts the rest', () => {
    equal(named([1, 2, 3, 4]), 'n1, n2, n3, n4');
    equal(named([1, 2, 3, 4, 5]), 'n1, n2, n3, n4 and 1 more');
    equal(named([]), '');
  });
});
