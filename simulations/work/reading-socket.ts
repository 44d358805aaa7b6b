/**
 * When may a client's node send more? A socket takes what its reader reads and, beyond that, what its buffers hold; the
 * front door grants again what the socket took, in halves of the window. So a slow reader slows its own answer down only
 * after its buffers are full, and one who stopped reading stops it.
 */
import { INFERENCE } from '../../src/params.ts';
import type { Reader } from './conversations.ts';

/** Tokens on their way to one client. Source: as of the real front door. */
export const WINDOW_TOKENS = INFERENCE.creditTokens;
/** What the buffers of a connection hold. Source: computed: 64 KiB, about 200 bytes of an event around each token. */
export const SOCKET_TOKENS = 320;

export class ReadingSocket {
  readonly #reader: Reader;
  #received = 0;
  /** Of those, granted again. */
  #granted = 0;
  /** In fractions of a token, until `#readAtMs`. */
  #read = 0;
  #readAtMs: number;

  constructor(reader: Reader, nowMs: number) {
    this.#reader = reader;
    this.#readAtMs = nowMs;
  }

  get received(): number {
    return this.#received;
  }

  receive(tokens: number, nowMs: number): void {
    this.#readOn(nowMs);
    this.#received += tokens;
  }

  /** What to grant now, 0 = not yet. It counts as granted. */
  owed(nowMs: number): number {
    this.#readOn(nowMs);
    const owed = Math.min(this.#received, Math.floor(this.#read + SOCKET_TOKENS)) - this.#granted;
    if (owed * 2 < WINDOW_TOKENS) return 0;
    this.#granted += owed;
    return owed;
  }

  /** When reading alone will have made room for a grant; undefined = only more text or nothing can. */
  roomAtMs(nowMs: number): number | undefined {
    if (this.#reader.type !== 'slow' || (this.#received - this.#granted) * 2 < WINDOW_TOKENS) return undefined;
    const missing = this.#granted + WINDOW_TOKENS / 2 - SOCKET_TOKENS - this.#read;
    return nowMs + Math.max(1, Math.ceil((missing * 1_000) / this.#reader.tokensPerSecond));
  }

  #readOn(nowMs: number): void {
    const elapsedMs = nowMs - this.#readAtMs;
    this.#readAtMs = nowMs;
    this.#read = Math.min(this.#received, this.#readBy(elapsedMs));
  }

  #readBy(elapsedMs: number): number {
    switch (this.#reader.type) {
      case 'slow':
        return this.#read + (elapsedMs * this.#reader.tokensPerSecond) / 1_000;
      case 'stops':
        return this.#reader.afterTokens;
      default:
        return this.#received;
    }
  }
}
