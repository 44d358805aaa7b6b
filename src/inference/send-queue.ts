/**
 * What leaves a link next. Messages about the link go first; then the channels take turns, one frame of at most 16 kB
 * each (round robin), so that a prompt of a megabyte delays another request's token by one frame a turn. Long messages
 * (more than one frame: large prompts) also share a window of unconfirmed bytes, half of the transport's own, so that they
 * never use up the transport's flow control and make tokens wait for a round trip. Deficit round robin (Shreedhar and
 * Varghese, 1995) would be fairer by bytes; with frames bounded at 16 kB one frame a turn is within that bound.
 * Full: `roomFor` says no to new long messages, and signs of life of the link are dropped (others follow); answers are
 * never dropped, but who has too many of them waiting is given up (`overfull`).
 */
import { invariant } from '../assert.ts';
import { FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX, type Kind, PART_BYTES_MIN, writeFrameHeader } from './frames.ts';

export const SEND_QUEUE = {
  /** Unconfirmed bytes of long messages. Longer: tokens wait behind prompts. Shorter: a prompt takes more round trips.
   *  Source: measured for the transport (yamux starts with 256 kB); half of it is ours, a guess. */
  windowBytes: 131_072,
  /** Bytes waiting on one link. Source: guess: four of the largest requests. */
  queuedBytesMax: 71_303_168,
  /** Answers that wait beyond those: for a peer that asks and does not read there is an end. Source: guess: the longest that may
   *  be said again of 64 requests. */
  surplusBytesMax: 16_777_216,
  /** Messages about the link waiting. Source: guess: minutes of heartbeats. */
  controlsMax: 256,
} as const;

/** Which queue: the channels we opened and those the other side opened have separate numbers. */
export interface ChannelKey {
  readonly side: 'ours' | 'theirs';
  readonly channel: number;
}

export interface Outgoing {
  readonly kind: Kind;
  readonly payload: Uint8Array;
}

interface ChannelQueue {
  readonly key: number;
  readonly channel: number;
  readonly waiting: Outgoing[];
  /** Bytes of the first waiting message that have left. */
  sent: number;
}

export class SendQueue {
  readonly #controls: Outgoing[] = [];
  /** Control messages that belong to a channel (cancel) and must overtake its queue. */
  readonly #urgent: { readonly channel: number; readonly message: Outgoing }[] = [];
  readonly #queues = new Map<number, ChannelQueue>();
  /** Whose turn it is; `#head` is the first, so that taking is cheap. */
  #ring: ChannelQueue[] = [];
  #head = 0;
  #unconfirmed = 0;
  #queuedBytes = 0;

  get empty(): boolean {
    return this.#controls.length === 0 && this.#urgent.length === 0 && this.#queues.size === 0;
  }

