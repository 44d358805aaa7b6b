/**
 * How old was this message when it arrived? Arrival time lies: a peer that was frozen for 15 s delivers 15 s of old
 * messages in one burst. Idea: the sender's monotonic clock runs as fast as ours, so (arrival - its uptime) is a
 * constant offset plus the delay of the way; the least value of five minutes is the offset with hardly any delay, and
 * what lies above it is age. Limits: the first message of an author counts as fresh; a clock that stands still during
 * suspend must not go on under the same incarnation (the author raises it when it slept). Source: docs/PROTOCOL.md.
 */

/** Source: guess: longer than a bad minute of a link, short enough for clocks to drift by milliseconds only. */
const WINDOW_MS = 300_000;
const BUCKET_MS = 60_000;
const BUCKETS_MAX = WINDOW_MS / BUCKET_MS;

/** The least offset of the last five minutes of one author under one incarnation, in one-minute buckets. */
export class OffsetWindow {
  readonly #buckets: { startMs: number; offsetMs: number }[] = [];

  /** Takes one arrival in and returns its age in ms, at least 0. */
  observe(uptimeMs: number, nowMs: number): number {
    const offsetMs = nowMs - uptimeMs;
    const startMs = nowMs - (nowMs % BUCKET_MS);
    const last = this.#buckets.at(-1);
    if (last === undefined || last.startMs < startMs) this.#buckets.push({ startMs, offsetMs });
    else last.offsetMs = Math.min(last.offsetMs, offsetMs);
    // The current bucket is not full yet, so one more than the window has is kept.
    while (this.#buckets.length > BUCKETS_MAX + 1) this.#buckets.shift();
    while ((this.#buckets[0]?.startMs ?? startMs) < startMs - WINDOW_MS) this.#buckets.shift();
    return offsetMs - this.#buckets.reduce((least, bucket) => Math.min(least, bucket.offsetMs), offsetMs);
  }
}
