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

/** Nothing before the current minute: most windows are this young. */
const NO_PAST: readonly number[] = [];

/** The least offset of the last five minutes of one author under one incarnation, in one-minute buckets. */
export class OffsetWindow {
  /** Where the current bucket starts, and its least offset. */
  #startMs = -Infinity;
  #offsetMs = Infinity;
  /** Of those before it, oldest first: where each starts and its least offset, in turn. */
  #past = NO_PAST;

  /** Takes one arrival in and returns its age in ms, at least 0. */
  observe(uptimeMs: number, nowMs: number): number {
    const offsetMs = nowMs - uptimeMs;
    const startMs = nowMs - (nowMs % BUCKET_MS);
    if (this.#startMs < startMs) this.#open(startMs, offsetMs);
    else if (offsetMs < this.#offsetMs) this.#offsetMs = offsetMs;
    const past = this.#past;
    if (past.length > 0 && (past[0] ?? startMs) < startMs - WINDOW_MS) this.#forget(startMs - WINDOW_MS);
    let least = Math.min(offsetMs, this.#offsetMs);
    for (let index = 1; index < this.#past.length; index += 2) least = Math.min(least, this.#past[index] ?? least);
    return offsetMs - least;
  }

  #open(startMs: number, offsetMs: number): void {
    // The current bucket is not full yet, so one more than the window has is kept.
    if (this.#startMs !== -Infinity)
      this.#past = [...this.#past, this.#startMs, this.#offsetMs].slice(-2 * BUCKETS_MAX);
    this.#startMs = startMs;
    this.#offsetMs = offsetMs;
  }

  #forget(beforeMs: number): void {
    let index = 0;
    while ((this.#past[index] ?? beforeMs) < beforeMs) index += 2;
    this.#past = this.#past.slice(index);
  }
}
