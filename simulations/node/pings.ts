/**
 * The pings of one process that wait for their answers: which nonce was sent when. Bounded, the oldest is forgotten, as by
 * the real links; an answer that nobody waits for, or comes twice, is nothing.
 */

/** Source: `PEERS.pingsMax` of the real links. */
const PINGS_MAX = 1_024;

export class Pings {
  readonly #sentAtMs = new Map<number, number>();
  #nonce = 0;

  /** The nonce of a ping that leaves now. */
  send(nowMs: number): number {
    this.#nonce += 1;
    for (const nonce of this.#sentAtMs.keys()) {
      if (this.#sentAtMs.size < PINGS_MAX) break;
      this.#sentAtMs.delete(nonce);
    }
    this.#sentAtMs.set(this.#nonce, nowMs);
    return this.#nonce;
  }

  /** How long ago that ping left. */
  answered(nonce: number, nowMs: number): number | undefined {
    const sentAtMs = this.#sentAtMs.get(nonce);
    this.#sentAtMs.delete(nonce);
    return sentAtMs === undefined ? undefined : nowMs - sentAtMs;
  }
}
