/**
 * The bytes of a link (`/skein/link/1`): a stream of frames of at most 16 kB, each with a header of 7 bytes: length of
 * the payload (16 bits), kind with a "more follows" bit (8 bits), channel (32 bits), big-endian. One message is one
 * frame, or several frames of one kind and channel of which all but the last say "more": so a long message can be
 * interleaved with the short ones of other channels. What a payload means is in `messages.ts`.
 * The decoder takes the stream in any pieces and copies only frames that a piece boundary cuts.
 */
import { invariant } from '../assert.ts';
import { INFERENCE } from '../params.ts';

export const FRAME_HEADER_BYTES = 7;
export const FRAME_PAYLOAD_BYTES_MAX = INFERENCE.frameBytesMax - FRAME_HEADER_BYTES;
/** Only the last part of a long message may be shorter: so nobody makes us keep a million parts. Source: guess. */
export const PART_BYTES_MIN = 1_024;
const MORE = 0x80;

/** The kinds of messages; numbers are the protocol's, never reused. 1-9 ask, 16-31 answer, 48-63 concern the link. */
export const KINDS = {
  open: 1,
  credit: 2,
  cancel: 3,
  reattach: 4,
  accepted: 16,
  queued: 17,
  refused: 18,
  progress: 19,
  tokens: 20,
  ended: 21,
  failed: 22,
  cancelled: 23,
  received: 48,
  heartbeat: 49,
  ping: 50,
  pong: 51,
  draining: 52,
} as const;

export type Kind = keyof typeof KINDS;
/** Who says it: the asking side of a channel, the serving side, or either about the link itself (channel 0). */
export type Speaker = 'asker' | 'server' | 'link';

/** The largest message of each kind, all its frames together. Only the listed may need several. */
const MESSAGE_BYTES_MAX: Partial<Record<Kind, number>> = {
  open: INFERENCE.bodyBytesMax,
  // An upstream may send long texts at once. Source: guess, far above any seen.
  tokens: 1_048_576,
};

const KIND_OF_NUMBER: readonly (Kind | undefined)[] = Array.from({ length: MORE }, (_, number) => kindOf(number));

export function messageBytesMax(kind: Kind): number {
  return MESSAGE_BYTES_MAX[kind] ?? FRAME_PAYLOAD_BYTES_MAX;
}

export function speakerOf(kind: Kind): Speaker {
  const number = KINDS[kind];
  return number < 16 ? 'asker' : number < 48 ? 'server' : 'link';
}

export interface FrameHeader {
  readonly kind: Kind;
  readonly more: boolean;
  readonly channel: number;
  readonly payloadBytes: number;
}

/** Writes a header at `offset`; the payload is for the caller to put behind it. */
export function writeFrameHeader(target: Uint8Array, offset: number, header: FrameHeader): void {
  invariant(header.payloadBytes <= FRAME_PAYLOAD_BYTES_MAX, 'a frame is never longer than the largest');
  target[offset] = header.payloadBytes >>> 8;
  target[offset + 1] = header.payloadBytes;
  target[offset + 2] = KINDS[header.kind] | (header.more ? MORE : 0);
  target[offset + 3] = header.channel >>> 24;
  target[offset + 4] = header.channel >>> 16;
  target[offset + 5] = header.channel >>> 8;
  target[offset + 6] = header.channel;
}

export type Decoded = 'frame' | 'incomplete' | 'rejected';

/** `push` a piece, then read `next()` until it is not 'frame'. After 'rejected' the stream is of no more use. */
export class FrameDecoder {
  kind: Kind = 'heartbeat';
  more = false;
  channel = 0;
  /** Valid until the next call only. */
  payload: Uint8Array = new Uint8Array(0);
  /** Why, after 'rejected'. */
  problem = '';

  #piece: Uint8Array = new Uint8Array(0);
  #offset = 0;
  readonly #cut = new Uint8Array(INFERENCE.frameBytesMax);
  #cutBytes = 0;

