/**
 * One link: all requests between two nodes on one ordered stream, as a state machine without the stream. Bytes go in and
 * messages come out, messages go in and bytes come out. It knows which channels live: the asking side numbers its own
 * upwards and never uses a number twice, a channel ends with the server's last answer, and a cancelled one is confirmed
 * by the server like any other end. A request may go on over another link: the asker leaves its channel here (`part`) and
 * the server confirms that as it would a cancel. So every frame is either for a live channel, a crossing (ignored), or
 * a violation, after which the link is of no more use. Whoever owns it closes the stream then and treats all of its
 * requests as lost. Full: `open` answers undefined; see `send-queue.ts` for the rest.
 */
import { invariant } from '../assert.ts';
import { concat } from '../bytes.ts';
import { INFERENCE } from '../params.ts';
import { FrameDecoder, type Kind, messageBytesMax, speakerOf } from './frames.ts';
import { decodeMessage, encodeMessage } from './message-bytes.ts';
import { type Answer, type Ask, type Control, type Reattach, isAnswer, isAsk, isLast } from './messages.ts';
import { type Outgoing, SendQueue } from './send-queue.ts';

export const LINK = {
  /** Unfinished long messages held for one peer. More are refused as busy. Source: guess: four of the largest requests. */
  assemblyBytesMax: 4 * INFERENCE.bodyBytesMax,
  /** Taken-in bytes after which they are confirmed. Source: guess: a quarter of the window. */
  confirmBytes: 32_768,
  /** Highest number of a channel: 32 bits. A link that used them all opens no more. Source: the frame header. */
  channelMax: 0xffff_ffff,
} as const;

/** What came in. Called synchronously from `receive`. */
export interface LinkListener {
  asked(channel: number, ask: Ask): void;
  answered(channel: number, answer: Answer): void;
  told(control: Exclude<Control, { readonly type: 'received' }>): void;
}

export interface Broken {
  /** garbage: no frame of ours. violation: a frame at the wrong time or with impossible contents. */
  readonly type: 'garbage' | 'violation';
  readonly reason: string;
}

/** A long message of which more is to come. */
interface Assembly {
  readonly kind: Kind;
  readonly parts: Uint8Array[];
  bytes: number;
  /** Not kept: cancelled, or no room for it. */
  skipped: boolean;
}

export class Link {
  readonly #listener: LinkListener;
  readonly #decoder = new FrameDecoder();
  readonly #queue = new SendQueue();
  /** Channels we opened: true = cancelled, waiting for the confirmation. */
  readonly #ours = new Map<number, boolean>();
  readonly #theirs = new Set<number>();
  readonly #assemblies = new Map<number, Assembly>();
  #lastOurs = 0;
  #lastTheirs = 0;
  #assemblyBytes = 0;
  #unconfirmed = 0;
  #stirred = false;
  #broken: Broken | undefined;

  constructor(listener: LinkListener) {
    this.#listener = listener;
  }

  /** Requests that live on this link, cancelled ones until confirmed. */
  get live(): number {
    return this.#ours.size + this.#theirs.size;
  }

  /** True when nothing lives here and nothing waits to leave. */
  get idle(): boolean {
    return this.live === 0 && this.#queue.empty;
  }

  /** True when `take` would give bytes. */
  get ready(): boolean {
    return this.#broken === undefined && this.#queue.ready;
  }

  /**
   * True when what was received last is itself a reason to send now: a confirmation is due, or the window opened. What
   * somebody else put in may have time, as an acceptance that goes with its first token.
   */
  get stirred(): boolean {
    return this.#stirred && this.ready;
  }

