import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import * as fc from 'fast-check';
import { Sketch, SKETCH_ERROR } from '../../../simulations/report/sketch.ts';
import { BUCKETS_MAX, Timeline } from '../../../simulations/report/timeline.ts';

function nearestRank(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? Number.NaN;
}

function sketchOf(values: readonly number[]): Sketch {
  const sketch = new Sketch();
  for (const value of values) sketch.add(value);
  return sketch;
}

const VALUES = fc.array(fc.integer({ min: 0, max: 2_000_000_000 }), { minLength: 1, maxLength: 200 });
const SHARE = fc.constantFrom(0, 0.01, 0.5, 0.9, 0.99, 1);

describe('a quantile sketch', () => {
  it('answers within its promised error of the true nearest rank', () => {
    fc.assert(
      fc.property(VALUES, SHARE, (values, share) => {
        const truth = nearestRank(values, share);
        const seen = sketchOf(values).quantile(share) ?? Number.NaN;
        ok(Math.abs(seen - truth) <= truth * SKETCH_ERROR, `expected about ${truth}, got ${seen}`);
      }),
    );
  });

  it('is exact below 64 and at both ends', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 63 }), { minLength: 1 }), SHARE, (values, share) => {
        equal(sketchOf(values).quantile(share), nearestRank(values, share));
      }),
    );
    equal(sketchOf([63, 64, 65, 1_000_003]).quantile(1), 1_000_003);
    equal(sketchOf([1_000_003]).quantile(0.5), 1_000_003);
  });

  it('has no quantiles when it has seen nothing', () => {
    equal(new Sketch().quantile(0.5), undefined);
    equal(new Sketch().quantiles(), undefined);
  });

  it('merges to what one sketch of all values holds', () => {
    fc.assert(
      fc.property(VALUES, VALUES, (left, right) => {
        const merged = sketchOf(left);
        merged.merge(sketchOf(right));
        deepEqual(merged.quantiles(), sketchOf([...left, ...right]).quantiles());
      }),
    );
    throws(() => new Sketch(1).merge(new Sketch(0.01)), /one resolution/);
  });

  it('counts in steps of its resolution and takes what is beyond its range for its end', () => {
    const ratios = new Sketch(0.01);
    for (const value of [0.25, 0.5, 2.5]) ratios.add(value);
    equal(ratios.quantile(0.5), 0.5);
    const wide = new Sketch();
    wide.add(1e12);
    wide.add(-5);
    equal(wide.quantiles()?.max, 1e12);
    equal(wide.quantile(0), 0);
  });
});

describe('a timeline', () => {
  it('doubles its buckets only when a time does not fit any more', () => {
    for (const { atMs, bucketMs } of [
      { atMs: 0, bucketMs: 1_000 },
      { atMs: BUCKETS_MAX * 1_000 - 1, bucketMs: 1_000 },
      { atMs: BUCKETS_MAX * 1_000, bucketMs: 2_000 },
      { atMs: BUCKETS_MAX * 2_000, bucketMs: 4_000 },
      { atMs: 30 * 86_400_000, bucketMs: 16_384_000 },
    ]) {
      const timeline = new Timeline();
      timeline.sum().add(atMs);
      equal(timeline.bucketMs, bucketMs);
      ok(timeline.length(atMs + 1) <= BUCKETS_MAX);
    }
  });

  it('keeps sums, peaks and sketches over any run of times, in any order', () => {
    const times = fc.array(fc.integer({ min: 0, max: 10_000_000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(times, (atMs) => {
        const timeline = new Timeline();
        const [sum, peak, spread] = [timeline.sum(), timeline.peak(), timeline.spread()];
        for (const [index, at] of atMs.entries()) {
          sum.add(at, index + 1);
          peak.add(at, index + 1);
          spread.add(at, index + 1);
        }
        const expected = new Map<number, number[]>();
        for (const [index, at] of atMs.entries()) {
          const bucket = Math.floor(at / timeline.bucketMs);
          expected.set(bucket, [...(expected.get(bucket) ?? []), index + 1]);
        }
        for (let bucket = 0; bucket < BUCKETS_MAX; bucket += 1) {
          const values = expected.get(bucket) ?? [];
          equal(
            sum.value(bucket),
            values.reduce((left, right) => left + right, 0),
          );
          equal(peak.value(bucket), Math.max(0, ...values));
          equal(spread.quantile(bucket, 1), values.length === 0 ? undefined : Math.max(...values));
        }
      }),
    );
  });
});
