/**
 * How did a figure go over time, in bounded room whatever the run's length? Time is cut into at most 300 buckets that
 * start at one second; when the run outgrows them, neighbours are joined and every bucket is twice as long. A column
 * says how two buckets join: sums add, peaks take the greater one, spreads merge their sketches. Times may come out of
 * order. Limit: whole ms from 0. Source: ours; 300 buckets
 * are three pixels wide on the page and hold enough requests for a quantile.
 */
import { Sketch } from './sketch.ts';

export const BUCKETS_MAX = 300;
const BUCKET_MS_MIN = 1_000;

interface Column {
  /** Joins each two neighbours into one bucket. */
  fold(): void;
}

export class Timeline {
  #bucketMs = BUCKET_MS_MIN;
  readonly #columns: Column[] = [];

  get bucketMs(): number {
    return this.#bucketMs;
  }

  sum(): Tally {
    return this.#join(new Tally(this, (left, right) => left + right));
  }

  peak(): Tally {
    return this.#join(new Tally(this, Math.max));
  }

  spread(resolution = 1): Spread {
    return this.#join(new Spread(this, resolution));
  }

  /** The bucket of a time; makes all buckets longer until there is one. */
  bucket(atMs: number): number {
    while (atMs >= this.#bucketMs * BUCKETS_MAX) {
      this.#bucketMs *= 2;
      for (const column of this.#columns) column.fold();
    }
    return Math.floor(atMs / this.#bucketMs);
  }

  /** Buckets that a run of this length fills. */
  length(endMs: number): number {
    return Math.min(BUCKETS_MAX, Math.max(1, Math.ceil(endMs / this.#bucketMs)));
  }

  #join<Kind extends Column>(column: Kind): Kind {
    this.#columns.push(column);
    return column;
  }
}

/** One number a bucket, 0 where nothing happened. */
export class Tally implements Column {
  readonly #timeline: Timeline;
  readonly #join: (left: number, right: number) => number;
  readonly #values = new Float64Array(BUCKETS_MAX);

  constructor(timeline: Timeline, join: (left: number, right: number) => number) {
    this.#timeline = timeline;
    this.#join = join;
  }

  add(atMs: number, value = 1): void {
    const bucket = this.#timeline.bucket(atMs);
    this.#values[bucket] = this.#join(this.#values[bucket] ?? 0, value);
  }

  value(bucket: number): number {
    return this.#values[bucket] ?? 0;
  }

  fold(): void {
    for (let bucket = 0; bucket < BUCKETS_MAX; bucket += 1) {
      const isLeft = bucket < BUCKETS_MAX / 2;
      this.#values[bucket] = isLeft ? this.#join(this.value(2 * bucket), this.value(2 * bucket + 1)) : 0;
    }
  }
}

/** A sketch a bucket, where there is a value. */
export class Spread implements Column {
  readonly #timeline: Timeline;
  readonly #resolution: number;
  #sketches: (Sketch | undefined)[] = [];

  constructor(timeline: Timeline, resolution: number) {
    this.#timeline = timeline;
    this.#resolution = resolution;
  }

  add(atMs: number, value: number): void {
    const bucket = this.#timeline.bucket(atMs);
    const sketch = (this.#sketches[bucket] ??= new Sketch(this.#resolution));
    sketch.add(value);
  }

  quantile(bucket: number, share: number): number | undefined {
    return this.#sketches[bucket]?.quantile(share);
  }

  fold(): void {
    const before = this.#sketches;
    this.#sketches = [];
    for (const [bucket, sketch] of before.entries()) {
      if (sketch === undefined) continue;
      const joined = this.#sketches[bucket >> 1];
      if (joined === undefined) this.#sketches[bucket >> 1] = sketch;
      else joined.merge(sketch);
    }
  }
}
