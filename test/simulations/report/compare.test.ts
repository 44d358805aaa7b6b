import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { type Baseline, compare, comparisonText, figuresOf, TOLERANCES } from '../../../simulations/report/compare.ts';
import { sampleReport } from './report-sample.ts';

function one(figures: Readonly<Record<string, number>>): Baseline {
  return [{ scenario: 'churn', seed: 1, figures }];
}

function verdictOf(figure: string, before: number, now: number): string | undefined {
  return compare(one({ [figure]: before }), one({ [figure]: now })).rows[0]?.verdict;
}

describe('comparing with the baseline', () => {
  it('takes a difference for none up to the tolerance, on both sides', () => {
    for (const { figure, before, now, verdict } of [
      // 5 % of 1,000 ms.
      { figure: 'firstTokenMsP50', before: 1_000, now: 1_050, verdict: 'equal' },
      { figure: 'firstTokenMsP50', before: 1_000, now: 1_051, verdict: 'worse' },
      { figure: 'firstTokenMsP50', before: 1_000, now: 950, verdict: 'equal' },
      { figure: 'firstTokenMsP50', before: 1_000, now: 949, verdict: 'better' },
      // The absolute part holds where the relative one is less.
      { figure: 'firstTokenMsP50', before: 10, now: 30, verdict: 'equal' },
      { figure: 'firstTokenMsP50', before: 10, now: 31, verdict: 'worse' },
      { figure: 'answeredShare', before: 1, now: 0.995, verdict: 'equal' },
      { figure: 'answeredShare', before: 1, now: 0.9949, verdict: 'worse' },
      { figure: 'answeredShare', before: 0.9, now: 0.91, verdict: 'better' },
      { figure: 'violations', before: 0, now: 0, verdict: 'equal' },
      { figure: 'violations', before: 0, now: 1, verdict: 'worse' },
      { figure: 'violations', before: 2, now: 1, verdict: 'better' },
      { figure: 'toString', before: 1, now: 9, verdict: 'not judged' },
    ])
      equal(verdictOf(figure, before, now), verdict, `${figure} ${before} -> ${now}`);
  });

  it('fails when something is worse or gone, and not when it is better, new or not judged', () => {
    for (const { before, now, holds } of [
      { before: one({ violations: 1 }), now: one({ violations: 0 }), holds: true },
      { before: one({ violations: 0 }), now: one({ violations: 1 }), holds: false },
      { before: one({ violations: 0 }), now: one({ violations: 0, crowdingP99: 9 }), holds: true },
      { before: one({ violations: 0, crowdingP99: 1 }), now: one({ violations: 0 }), holds: false },
      { before: one({ violations: 0 }), now: [], holds: false },
      { before: [], now: one({ violations: 7 }), holds: true },
      { before: one({ shoeSize: 1 }), now: one({ shoeSize: 9 }), holds: true },
      { before: [], now: [], holds: true },
    ])
      equal(compare(before, now).holds, holds);
  });

  it('tells seeds of one scenario apart and gives the ratio where there is one', () => {
    const before: Baseline = [
      { scenario: 'churn', seed: 1, figures: { crowdingP99: 2 } },
      { scenario: 'churn', seed: 2, figures: { crowdingP99: 0 } },
    ];
    const now: Baseline = [
      { scenario: 'churn', seed: 2, figures: { crowdingP99: 4 } },
      { scenario: 'churn', seed: 1, figures: { crowdingP99: 1 } },
    ];
    deepEqual(
      compare(before, now).rows.map(({ seed, ratio, verdict }) => [seed, ratio, verdict]),
      [
        [1, 0.5, 'better'],
        [2, undefined, 'worse'],
      ],
    );
  });

  it('prints what moved as a table and counts the rest', () => {
    const text = comparisonText(
      compare(one({ violations: 0, firstTokenMsP50: 100 }), one({ violations: 0, firstTokenMsP50: 200 })),
    );
    match(text, /churn 1 +firstTokenMsP50 +100 +200 +2\.00x +worse\n1 of 2 figures are as before; something is worse/);
    equal(comparisonText(compare([], [])), '0 of 0 figures are as before; nothing is worse\n');
  });

  it('takes only figures with a tolerance out of a run, and none that was not seen', () => {
    const busy = sampleReport({ nodes: 8, durationMs: 300_000, requestsPerSecond: 2, fallsPerNodeHour: 20 });
    const figures = figuresOf(busy.metrics.summary, 3);
    equal(figures['violations'], 3);
    ok((figures['firstTokenMsP50'] ?? 0) > 0);
    for (const name of Object.keys(figures)) ok(Object.hasOwn(TOLERANCES, name), name);
    for (const value of Object.values(figures)) ok(Number.isFinite(value));
    const idle = sampleReport({ nodes: 2, durationMs: 30_000, requestsPerSecond: 0, fallsPerNodeHour: 0 });
    equal(Object.hasOwn(figuresOf(idle.metrics.summary, 0), 'answeredShare'), false);
  });
});
