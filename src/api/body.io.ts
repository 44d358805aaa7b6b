/**
 * Reads the body of a request into a text, within a number of bytes and a time. A declared length over the maximum is
 * refused before a byte is read; what was refused is not kept, and Node discards the rest of it. A client that trickles
 * holds one connection until the deadline and nothing else; all bodies on their way share a room (`BodyRoom`), because what one
 * of them may be, times all connections, is more than the memory of the machine.
 */
import type { IncomingMessage } from 'node:http';
import { fromUtf8 } from '../bytes.ts';
import { type Failure, failure } from '../errors.ts';

const BYTE_ORDER_MARK = '\uFEFF';

export interface BodyLimits {
  readonly bodyBytes: number;
  readonly bodyMs: number;
}

/** The bytes of all bodies that are not whole yet. Full: whoever sends the next byte is answered "busy". */
export class BodyRoom {
  #free: number;

  constructor(bytesMax: number) {
    this.#free = bytesMax;
  }

  take(bytes: number): boolean {
    if (bytes > this.#free) return false;
    this.#free -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#free += bytes;
  }
}

export type Body =
  | { readonly type: 'text'; readonly text: string }
  /** `isLate`: the rest may never come, so that the connection is of no further use. */
  | { readonly type: 'refused'; readonly failure: Failure; readonly isLate: boolean }
  | { readonly type: 'client-gone' };

/** True when the declared length alone says no. */
export function isDeclaredTooLarge(req: IncomingMessage, limits: BodyLimits): boolean {
  return Number(req.headers['content-length'] ?? 0) > limits.bodyBytes;
}

export function bodyTooLarge(limits: BodyLimits): Failure {
  return failure('body-too-large', `the body is larger than ${limits.bodyBytes} bytes, the most that is taken`);
}

export async function readBody(req: IncomingMessage, limits: BodyLimits, room: BodyRoom): Promise<Body> {
  if (isDeclaredTooLarge(req, limits)) return { type: 'refused', failure: bodyTooLarge(limits), isLate: false };
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    let taken = 0;
    const finish = (body: Body): void => {
      clearTimeout(deadline);
      req.off('data', onData).off('end', onEnd).off('close', onGone);
      // The request lives on while its rest is discarded.
      chunks.length = 0;
      room.giveBack(taken);
      resolve(body);
    };
    const onData = (chunk: Uint8Array): void => {
      bytes += chunk.length;
      if (bytes > limits.bodyBytes) return finish({ type: 'refused', failure: bodyTooLarge(limits), isLate: false });
      if (!room.take(chunk.length)) return finish({ type: 'refused', failure: noRoom(), isLate: false });
      taken += chunk.length;
      chunks.push(chunk);
      return undefined;
    };
    const onEnd = (): void => finish(decode(Buffer.concat(chunks, bytes)));
    const onGone = (): void => finish({ type: 'client-gone' });
    const deadline = setTimeout(() => {
      const late = failure('invalid-request', `the body did not arrive within ${limits.bodyMs / 1_000} s`);
      finish({ type: 'refused', failure: late, isLate: true });
    }, limits.bodyMs);
    // 'close' follows an 'error', which has no more to say than that the client is gone.
    req.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
  });
}

function noRoom(): Failure {
  return failure('busy', 'this node has no room for another request of that size', { retryAfterMs: 1_000 });
}

function decode(bytes: Uint8Array): Body {
  const text = fromUtf8(bytes);
  // Some Windows programs begin every text with one; JSON does not.
  if (text !== undefined) return { type: 'text', text: text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text };
  return { type: 'refused', failure: failure('invalid-json', 'the body is not UTF-8'), isLate: false };
}
