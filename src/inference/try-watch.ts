/**
 * Is it still right to wait for the node that is asked? Three answers, from the cheapest to the dearest: 1. Silence of
 * `stallAfterMs` means that the node is gone, unless this process stood still itself. 2. Signs of life and nothing else
 * for far longer than was expected mean that its engine is of no use (it hangs, or a game took the machine): the node is
 * left if somebody else can be asked, because nothing is surer than a slow answer. 3. While a request only waits in a queue
 * nothing is lost by leaving, and the mesh may have changed since it was placed (a partition healed, a machine came
 * back): it is placed again now and then, and goes when that promises to be much quicker than what is left here.
 * Every time a request moves on for 2 or 3 it asks for twice as much to do so again, so that a mesh that is slow
 * everywhere (models being loaded, an overload) is not made slower by requests that move about. That ends with the first
 * token: an answer that flows is missed after the same time, whatever came before.
 */
import { INFERENCE, LIVENESS } from '../params.ts';

export const WATCH = {
  /** Nothing new for this long. Source: guess: four times the median first token of a half loaded mesh. */
  stuckAfterMs: 10_000,
  /** Once the answer flows: so many tokens that did not come, though no sooner than silence would count and no later than
   *  above. Source: computed: a batch of 512 prompt tokens of others, read 15 times as fast, is the time of 34. */
  tokensMissedMax: 50,
  /** ... before the first token so much more for each token of the prompt. Source: the slowest laptops of the simulator. */
  promptMsPerToken: 10,
  /** ... or this many times what was expected of it. Source: docs/PROTOCOL.md, the placement study. */
  expectedFactor: 3,
  /** Between two looks at where else a queued request could go. Source: guess: two beacons. */
  reconsiderIntervalMs: 2_000,
  /** Elsewhere has to be so many times quicker. Source: guess: more than estimates are wrong by as a rule. */
  betterFactor: 2,
} as const;

/** What to do now; `leave`: give the node up because of `problem`. */
export type Advice =
  { readonly type: 'stay' } | { readonly type: 'reconsider' } | { readonly type: 'leave'; readonly problem: string };

const STAY: Advice = { type: 'stay' };
const NEVER = Number.POSITIVE_INFINITY;

export class TryWatch {
  readonly #readMs: number;
  /** Doubles with every move. */
  #patience = 1;
  #startedAtMs = 0;
  #expectedMs = 0;
  #heardAtMs = 0;
  #stuckLimitMs: number = WATCH.stuckAfterMs;
  #stuckAtMs = NEVER;
  #reconsiderAtMs = NEVER;
  #promptTokensDone = 0;
  #movedAtMs = 0;
  /** Usual time between two tokens of this try; undefined before the second. */
  #tokenMs: number | undefined;
  #answering = false;

  constructor(promptTokens: number) {
    this.#readMs = WATCH.promptMsPerToken * promptTokens;
  }

  /** When advice is wanted. */
  get wakeAtMs(): number {
    return Math.min(this.#heardAtMs + INFERENCE.stallAfterMs, this.#stuckAtMs, this.#reconsiderAtMs);
  }

  /** A node is asked whose first token is expected within `expectedMs`. */
  begin(expectedMs: number, nowMs: number): void {
    const usualMs = (WATCH.stuckAfterMs + this.#readMs) * this.#patience;
    this.#stuckLimitMs = Math.max(usualMs, WATCH.expectedFactor * expectedMs);
    this.#startedAtMs = nowMs;
    this.#expectedMs = expectedMs;
    this.#promptTokensDone = 0;
    this.#tokenMs = undefined;
    this.#answering = false;
    this.#reconsiderAtMs = NEVER;
    this.heard(nowMs);
    this.moved(nowMs);
  }

  /** Any word of the node. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
  }

  /** It waits in a queue. */
  queued(nowMs: number): void {
    this.#reconsiderAtMs = nowMs + WATCH.reconsiderIntervalMs;
  }

  /** Work on it begins. */
  accepted(nowMs: number): void {
    this.#reconsiderAtMs = NEVER;
    this.moved(nowMs);
  }

  /** Something brought the answer nearer, or makes up for what did not. */
  moved(nowMs: number): void {
    this.#movedAtMs = nowMs;
    this.#stuckAtMs = nowMs + this.#stuckLimitMs;
  }

  progress(promptTokensDone: number, nowMs: number): void {
    if (promptTokensDone <= this.#promptTokensDone) return;
    this.#promptTokensDone = promptTokensDone;
    this.moved(nowMs);
  }

  /** Tokens came: what was expected of the prompt says nothing about the next ones, those before do. */
  answering(tokens: number, nowMs: number): void {
    if (this.#answering) {
      const perTokenMs = (nowMs - this.#movedAtMs) / Math.max(1, tokens);
      this.#tokenMs = this.#tokenMs === undefined ? perTokenMs : (7 * this.#tokenMs + perTokenMs) / 8;
    }
    this.#answering = true;
    const missedMs = this.#tokenMs === undefined ? WATCH.stuckAfterMs : WATCH.tokensMissedMax * this.#tokenMs;
    // However often it moved before: this node has shown how fast it is, and who reads is promised that it goes on.
    this.#stuckLimitMs = Math.min(WATCH.stuckAfterMs, Math.max(INFERENCE.stallAfterMs, Math.ceil(missedMs)));
    this.moved(nowMs);
  }

  /** Time passed. `canLeave`: somebody else can be asked, and the node may speak. */
  advise(canLeave: boolean, nowMs: number): Advice {
    if (nowMs - this.wakeAtMs > LIVENESS.ownStallMs) {
      // We stood still ourselves: what the node sent meanwhile may not have been read yet.
      const graceUntilMs = nowMs + LIVENESS.ownStallGraceMs;
      this.#heardAtMs = graceUntilMs - INFERENCE.stallAfterMs;
      this.#stuckAtMs = Math.max(this.#stuckAtMs, graceUntilMs);
      if (this.#reconsiderAtMs !== NEVER) this.#reconsiderAtMs = graceUntilMs;
      return STAY;
    }
    if (nowMs >= this.#heardAtMs + INFERENCE.stallAfterMs)
      return { type: 'leave', problem: `no sign of life for ${INFERENCE.stallAfterMs} ms` };
    if (nowMs >= this.#stuckAtMs) return this.#stuck(canLeave, nowMs);
    if (nowMs < this.#reconsiderAtMs) return STAY;
    this.#reconsiderAtMs = nowMs + WATCH.reconsiderIntervalMs;
    return { type: 'reconsider' };
  }

  /** True when it waits in a queue and would be much quicker where `expectedMs` is promised. Counts as a move. */
  leavesQueueFor(expectedMs: number, nowMs: number): boolean {
    if (this.#reconsiderAtMs === NEVER) return false;
    const waitedMs = nowMs - this.#startedAtMs;
    // Who waited longer than was promised must expect to wait as long again.
    const leftMs = Math.max(this.#expectedMs - waitedMs, waitedMs);
    if (expectedMs * WATCH.betterFactor * this.#patience >= leftMs) return false;
    this.#patience *= 2;
    return true;
  }

  #stuck(canLeave: boolean, nowMs: number): Advice {
    if (!canLeave) {
      this.moved(nowMs);
      return STAY;
    }
    this.#patience *= 2;
    return { type: 'leave', problem: `signs of life for ${this.#stuckLimitMs} ms, and nothing else` };
  }
}
