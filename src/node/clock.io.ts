/**
 * The clock of the core: monotonic, in ms since the process started, and counting the time in which the machine slept.
 * On Linux the monotonic clock of Node stands still during suspend while the uptime goes on; on macOS and Windows both
 * count it. So the uptime decides how long a gap was, and the fine clock what happened inside.
 * Source: nodejs/node#47724; the uptime has a resolution of 10 ms and is read at most every `UPTIME_CHECK_MS`.
 */
import { uptime } from 'node:os';
import type { PlaneClock } from '../inference/alarm.ts';

const UPTIME_CHECK_MS = 200;

/** Disagreement that can only be a sleep: far above the resolution of the uptime. Source: guess. */
const SLEEP_MS_MIN = 500;

export class Clock {
  readonly #startedMs = performance.now();
  readonly #startedUptimeMs = uptime() * 1_000;
  #checkedMs = performance.now();
  #sleptMs = 0;

  nowMs(): number {
    const fineMs = performance.now();
    if (fineMs - this.#checkedMs >= UPTIME_CHECK_MS) {
      this.#checkedMs = fineMs;
      const missingMs = uptime() * 1_000 - this.#startedUptimeMs - (fineMs - this.#startedMs);
      if (missingMs - this.#sleptMs > SLEEP_MS_MIN) this.#sleptMs = missingMs;
    }
    return fineMs - this.#startedMs + this.#sleptMs;
  }
}

/** That clock with timers, which keep no process alive. */
export function timersOf(clock: Clock): PlaneClock {
  return {
    nowMs: () => clock.nowMs(),
    after: (delayMs, call) => {
      const timer = setTimeout(call, delayMs).unref();
      return () => clearTimeout(timer);
    },
    soon: (call) => queueMicrotask(call),
  };
}

/** Waits for the work, or for so long. */
export async function withLimit(work: Promise<void> | undefined, limitMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([work, promise]);
  clearTimeout(timer);
}