  push(piece: Uint8Array): void {
    invariant(this.#offset === this.#piece.length, 'a piece is read to its end before the next');
    this.#piece = piece;
    this.#offset = 0;
  }

  next(): Decoded {
    if (this.problem !== '') return 'rejected';
    if (this.#cutBytes > 0) return this.#nextCut();
    const left = this.#piece.length - this.#offset;
    if (left >= FRAME_HEADER_BYTES) {
      const payloadBytes = this.#header(this.#piece, this.#offset);
      if (payloadBytes === undefined) return 'rejected';
      const end = this.#offset + FRAME_HEADER_BYTES + payloadBytes;
      if (end <= this.#piece.length) {
        this.payload = this.#piece.subarray(this.#offset + FRAME_HEADER_BYTES, end);
        this.#offset = end;
        return 'frame';
      }
    }
    this.#gather(left);
    return 'incomplete';
  }

  /** Goes on with a frame that began in an earlier piece. */
  #nextCut(): Decoded {
    this.#gather(Math.min(FRAME_HEADER_BYTES - this.#cutBytes, this.#piece.length - this.#offset));
    if (this.#cutBytes < FRAME_HEADER_BYTES) return 'incomplete';
    const payloadBytes = this.#header(this.#cut, 0);
    if (payloadBytes === undefined) return 'rejected';
    const frameBytes = FRAME_HEADER_BYTES + payloadBytes;
    this.#gather(Math.min(frameBytes - this.#cutBytes, this.#piece.length - this.#offset));
    if (this.#cutBytes < frameBytes) return 'incomplete';
    this.payload = this.#cut.subarray(FRAME_HEADER_BYTES, frameBytes);
    this.#cutBytes = 0;
    return 'frame';
  }

  #gather(bytes: number): void {
    if (bytes <= 0) return;
    this.#cut.set(this.#piece.subarray(this.#offset, this.#offset + bytes), this.#cutBytes);
    this.#cutBytes += bytes;
    this.#offset += bytes;
  }

  /** Reads and judges a header; the payload's length, or undefined with `problem` set. */
  #header(bytes: Uint8Array, at: number): number | undefined {
    const payloadBytes = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    const number = bytes[at + 2] ?? 0;
    const kind = KIND_OF_NUMBER[number & ~MORE];
    this.more = number >= MORE;
    const high = ((bytes[at + 3] ?? 0) << 24) | ((bytes[at + 4] ?? 0) << 16);
    this.channel = (high | ((bytes[at + 5] ?? 0) << 8) | (bytes[at + 6] ?? 0)) >>> 0;
    this.problem = headerProblem({ kind, more: this.more, channel: this.channel, payloadBytes });
    if (kind === undefined || this.problem !== '') return undefined;
    this.kind = kind;
    return payloadBytes;
  }
}

function headerProblem(header: Omit<FrameHeader, 'kind'> & { readonly kind: Kind | undefined }): string {
  const { kind, more, channel, payloadBytes } = header;
  if (kind === undefined) return 'unknown kind of frame';
  if (payloadBytes > FRAME_PAYLOAD_BYTES_MAX)
    return `frame of ${payloadBytes} bytes, at most ${FRAME_PAYLOAD_BYTES_MAX}`;
  if ((channel === 0) !== (speakerOf(kind) === 'link')) return `${kind} on channel ${channel}`;
  if (more && MESSAGE_BYTES_MAX[kind] === undefined) return `${kind} in several frames`;
  if (more && payloadBytes < PART_BYTES_MIN) return `part of ${payloadBytes} bytes, at least ${PART_BYTES_MIN}`;
  return '';
}

function kindOf(number: number): Kind | undefined {
  // The entries of our own table: its keys are the kinds.
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  return (Object.keys(KINDS) as Kind[]).find((kind) => KINDS[kind] === number);
}
