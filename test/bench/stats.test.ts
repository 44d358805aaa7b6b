import assert from 'node:assert/strict';
import { formatSummary, interleaved, median, percentile, percentiles, summarize } from '../../bench/stats.ts';

describe('the statistics of benchmarks', () => {
  it('summarize without changing the order of the samples', () => {
    const samples = [5, 1, 3];
    assert.deepEqual(summarize(samples), { min: 1, median: 3, max: 5 });
    assert.deepEqual(samples, [5, 1, 3]);
    assert.equal(median([4, 1, 3, 2]), 2.5);
    assert.equal(median([10, 9]), 9.5);
    assert.throws(() => median([]), /no samples/);
  });

  it('take percentiles by nearest rank', () => {
    const samples = Array.from({ length: 100 }, (_, index) => 100 - index);
    const cases = [
      { percent: 0, expected: 1 },
      { percent: 1, expected: 1 },
      { percent: 50, expected: 50 },
      { percent: 50.1, expected: 51 },
      { percent: 99, expected: 99 },
      { percent: 100, expected: 100 },
    ];
    for (const { percent, expected } of cases) assert.equal(percentile(samples, percent), expected);
    assert.deepEqual(percentiles(samples), [50, 99]);
    assert.deepEqual(percentiles([]), [0, 0]);
    assert.throws(() => percentile([], 50), /no samples/);
  });

  it('interleave the cases, each round starting one later', () => {
    assert.deepEqual(interleaved(['a', 'b', 'c'], 4), 'abc bca cab abc'.replaceAll(' ', '').split(''));
    assert.deepEqual(interleaved([], 3), []);
  });

  it('print with two decimals', () => {
    assert.equal(formatSummary({ min: 1, median: 2.345, max: 10 }, 'us'), 'min 1.00 / median 2.35 / max 10.00 us');
  });
});
