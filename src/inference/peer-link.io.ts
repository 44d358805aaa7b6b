/**
 * One live link to one member, with everything that lives on it: the requests we asked for there, and those that are
 * served here for it. Each channel is tied to its session; when the link ends, what is served here waits for its asker to
 * come back, and the lines of what we asked for go to the owner, who puts them on another link. A link that broke the
 * protocol takes all of them with it.
 * Tokens wait in their sessions until the link is about to send, so that a turn's tokens of a request are one frame.
 */
import { isLast } from './messages.ts';
import type { Answer, Ask, Control, Reattach } from './messages.ts';
import type { NodeId } from '../ids.ts';
import type { PlaneClock } from './alarm.ts';
import type { AskedLine, Carrier } from './asked-line.ts';
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
  /** What we asked for here was answered, and may go to the link that took over. */
  movable(link: PeerLink): void;
  closed(link: PeerLink, end: LinkEnd): void;
}

export interface LinkEnd {
  readonly reason: string;
  /** The requests that we asked for here, and that may be taken up again elsewhere unless the link was `broken`. */
  readonly lines: readonly AskedLine[];
  readonly broken: boolean;
}

export class PeerLink implements LiveLinkEvents, Carrier {
  readonly node: NodeId;
  readonly openedBy: 'us' | 'them';
  /** Nothing more is opened here by us: the other side, or we, prefer another link. */
  retired = false;
  /** The other side opens nothing more here either: closed once nothing lives on it. */
  closeWhenIdle = false;
  /** Stops the end that a retired link comes to. */
  cancelEnd: (() => void) | undefined;
  readonly #ports: PeerLinkPorts;
  readonly #lines = new Map<number, AskedLine>();
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

  /** Takes a line, opened here or taken up again. What cannot be sent is answered before this returns. */
  carry(line: AskedLine): void {
    if (line.phase === 'over') return;
    const channel = line.phase === 'fresh' ? this.#open(line) : this.#live.link.reattach(line.reattach(true));
    if (channel === undefined) {
      if (line.phase === 'sent') line.lost('the link to the serving node is full');
      else if (line.phase === 'fresh') refuse(line, { code: 'busy', message: 'the link to that node is full' });
      return;
    }
    line.carriedBy(this, channel);
    this.#lines.set(channel, line);
    this.#live.flushSoon();
  }

  /** Ends at the other side what we gave up while there was no link. */
  abandon(message: Reattach): void {
    this.#live.link.reattach(message);
    this.#live.flushSoon();
  }

  /** Gives up the lines that may go to another link: those that the other side surely knows. */
  leave(nowMs: number): AskedLine[] {
    const left: AskedLine[] = [];
    for (const [channel, line] of this.#lines) {
      if (!line.heard) continue;
      this.#lines.delete(channel);
      this.#live.link.part(channel);
      line.parted(nowMs);
      left.push(line);
    }
    return left;
  }

  credit(channel: number, tokens: number): void {
    this.#live.link.credit(channel, tokens);
    this.#live.flushSoon();
  }

  cancel(channel: number): void {
    this.#lines.delete(channel);
    this.#live.link.cancel(channel);
    this.#live.flushSoon();
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
    const { serving } = this.#ports;
    if (ask.type === 'open' || ask.type === 'reattach') {
      const line = this.#lineOf(channel);
      const served =
        ask.type === 'open'
          ? serving.open(this.node, line, decodeOpen(ask.body))
          : serving.reattach(this.node, line, ask);
      if (served !== undefined && !served.over) this.#served.set(channel, served);
      return;
    }
    const served = this.#served.get(channel);
    if (served === undefined) return;
    if (ask.type === 'cancel') serving.fromAsker(served, { type: 'cancelled' });
    else serving.fromAsker(served, { type: 'credit-received', tokens: ask.tokens });
  }

  answered(channel: number, answer: Answer): void {
    const line = this.#lines.get(channel);
    if (isLast(answer)) this.#lines.delete(channel);
    line?.answered(answer);
    if (isLast(answer)) this.#idleSoon();
    else if (this.retired) this.#ports.movable(this);
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
    const lines = [...this.#lines.values()];
    const served = [...this.#served.values()];
    const { broken } = this.#live;
    this.#lines.clear();
    this.#served.clear();
    this.#waiting.clear();
    this.cancelEnd?.();
    // Whoever breaks the protocol is not waited for.
    for (const one of served) this.#ports.serving.fromAsker(one, { type: broken ? 'cancelled' : 'link-lost' });
    this.#ports.closed(this, { reason, lines, broken });
  }

  #open(line: AskedLine): number | undefined {
    const body = encodeOpen(line.parts);
    if (body.length <= INFERENCE.bodyBytesMax) return this.#live.link.open(body);
    const message = `the request is ${body.length} bytes between nodes, at most ${INFERENCE.bodyBytesMax}`;
    refuse(line, { code: 'body-too-large', message });
    return undefined;
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
      moved: (served) => {
        this.#served.delete(channel);
        this.#waiting.delete(served);
        // The last word here: nothing more of it comes on this link.
        this.#live.link.answer(channel, { type: 'cancelled' });
        this.#live.flushSoon();
        this.#idleSoon();
      },
    };
  }

  /** After what was just said has left. */
  #idleSoon(): void {
    if (this.closeWhenIdle) setImmediate(() => this.closeIfIdle());
  }
}

function refuse(line: AskedLine, reason: { readonly code: 'busy' | 'body-too-large'; readonly message: string }): void {
  line.answered({ type: 'refused', failure: failure(reason.code, reason.message), load: undefined });
}