  /** The number of the new channel, or undefined when the link is full. */
  open(body: Uint8Array): number | undefined {
    if (this.#ours.size >= INFERENCE.requestsPerLinkMax || this.#lastOurs >= LINK.channelMax) return undefined;
    if (!this.#queue.roomFor(body.length)) return undefined;
    this.#lastOurs += 1;
    const channel = this.#lastOurs;
    this.#ours.set(channel, false);
    this.#queue.push({ side: 'ours', channel }, { kind: 'open', payload: body });
    return channel;
  }

  /** The number of the new channel, on which a request goes on that lived on another link. */
  reattach(message: Reattach): number | undefined {
    if (this.#ours.size >= INFERENCE.requestsPerLinkMax || this.#lastOurs >= LINK.channelMax) return undefined;
    this.#lastOurs += 1;
    const channel = this.#lastOurs;
    // A request that is not wanted any more is as good as cancelled.
    this.#ours.set(channel, !message.wanted);
    this.#queue.push({ side: 'ours', channel }, { kind: 'reattach', payload: encodeMessage('reattach', message) });
    return channel;
  }

  /** Nothing more is heard of `channel`, because its request goes on over another link: the server ends it when it learns. */
  part(channel: number): void {
    if (this.#ours.get(channel) !== false) return;
    const unsent = this.#queue.drop({ side: 'ours', channel });
    // What never left needs no end.
    if (unsent === 'open' || unsent === 'reattach') this.#ours.delete(channel);
    else this.#ours.set(channel, true);
  }

  credit(channel: number, tokens: number): void {
    if (this.#ours.get(channel) !== false) return;
    const payload = encodeMessage('credit', { type: 'credit', tokens });
    this.#queue.push({ side: 'ours', channel }, { kind: 'credit', payload });
  }

  /** Nothing more is heard of `channel`. */
  cancel(channel: number): void {
    if (this.#ours.get(channel) !== false) return;
    const key = { side: 'ours', channel } as const;
    const cancel: Outgoing = { kind: 'cancel', payload: encodeMessage('cancel', { type: 'cancel' }) };
    // One that is taken up again lives at the server, which must hear of both.
    if (this.#queue.next(key) === 'reattach') {
      this.#ours.set(channel, true);
      this.#queue.push(key, cancel);
      return;
    }
    // Opened and cancelled within one turn: the other side need never know.
    if (this.#queue.drop(key) === 'open') {
      this.#ours.delete(channel);
      return;
    }
    this.#ours.set(channel, true);
    this.#queue.replace(key, cancel);
  }

  /** Ignored when the channel has ended: the answer and a cancel crossed. */
  answer(channel: number, answer: Answer): void {
    if (!this.#theirs.has(channel)) return;
    if (isLast(answer)) this.#theirs.delete(channel);
    this.#queue.push({ side: 'theirs', channel }, { kind: answer.type, payload: encodeMessage(answer.type, answer) });
  }

  tell(control: Control): void {
    this.#queue.control({ kind: control.type, payload: encodeMessage(control.type, control) });
  }

  /** The next bytes to send, at most `maxBytes`. */
  take(maxBytes: number): Uint8Array | undefined {
    return this.#broken === undefined ? this.#queue.take(maxBytes) : undefined;
  }

  /** Takes in bytes, cut anywhere. Says so when the link is of no more use. */
  receive(bytes: Uint8Array): Broken | undefined {
    if (this.#broken !== undefined) return this.#broken;
    this.#stirred = false;
    this.#decoder.push(bytes);
    let decoded = this.#decoder.next();
    while (decoded === 'frame') {
      const problem = this.#frame() ?? (this.#queue.overfull ? 'it asks for more than it reads' : undefined);
      if (problem !== undefined) {
        this.#broken = { type: 'violation', reason: problem };
        return this.#broken;
      }
      decoded = this.#decoder.next();
    }
    if (decoded === 'rejected') this.#broken = { type: 'garbage', reason: this.#decoder.problem };
    return this.#broken;
  }

  /** One frame; what is wrong with it, if anything. */
  #frame(): string | undefined {
    const { kind, channel, more, payload } = this.#decoder;
    const speaker = speakerOf(kind);
    const key = channel * 2 + (speaker === 'asker' ? 1 : 0);
    const assembly = this.#assemblies.get(key);
    if (assembly === undefined && !more) return this.#message(kind, channel, payload);
    if (assembly !== undefined && assembly.kind !== kind) return this.#interrupt(key, kind, channel);
    return this.#part(key, assembly ?? this.#newAssembly(key, kind));
  }

  #newAssembly(key: number, kind: Kind): Assembly {
    const assembly = { kind, parts: [], bytes: 0, skipped: false };
    this.#assemblies.set(key, assembly);
    return assembly;
  }

  #part(key: number, assembly: Assembly): string | undefined {
    const { kind, channel, more, payload } = this.#decoder;
    const problem = this.#partProblem(assembly, channel);
    if (problem !== undefined) return problem;
    assembly.bytes += payload.length;
    if (assembly.bytes > messageBytesMax(kind)) return `${kind} of more than ${messageBytesMax(kind)} bytes`;
    this.#confirm(payload.length, !more);
    if (!assembly.skipped) {
      assembly.parts.push(payload.slice());
      this.#assemblyBytes += payload.length;
      if (this.#assemblyBytes > LINK.assemblyBytesMax && kind === 'open') this.#skip(assembly, channel);
    }
    return more ? undefined : this.#assembled(key, assembly);
  }

  /** What is wrong with a part of a long message on `channel`. */
  #partProblem(assembly: Assembly, channel: number): string | undefined {
    if (assembly.kind !== 'open') {
      return this.#ours.has(channel) ? undefined : `${assembly.kind} on a channel that does not live`;
    }
    return assembly.bytes === 0 ? this.#opening(channel) : undefined;
  }

  #assembled(key: number, assembly: Assembly): string | undefined {
    const { kind, channel } = this.#decoder;
    this.#assemblies.delete(key);
    if (assembly.skipped) return undefined;
    this.#assemblyBytes -= assembly.bytes;
    const whole = concat(assembly.parts);
    return kind === 'open' ? this.#opened(channel, whole) : this.#message(kind, channel, whole);
  }

  /** No memory for this request: it is refused, and the rest of it read and forgotten. */
  #skip(assembly: Assembly, channel: number): void {
    this.#forget(assembly);
    this.#stirred = true;
    const failure = { code: 'busy', message: 'this node holds too many unfinished large requests' } as const;
    this.answer(channel, { type: 'refused', failure, load: undefined });
  }

  #forget(assembly: Assembly): void {
    if (assembly.skipped) return;
    this.#assemblyBytes -= assembly.bytes;
    assembly.parts.length = 0;
    assembly.skipped = true;
  }

  /** Another kind amid a long message: only a cancel may do that, and it ends both. */
  #interrupt(key: number, kind: Kind, channel: number): string | undefined {
    const assembly = this.#assemblies.get(key);
    invariant(assembly !== undefined, 'only an unfinished message is interrupted');
    if (kind !== 'cancel' || assembly.kind !== 'open') return `${kind} amid another message`;
    this.#forget(assembly);
    this.#assemblies.delete(key);
    this.#stirred = true;
    this.answer(channel, { type: 'cancelled' });
    return undefined;
  }

  #message(kind: Kind, channel: number, payload: Uint8Array): string | undefined {
    if (kind === 'open') return this.#opening(channel) ?? this.#opened(channel, payload.slice());
    const message = decodeMessage(kind, payload);
    if (message === undefined) return `malformed ${kind}`;
    if (isAnswer(message)) return this.#answered(channel, message);
    if (isAsk(message)) return this.#asked(channel, message);
    if (message.type === 'received') {
      this.#stirred = true;
      return this.#queue.confirm(message.bytes) ? undefined : 'confirmed bytes that were not sent';
    }
    this.#listener.told(message);
    return undefined;
  }

