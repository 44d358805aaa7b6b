/**
 * How many tokens the serving node may still send. The client grants as its socket drains; a node gets at most a
 * window of that at a time, so that a slow client stops only itself and a dead node cannot have been promised more than
 * the client takes. Credit is renewed in portions, when at least as much can be given as is still out (or half a
 * window): one message for many tokens, and the node does not run dry. After a node is given up its credit is void.
 */
import { invariant } from '../assert.ts';
import { INFERENCE } from '../params.ts';

export class Credit {
  /** Tokens the client took on, and has not received. */
  #wanted = 0;
  /** Of those, what the serving node may send already. */
  #out = 0;

  /** The serving node may send something. */
  get isOut(): boolean {
    return this.#out > 0;
  }

  /** The client has room for `tokens` more. */
  want(tokens: number): void {
    this.#wanted = Math.min(Number.MAX_SAFE_INTEGER, this.#wanted + Math.max(0, Math.floor(tokens)));
  }

  /** False when they were not granted. */
  spend(tokens: number): boolean {
    if (tokens > this.#out) return false;
    this.#out -= tokens;
    this.#wanted -= tokens;
    invariant(this.#wanted >= this.#out, 'no more is out than the client wants');
    return true;
  }

  /** A portion to grant now, 0 = not yet. It counts as granted. */
  renew(): number {
    const free = Math.min(INFERENCE.creditTokens, this.#wanted) - this.#out;
    if (free <= 0 || (free < this.#out && free < INFERENCE.creditTokens / 2)) return 0;
    this.#out += free;
    return free;
  }

  /** The node that held credit is given up. */
  void(): void {
    this.#out = 0;
  }
}
