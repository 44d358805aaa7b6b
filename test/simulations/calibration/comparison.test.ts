import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  compareHalves,
  explain,
  figuresOf,
  type Half,
  TOLERANCES,
} from '../../../simulations/calibration/comparison.ts';
import type { Change } from '../../../simulations/calibration/recording.ts';
import type { Schedule } from '../../../simulations/calibration/schedule.ts';
import { comparisonText, strayLines } from '../../../simulations/calibration/table.ts';

const SCHEDULE: Schedule = {
  seed: 0,
  nodes: 3,
  strikes: [{ kind: 'stop', node: 1, atMs: 0, durationMs: 5_000 }],
  endMs: 10_000,
};

/** Both other nodes suspect after these times, and trust again 1 ms after SIGCONT. */
function half(suspectMs: readonly (number | undefined)[], deliveriesMs: readonly number[] = []): Half {
  const seen = suspectMs.flatMap((afterMs, index): Change[] => {
    const who = { observer: index * 2, target: 1 };
    const back: Change = { atMs: 6_001, ...who, verdict: 'alive', reason: 'heard again' };
    return afterMs === undefined
      ? [back]
      : [{ atMs: 1_000 + afterMs, ...who, verdict: 'suspect', reason: 'silent' }, back];
  });
  return {
    schedule: SCHEDULE,
    recording: {
      moments: [
        { strike: 0, what: 'begun', atMs: 1_000 },
        { strike: 0, what: 'ended', atMs: 6_000 },
      ],
      changes: seen,
      deliveries: deliveriesMs.map((afterMs) => ({ madeAtMs: 2_000, afterMs, author: 0, receiver: 2, body: 'load' })),
    },
  };
}

function verdictOf(simulated: Half, real: Half): string | undefined {
  return compareHalves([simulated], [real]).rows[0]?.explained;
}

describe('figures', () => {
  it('are none of nothing, and those of a single value', () => {
    assert.equal(figuresOf([]), undefined);
    assert.deepEqual(figuresOf([7]), { count: 1, minMs: 7, medianMs: 7, p99Ms: 7, maxMs: 7 });
  });

  it('know the middle of an even and of an odd number', () => {
    assert.equal(figuresOf([4, 1, 3])?.medianMs, 3);
    assert.equal(figuresOf([4, 1, 3, 2])?.medianMs, 2.5);
  });

  it('leave one of a hundred above the 99th percentile', () => {
    const values = Array.from({ length: 200 }, (_, index) => index);
    assert.equal(figuresOf(values)?.p99Ms, 198);
    assert.equal(figuresOf(values)?.maxMs, 199);
  });

  it('are in order, whatever the values', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1 }), (values) => {
        const figures = figuresOf(values);
        assert.ok(figures !== undefined);
        const { minMs, medianMs, p99Ms, maxMs } = figures;
        assert.ok(minMs <= medianMs && medianMs <= maxMs && p99Ms <= maxMs);
      }),
    );
  });
});

describe('the verdict on a range', () => {
  const simulated = { count: 9, minMs: 1_000, medianMs: 1_500, p99Ms: 2_000, maxMs: 2_000 };
  const cases = [
    { what: 'just as late as tolerated', range: [1_000, 2_300], expected: 'explained' },
    { what: 'a ms later', range: [1_000, 2_301], expected: 'slower' },
    { what: 'just as early as tolerated', range: [700, 2_000], expected: 'explained' },
    { what: 'a ms earlier', range: [699, 2_000], expected: 'faster' },
  ] as const;
  for (const { what, range, expected } of cases) {
    it(`is "${expected}" ${what}`, () => {
      const [minMs, p99Ms] = range;
      assert.equal(explain(simulated, { count: 9, minMs, medianMs: 1_500, p99Ms, maxMs: 9_000 }, 300), expected);
    });
  }
});

describe('a comparison', () => {
  it('has a row for each change and kind of message, with the difference of the medians', () => {
    const { rows } = compareHalves([half([2_400, 2_600], [1, 1])], [half([2_500, 2_700], [4, 6])]);
    assert.deepEqual(
      rows.filter(({ real }) => real !== undefined).map(({ cause, what, differenceMs }) => [cause, what, differenceMs]),
      [
        ['SIGSTOP 5 s', 'suspect after the signal', 100],
        ['SIGSTOP 5 s', 'alive again after SIGCONT', 0],
        ['message: load', 'delivered', 4],
      ],
    );
    assert.ok(rows.filter(({ real }) => real !== undefined).every(({ explained }) => explained === 'explained'));
  });

  it('puts the runs of one half together', () => {
    const { rows, simulatedRuns } = compareHalves([half([2_400, 2_400]), half([2_600, 2_600])], []);
    assert.equal(simulatedRuns, 2);
    assert.deepEqual(rows[0]?.simulated, {
      count: 4,
      minMs: 2_400,
      medianMs: 2_500,
      p99Ms: 2_600,
      maxMs: 2_600,
    });
  });

  it('misses what fewer nodes noticed than in the simulation, and not what fewer noticed in both', () => {
    assert.equal(verdictOf(half([2_400, 2_400]), half([2_400, undefined])), 'missing');
    assert.equal(verdictOf(half([2_400, undefined]), half([2_400, undefined])), 'explained');
    assert.equal(verdictOf(half([2_400, 2_400]), half([undefined, undefined])), 'missing');
    assert.equal(verdictOf(half([undefined, undefined]), half([2_400, 2_400])), 'missing');
  });

  it('counts for each run what no strike explains', () => {
    const { schedule, recording } = half([2_400, 2_400]);
    const stray: Change = { atMs: 3_000, observer: 0, target: 2, verdict: 'suspect', reason: 'silent' };
    const odd: Half = { schedule, recording: { ...recording, changes: [...recording.changes, stray] } };
    const { simulatedStrays, realStrays } = compareHalves([half([1, 1])], [odd, half([1, 1])]);
    assert.deepEqual([simulatedStrays, realStrays], [0, 0.5]);
  });
});

describe('the table of a comparison', () => {
  it('shows both ranges, how many noticed, the difference and the verdict in one line', () => {
    const late = TOLERANCES.noticing.ms + 1;
    const text = comparisonText(compareHalves([half([2_400, 2_600])], [half([2_500, 2_600 + late])]));
    const line = text.split('\n').find((one) => one.includes('suspect'));
    assert.match(
      line ?? '',
      /^SIGSTOP 5 s +suspect after the signal +2400 \/ 2500 \/ 2600 +2500 \/ 2701 \/ 2901 +2 of 2 +\+201 +slower$/,
    );
    assert.match(text, /rows are not explained/);
  });

  it('says so when a half saw nothing', () => {
    const text = comparisonText(compareHalves([half([2_400, 2_600])], []));
    assert.match(text, /2400 \/ 2500 \/ 2600 +never +0 +- +missing/);
  });

  it('states every tolerance with its reason', () => {
    const text = comparisonText(compareHalves([], []));
    for (const { ms, reason } of Object.values(TOLERANCES))
      assert.ok(text.includes(`${ms} ms of`) && text.includes(reason));
  });

  it('lists the first of the changes that nobody caused', () => {
    const stray: Change = { atMs: 3_500, observer: 4, target: 7, verdict: 'suspect', reason: 'silent' };
    const [first = '', ...others] = strayLines(
      Array.from({ length: 7 }, () => stray),
      1_000,
    ).split('\n');
    assert.match(first, /at 2\.5 s node 4 took node 7 for suspect \(silent\)/);
    assert.equal(others.at(-2), '  and 2 more');
    assert.equal(strayLines([], 0), '');
  });
});
