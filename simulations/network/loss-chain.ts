/**
 * Is a last mile in a bad moment now? Gilbert and Elliott's chain: good and bad states take turns for exponentially
 * distributed times; in the bad one most packets are lost, in the good one none. It is a function of time alone,
 * advanced when it is asked, so what is sent when does not change which moments are bad. A mean loss above that of the
 * bad state is bad always, and loses as much as it says.
 * Limits: time does not go back; the mean is exact over time, not over packets.
 * Source: Gilbert 1960, Elliott 1963.
 */
import { invariant } from '../../src/assert.ts';
import type { RandomStream } from '../kernel/kernel-port.ts';

/** Share of packets that are lost in the bad state. Source: guess, about a radio link in a fade. */
const BAD_LOSS_MIN = 0.8;

export interface LossSpec {
  /** Mean over time, above 0 and at most 1. */
  readonly loss: number;
  /** Mean length of the bad state. */
  readonly burstMs: number;
}

export class LossChain {
  readonly #random: RandomStream;
  readonly #badLoss: number;
  readonly #badMs: number;
  readonly #goodMs: number;
  #isBad: boolean;
  #changesAtMs: number;

  /** Begins in the middle of its life: bad with the chance that it always has. */
  constructor({ loss, burstMs }: LossSpec, random: RandomStream, nowMs: number) {
    invariant(loss > 0 && loss <= 1 && burstMs > 0, 'a loss is above 0 and at most 1, in bursts that last');
    this.#badLoss = Math.max(BAD_LOSS_MIN, loss);
    const badShare = loss / this.#badLoss;
    this.#random = random;
    this.#badMs = burstMs;
    this.#goodMs = (burstMs * (1 - badShare)) / badShare;
    this.#isBad = random.ratio() < badShare;
    this.#changesAtMs = nowMs + random.exponential(this.#isBad ? this.#badMs : this.#goodMs);
  }

  isBad(nowMs: number): boolean {
    while (nowMs >= this.#changesAtMs) {
      this.#isBad = !this.#isBad;
      this.#changesAtMs += this.#random.exponential(this.#isBad ? this.#badMs : this.#goodMs);
    }
    return this.#isBad;
  }

  /** The chance that at least one of `packets` is lost now. */
  lossOf(packets: number, nowMs: number): number {
    if (!this.isBad(nowMs)) return 0;
    return packets === 1 ? this.#badLoss : 1 - (1 - this.#badLoss) ** packets;
  }
}
