/**
 * Was this process itself away? A node that was stalled sees everybody silent and must not blame them. Idea: each step
 * promises when the next one will come; one that comes more than 400 ms late was a stall, and this clock stands still
 * for as long as it lasted, so that every deadline moves along. For the stall's length and a second more nobody is to
 * be accused. More than 5 s is a sleep: what is known is out of date. Source: memberlist's Lifeguard, docs/PROTOCOL.md.
 */
import { LIVENESS } from '../params.ts';

export class AwakeClock {
  #expectedMs = Infinity;
  #pausedMs = 0;
  #graceUntilMs = -Infinity;

  /** Until when, on this clock, nobody is to be accused. */
  get graceUntilMs(): number {
    return this.#graceUntilMs;
  }

  /** The beginning of a step: compares the moment with the promised one. */
  begin(nowMs: number): 'on-time' | 'stalled' | 'slept' {
    const lateMs = nowMs - this.#expectedMs;
    if (lateMs <= LIVENESS.ownStallMs) return 'on-time';
    this.#expectedMs = Infinity;
    this.#pausedMs += lateMs;
    const graceMs = Math.min(lateMs, LIVENESS.sleptAfterMs) + LIVENESS.ownStallGraceMs;
    this.#graceUntilMs = Math.max(this.#graceUntilMs, this.at(nowMs) + graceMs);
    return lateMs > LIVENESS.sleptAfterMs ? 'slept' : 'stalled';
  }

  /** The end of a step: when the process said it wants to run again. */
  expect(wakeAtMs: number): void {
    this.#expectedMs = wakeAtMs;
  }

  at(nowMs: number): number {
    return nowMs - this.#pausedMs;
  }

  /** The moment outside at which this clock will show `clockMs`. */
  outside(clockMs: number): number {
    return clockMs + this.#pausedMs;
  }
}