  /** True when `take` would give something now: not empty, and not all waiting for the window. */
  get ready(): boolean {
    if (this.#controls.length > 0 || this.#urgent.length > 0) return true;
    for (let index = this.#head; index < this.#ring.length; index += 1) {
      const queue = this.#ring[index];
      if (queue !== undefined && this.#windowFor(queue) > 0) return true;
    }
    return false;
  }

  roomFor(bytes: number): boolean {
    return this.#queuedBytes + bytes <= SEND_QUEUE.queuedBytesMax;
  }

  /** More answers wait than any peer has that reads them: whatever it asks for is queued once more for the asking. */
  get overfull(): boolean {
    return !this.roomFor(-SEND_QUEUE.surplusBytesMax);
  }

  /** False when it was dropped, because signs of life already wait. */
  control(message: Outgoing): boolean {
    const droppable = message.kind === 'heartbeat' || message.kind === 'ping' || message.kind === 'pong';
    if (droppable && this.#controls.length >= SEND_QUEUE.controlsMax) return false;
    this.#controls.push(message);
    return true;
  }

  push(key: ChannelKey, message: Outgoing): void {
    this.#queuedBytes += message.payload.length;
    const number = keyNumber(key);
    const queue = this.#queues.get(number);
    if (queue !== undefined) {
      queue.waiting.push(message);
      return;
    }
    const fresh: ChannelQueue = { key: number, channel: key.channel, waiting: [message], sent: 0 };
    this.#queues.set(number, fresh);
    this.#ring.push(fresh);
  }

  /** Sends `message` before all that waits for its channel; what waits is dropped. */
  replace(key: ChannelKey, message: Outgoing): void {
    this.drop(key);
    this.#urgent.push({ channel: key.channel, message });
  }

  /** Drops what waits for a channel, and says what was next if nothing of it had left. */
  drop(key: ChannelKey): Kind | undefined {
    const queue = this.#queues.get(keyNumber(key));
    if (queue === undefined) return undefined;
    for (const { payload } of queue.waiting) this.#queuedBytes -= payload.length;
    this.#queuedBytes += queue.sent;
    this.#queues.delete(queue.key);
    this.#ring = this.#ring.slice(this.#head).filter((other) => other !== queue);
    this.#head = 0;
    return queue.sent === 0 ? queue.waiting[0]?.kind : undefined;
  }

  /** What is next on a channel, if nothing of it has left. */
  next(key: ChannelKey): Kind | undefined {
    const queue = this.#queues.get(keyNumber(key));
    return queue?.sent === 0 ? queue.waiting[0]?.kind : undefined;
  }

  /** The other side took in `bytes` of long messages. False: more than were under way. */
  confirm(bytes: number): boolean {
    if (bytes > this.#unconfirmed) return false;
    this.#unconfirmed -= bytes;
    return true;
  }

  /** Up to `maxBytes` (at least one frame) as one buffer; undefined when nothing may leave. */
  take(maxBytes: number): Uint8Array | undefined {
    invariant(maxBytes >= FRAME_PAYLOAD_BYTES_MAX + FRAME_HEADER_BYTES, 'at least one frame fits');
    const frames: Frame[] = [];
    let bytes = this.#takeControls(frames, maxBytes);
    let skipped = 0;
    while (this.#head < this.#ring.length && skipped < this.#ring.length - this.#head) {
      const queue = this.#ring[this.#head];
      invariant(queue !== undefined, 'the head is inside the ring');
      const room = Math.min(maxBytes - bytes - FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX);
      const frame = this.#nextFrame(queue, room);
      if (frame === 'no-room') break;
      this.#turn(queue);
      if (frame === 'no-window') {
        skipped += 1;
        continue;
      }
      skipped = 0;
      frames.push(frame);
      bytes += FRAME_HEADER_BYTES + frame.to - frame.from;
    }
    return frames.length === 0 ? undefined : joinFrames(frames, bytes);
  }

  #takeControls(frames: Frame[], maxBytes: number): number {
    let bytes = 0;
    while (bytes + FRAME_PAYLOAD_BYTES_MAX < maxBytes) {
      const urgent = this.#controls.length === 0 ? this.#urgent.shift() : undefined;
      const message = this.#controls.shift() ?? urgent?.message;
      if (message === undefined) break;
      frames.push({ message, channel: urgent?.channel ?? 0, from: 0, to: message.payload.length });
      bytes += FRAME_HEADER_BYTES + message.payload.length;
    }
    return bytes;
  }

  /** The next piece of a channel, if there is room for it here and in the window. */
  #nextFrame(queue: ChannelQueue, room: number): Frame | 'no-room' | 'no-window' {
    const message = queue.waiting[0];
    invariant(message !== undefined, 'a queue in the ring is not empty');
    const left = message.payload.length - queue.sent;
    const window = this.#windowFor(queue);
    if (window === 0) return 'no-window';
    // Only long messages may be cut: the rest leave whole or next turn.
    if (room < (isLong(message) ? Math.min(left, PART_BYTES_MIN) : left)) return 'no-room';
    const bytes = Math.min(left, room, window);
    const from = queue.sent;
    queue.sent += bytes;
    this.#queuedBytes -= bytes;
    if (isLong(message)) this.#unconfirmed += bytes;
    return { message, channel: queue.channel, from, to: from + bytes };
  }

  /**
   * How many bytes the window lets through. The first piece of a message always passes: so that channels open in the
   * order of their numbers, however long the prompts before them are.
   */
  #windowFor(queue: ChannelQueue): number {
    const message = queue.waiting[0];
    if (message === undefined || !isLong(message) || queue.sent === 0) return FRAME_PAYLOAD_BYTES_MAX;
    const room = SEND_QUEUE.windowBytes - this.#unconfirmed;
    return room < Math.min(message.payload.length - queue.sent, PART_BYTES_MIN) ? 0 : room;
  }

  /** Moves the head of the ring to its end, or out of the ring when it has nothing more to say. */
  #turn(queue: ChannelQueue): void {
    if (queue.sent === queue.waiting[0]?.payload.length) {
      queue.waiting.shift();
      queue.sent = 0;
    }
    this.#head += 1;
    if (queue.waiting.length > 0) this.#ring.push(queue);
    else this.#queues.delete(queue.key);
    if (this.#head > 1_024 && this.#head * 2 > this.#ring.length) {
      this.#ring = this.#ring.slice(this.#head);
      this.#head = 0;
    }
  }
}

interface Frame {
  readonly message: Outgoing;
  readonly channel: number;
  readonly from: number;
  readonly to: number;
}

/** True for messages that do not fit one frame. */
function isLong(message: Outgoing): boolean {
  return message.payload.length > FRAME_PAYLOAD_BYTES_MAX;
}

function joinFrames(frames: readonly Frame[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const { message, channel, from, to } of frames) {
    const more = to < message.payload.length;
    writeFrameHeader(whole, offset, { kind: message.kind, more, channel, payloadBytes: to - from });
    whole.set(
      to - from === message.payload.length ? message.payload : message.payload.subarray(from, to),
      offset + FRAME_HEADER_BYTES,
    );
    offset += FRAME_HEADER_BYTES + to - from;
  }
  return whole;
}

function keyNumber(key: ChannelKey): number {
  return key.channel * 2 + (key.side === 'ours' ? 1 : 0);
}