  /** Judges the number of a new channel. */
  #opening(channel: number): string | undefined {
    if (channel <= this.#lastTheirs) return 'a channel was opened twice';
    if (this.#theirs.size >= INFERENCE.requestsPerLinkMax) return 'more requests than one link carries';
    this.#lastTheirs = channel;
    this.#theirs.add(channel);
    return undefined;
  }

  #opened(channel: number, body: Uint8Array): undefined {
    this.#listener.asked(channel, { type: 'open', body });
  }

  #asked(channel: number, ask: Ask): string | undefined {
    const problem = ask.type === 'reattach' ? this.#opening(channel) : undefined;
    if (problem !== undefined) return problem;
    if (this.#theirs.has(channel)) {
      this.#listener.asked(channel, ask);
      return undefined;
    }
    return channel > this.#lastTheirs ? `${ask.type} on a channel that was never opened` : undefined;
  }

  #answered(channel: number, answer: Answer): string | undefined {
    const cancelled = this.#ours.get(channel);
    if (cancelled === undefined) return `${answer.type} on a channel that does not live`;
    if (isLast(answer)) this.#ours.delete(channel);
    if (cancelled) return undefined;
    if (answer.type === 'cancelled') return 'cancelled without being asked';
    this.#listener.answered(channel, answer);
    return undefined;
  }

  #confirm(bytes: number, last: boolean): void {
    this.#unconfirmed += bytes;
    if (!last && this.#unconfirmed < LINK.confirmBytes) return;
    this.#stirred = true;
    this.tell({ type: 'received', bytes: this.#unconfirmed });
    this.#unconfirmed = 0;
  }
}
