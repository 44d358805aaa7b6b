/**
 * The pings that wait for their answer, of all members together: which nonce went to whom, and when. Numbers count up, so
 * that an answer can be told from an older one. Full: the oldest is forgotten, whose answer would be worthless.
 */
import type { NodeId } from '../ids.ts';

/** Source: guess: older ones are worthless. */
const PINGS_MAX = 1_024;

export class LinkPings {
  readonly #sent = new Map<number, { readonly node: NodeId; readonly atMs: number }>();
  #nonce = 0;

  /** The nonce to send. */
  send(node: NodeId, nowMs: number): number {
    this.#nonce += 1;
    for (const nonce of this.#sent.keys()) {
      if (this.#sent.size < PINGS_MAX) break;
      this.#sent.delete(nonce);
    }
    this.#sent.set(this.#nonce, { node, atMs: nowMs });
    return this.#nonce;
  }

  /** The round trip; undefined for an answer that nobody waits for. */
  answered(node: NodeId, nonce: number, nowMs: number): number | undefined {
    const ping = this.#sent.get(nonce);
    if (ping === undefined || ping.node !== node) return undefined;
    this.#sent.delete(nonce);
    return nowMs - ping.atMs;
  }
}
