/**
 * How does a list of signed messages travel on one stream? The asker sends one frame, its digest (empty: send all). The
 * answer is the number of messages and then each as a frame; a frame is a 4-byte big-endian length and that many bytes.
 * The number comes first because the end of a stream can get lost, and a count cannot. Every length is checked before
 * anything is kept. Limits: bytes of the digest, of one message and of the whole, number of messages. Source: ours.
 */
import { concat } from '../bytes.ts';
import { GOSSIP } from '../params.ts';

export const SNAPSHOT_PROTOCOL = '/skein/view/1';
/** Source: the digest of anti-entropy has 512 bytes; room for another. */
export const DIGEST_BYTES_MAX = 4_096;
/** Source: guess: capability, load and two accusations for each member. */
export const SNAPSHOT_MESSAGES_MAX = 4 * GOSSIP.membersMax;
/** Source: measured: 4.2 MB for 10,000 members. */
export const SNAPSHOT_BYTES_MAX = 8_388_608;
const LENGTH_BYTES = 4;

export function encodeFrame(bytes: Uint8Array): Uint8Array {
  return concat([uint32(bytes.length), bytes]);
}

/** The answer in order, without the messages that would break a limit. */
export function encodeSnapshot(messages: readonly Uint8Array[]): readonly Uint8Array[] {
  const kept: Uint8Array[] = [];
  let sum = LENGTH_BYTES;
  for (const message of messages) {
    const size = LENGTH_BYTES + message.length;
    if (message.length > GOSSIP.messageBytesMax || kept.length >= SNAPSHOT_MESSAGES_MAX) continue;
    if (sum + size > SNAPSHOT_BYTES_MAX) break;
    sum += size;
    kept.push(message);
  }
  return [uint32(kept.length), ...kept.map(encodeFrame)];
}

export type FrameStep =
  | { readonly type: 'more' }
  | { readonly type: 'done'; readonly frames: readonly Uint8Array[] }
  | { readonly type: 'refused'; readonly reason: string };

export interface FrameReaderOptions {
  /** Undefined: the number comes first on the stream. */
  readonly count: number | undefined;
  readonly frameBytesMax: number;
  readonly bytesMax: number;
}

/** Collects frames from bytes in any cut. */
export class FrameReader {
  readonly #options: FrameReaderOptions;
  readonly #frames: Uint8Array[] = [];
  readonly #chunks: Uint8Array[] = [];
  #chunkBytes = 0;
  #sum = 0;
  #count: number | undefined;
  /** Bytes of the frame being read; undefined while its length is. */
  #length: number | undefined;

  constructor(options: FrameReaderOptions) {
    this.#options = options;
    this.#count = options.count;
  }

  receive(bytes: Uint8Array): FrameStep {
    this.#sum += bytes.length;
    if (this.#sum > this.#options.bytesMax) return refused(`more than ${this.#options.bytesMax} bytes`);
    this.#chunks.push(bytes);
    this.#chunkBytes += bytes.length;
    for (;;) {
      if (this.#count !== undefined && this.#frames.length === this.#count) return this.#finish();
      const wanted = this.#length ?? LENGTH_BYTES;
      if (this.#chunkBytes < wanted) return { type: 'more' };
      const refusal = this.#take(this.#consume(wanted));
      if (refusal !== undefined) return refused(refusal);
    }
  }

  #take(part: Uint8Array): string | undefined {
    if (this.#length !== undefined) {
      this.#frames.push(part.slice()); // a view would keep the whole chunk in memory
      this.#length = undefined;
      return undefined;
    }
    const value = new DataView(part.buffer, part.byteOffset, LENGTH_BYTES).getUint32(0);
    if (this.#count === undefined) {
      this.#count = value;
      return value > SNAPSHOT_MESSAGES_MAX ? `${value} messages, more than ${SNAPSHOT_MESSAGES_MAX}` : undefined;
    }
    this.#length = value;
    const { frameBytesMax } = this.#options;
    return value > frameBytesMax ? `a frame of ${value} bytes, more than ${frameBytesMax}` : undefined;
  }

  #finish(): FrameStep {
    return this.#chunkBytes > 0 ? refused('bytes after the last frame') : { type: 'done', frames: this.#frames };
  }

  #consume(length: number): Uint8Array {
    const [first] = this.#chunks;
    const all = first !== undefined && this.#chunks.length === 1 ? first : concat(this.#chunks);
    this.#chunks.length = 0;
    this.#chunkBytes = all.length - length;
    if (this.#chunkBytes > 0) this.#chunks.push(all.subarray(length));
    return all.subarray(0, length);
  }
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function refused(reason: string): FrameStep {
  return { type: 'refused', reason };
}
