/**
 * One live link to one member, with everything that lives on it: the requests we asked for there, and those that are
 * served here for it. Each channel is tied to its session; when the link ends, all of them are told that they lost it.
 * Tokens wait in their sessions until the link is about to send, so that a turn's tokens of a request are one frame.
 */
import { isLast } from './messages.ts';
import type { Answer, Ask, Control } from './messages.ts';
import type { NodeId } from '../ids.ts';
import type { PlaneClock } from './alarm.ts';
import type { Opening, ServerLine } from './asking.ts';
import type { ByteStream } from './byte-stream.ts';
import { decodeOpen, encodeOpen } from './job-codec.ts';
import { type LinkCounters, type LiveLinkEvents, LiveLink } from './link.io.ts';
import type { AskerLine, Served, Serving } from './serving.ts';
import { failure } from '../errors.ts';
import { INFERENCE } from '../params.ts';

export interface PeerLinkPorts {
  readonly clock: PlaneClock;
  readonly serving: Serving;
  readonly counters: LinkCounters;
  heard(link: PeerLink): void;
  told(link: PeerLink, control: Exclude<Control, { readonly type: 'received' }>): void;
  closed(link: PeerLink): void;
}

export class PeerLink implements LiveLinkEvents {
  readonly node: NodeId;
  readonly openedBy: 'us' | 'them';
  /** Nothing more is opened here by us: the other side, or we, prefer another link. */
  retired = false;
  /** The other side opens nothing more here either: closed once nothing lives on it. */
  closeWhenIdle = false;
  readonly #ports: PeerLinkPorts;
  readonly #openings = new Map<number, Opening>();
  readonly #served = new Map<number, Served>();
  readonly #waiting = new Map<Served, number>();
  readonly #live: LiveLink;

  constructor(options: {
    readonly node: NodeId;
    readonly stream: ByteStream;
    readonly openedBy: 'us' | 'them';
    readonly ports: PeerLinkPorts;
  }) {
    this.node = options.node;
    this.openedBy = options.openedBy;
    this.#ports = options.ports;
    const { stream, ports } = options;
    this.#live = new LiveLink({ stream, events: this, counters: ports.counters, clock: ports.clock });
  }

  get closedNow(): boolean {
    return this.#live.closed;
  }

  /** Starts a try here. What cannot be sent is answered as refused, before this returns. */
  open(opening: Opening): ServerLine {
    const body = encodeOpen(opening.parts);
    if (body.length > INFERENCE.bodyBytesMax) {
      const text = `the request is ${body.length} bytes between nodes, at most ${INFERENCE.bodyBytesMax}`;
      return refused(opening, { code: 'body-too-large', message: text });
    }
    const channel = this.#live.link.open(body);
    if (channel === undefined) return refused(opening, { code: 'busy', message: 'the link to that node is full' });
    this.#openings.set(channel, opening);
    this.#live.flushSoon();
    return {
      credit: (tokens) => {
        this.#live.link.credit(channel, tokens);
        this.#live.flushSoon();
      },
      cancel: () => {
        this.#openings.delete(channel);
        this.#live.link.cancel(channel);
        this.#live.flushSoon();
      },
    };
  }

  tell(control: Control): void {
    this.#live.tell(control);
  }

  close(reason: string): void {
    this.#live.close(reason);
  }

  abort(reason: string): void {
    this.#live.abort(reason);
  }

  closeIfIdle(): void {
    if (this.closeWhenIdle && this.#live.link.idle) this.#live.close('another link took over');
  }

  asked(channel: number, ask: Ask): void {
    if (ask.type === 'open') {
      const served = this.#ports.serving.open(this.node, this.#lineOf(channel), decodeOpen(ask.body));
      if (served !== undefined && !served.over) this.#served.set(channel, served);
      return;
    }
    const served = this.#served.get(channel);
    if (served === undefined) return;
    if (ask.type === 'cancel') this.#ports.serving.fromAsker(served, { type: 'cancelled' });
    else this.#ports.serving.fromAsker(served, { type: 'credit-received', tokens: ask.tokens });
  }

  answered(channel: number, answer: Answer): void {
    const opening = this.#openings.get(channel);
    if (isLast(answer)) this.#openings.delete(channel);
    opening?.answered(answer);
    if (isLast(answer)) this.#idleSoon();
  }

  told(control: Exclude<Control, { readonly type: 'received' }>): void {
    this.#ports.told(this, control);
    this.#idleSoon();
  }

  heard(): void {
    this.#ports.heard(this);
  }

  flushing(): void {
    for (const [served, channel] of this.#waiting) {
      const tokens = served.takeTokens();
      if (tokens !== undefined) this.#live.link.answer(channel, tokens);
    }
    this.#waiting.clear();
  }

  closed(reason: string): void {
    const openings = [...this.#openings.values()];
    const served = [...this.#served.values()];
    this.#openings.clear();
    this.#served.clear();
    this.#waiting.clear();
    this.#ports.closed(this);
    for (const one of served) this.#ports.serving.fromAsker(one, { type: 'link-lost' });
    for (const opening of openings) opening.lost(`the link to the serving node ended: ${reason}`);
  }

  #lineOf(channel: number): AskerLine {
    return {
      answer: (answer) => {
        this.#live.link.answer(channel, answer);
        if (isLast(answer)) this.#served.delete(channel);
        // The first token, or a sign of life within a second, brings the acceptance along: it needs no write of its own.
        if (answer.type !== 'accepted') this.#live.flushSoon();
        if (isLast(answer)) this.#idleSoon();
      },
      tokensWaiting: (served) => {
        this.#waiting.set(served, channel);
        this.#live.flushSoon();
      },
    };
  }

  /** After what was just said has left. */
  #idleSoon(): void {
    if (this.closeWhenIdle) setImmediate(() => this.closeIfIdle());
  }
}

function refused(
  opening: Opening,
  reason: { readonly code: 'busy' | 'body-too-large'; readonly message: string },
): ServerLine {
  opening.answered({ type: 'refused', failure: failure(reason.code, reason.message), load: undefined });
  return { credit: () => undefined, cancel: () => undefined };
}
