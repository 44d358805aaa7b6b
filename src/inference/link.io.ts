/**
 * A link on a real stream: when bytes leave, and what happens when the stream ends. All frames of one event-loop turn
 * leave in one write at its end (`setImmediate`): measured, that costs a lone request nothing and saves a busy node a third.
 * On a busy link a turn is at least a millisecond, so that its two ends wake up a thousand times a second at most. While
 * the stream asks for a pause nothing is taken from the link, so that tokens merge in their sessions instead of piling up here.
 * Any end is told once: `closed` with a reason, after which the owner looks for another link for its requests.
 */
import type { PlaneClock } from './alarm.ts';
import { Link, type LinkListener } from './link.ts';
import type { ByteStream } from './byte-stream.ts';
import type { Control } from './messages.ts';

/** Bytes of one write. Source: measured: large writes break @libp2p/pnet; four frames are enough to fill a turn. */
const WRITE_BYTES_MAX = 65_536;

/** A link that sends more is busy: about 10,000 tokens a second. Source: measured: at 4,000 a pause only costs time. */
const BUSY_BYTES_PER_MS = 240;
/** Over which the rate is taken. Source: guess: shorter than a burst that matters. */
const RATE_WINDOW_MS = 100;
/** Between two writes of a busy link. Source: measured at 1,000 streams: tokens arrive five times sooner than without. */
const BUSY_PAUSE_MS = 1;

/** Time for what was sent to leave before a closed stream is aborted. Source: guess: the slowest path with a full window. */
const CLOSE_MS_MAX = 5_000;

export interface LinkCounters {
  linksOpened: number;
  linksLost: number;
  garbage: number;
  violations: number;
  writes: number;
  bytesSent: number;
  bytesReceived: number;
}

export interface LiveLinkEvents extends LinkListener {
  /** Any bytes came. */
  heard(): void;
  /** The link is about to send: whoever has something to add does it now. */
  flushing(): void;
  /** Over, once. `fault` is false when either side closed it on purpose, with nothing under way. */
  closed(reason: string, fault: boolean): void;
}

export class LiveLink {
  readonly link: Link;
  readonly #stream: ByteStream;
  readonly #events: LiveLinkEvents;
  readonly #counters: LinkCounters;
  readonly #clock: PlaneClock;
  #rateSinceMs: number;
  #rateBytes = 0;
  #busy = false;
  #writable = true;
  #closed = false;
  #broken = false;
  #cancelFlush: (() => void) | undefined;

  constructor(options: {
    readonly stream: ByteStream;
    readonly events: LiveLinkEvents;
    readonly counters: LinkCounters;
    readonly clock: PlaneClock;
  }) {
    this.#clock = options.clock;
    this.#rateSinceMs = options.clock.nowMs();
    this.#stream = options.stream;
    this.#events = options.events;
    this.#counters = options.counters;
    this.#counters.linksOpened += 1;
    this.link = new Link(options.events);
    options.stream.listen({
      bytes: (chunk) => this.#received(chunk),
      drained: () => {
        this.#writable = true;
        this.flushSoon();
      },
      closed: (reason) => this.#end(reason, this.link.live > 0),
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** It was ended because the other side broke the protocol. */
  get broken(): boolean {
    return this.#broken;
  }

  /** False while the stream wants a pause: leave tokens where they are. */
  get writable(): boolean {
    return this.#writable && !this.#closed;
  }

  tell(control: Control): void {
    if (this.#closed) return;
    this.link.tell(control);
    this.flushSoon();
  }

  /** Sends with the rest of this turn. */
  flushSoon(): void {
    if (this.#closed || this.#cancelFlush !== undefined) return;
    const flush = (): void => {
      this.#cancelFlush = undefined;
      this.#flush();
    };
    if (this.#busy) this.#cancelFlush = this.#clock.after(BUSY_PAUSE_MS, flush);
    else {
      const immediate = setImmediate(flush);
      this.#cancelFlush = () => clearImmediate(immediate);
    }
  }

  /** Sends what waits, then closes. */
  close(reason: string): void {
    if (this.#closed) return;
    this.#flush();
    this.#end(reason, this.link.live > 0);
    this.#stream.close();
  }

  /** Ends it at once. */
  abort(reason: string): void {
    if (this.#closed) return;
    this.#end(reason, true);
    this.#stream.abort(reason);
  }

  #received(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.#counters.bytesReceived += chunk.length;
    this.#events.heard();
    const broken = this.link.receive(chunk);
    if (broken !== undefined && !this.closed) {
      if (broken.type === 'garbage') this.#counters.garbage += 1;
      else this.#counters.violations += 1;
      this.#broken = true;
      this.abort(`${broken.type}: ${broken.reason}`);
      return;
    }
    if (this.link.stirred) this.flushSoon();
  }

  #flush(): void {
    if (!this.writable) return;
    this.#events.flushing();
    const bytes = this.link.take(WRITE_BYTES_MAX);
    if (bytes === undefined) return;
    this.#counters.writes += 1;
    this.#counters.bytesSent += bytes.length;
    this.#measure(bytes.length);
    try {
      this.#writable = this.#stream.send(bytes);
    } catch (error) {
      this.abort(`sending failed: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    if (this.#writable && this.link.ready) this.flushSoon();
  }

  #measure(bytes: number): void {
    this.#rateBytes += bytes;
    const elapsedMs = this.#clock.nowMs() - this.#rateSinceMs;
    if (elapsedMs < RATE_WINDOW_MS) return;
    this.#busy = this.#rateBytes > BUSY_BYTES_PER_MS * elapsedMs;
    this.#rateSinceMs += elapsedMs;
    this.#rateBytes = 0;
  }

  #end(reason: string, fault: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelFlush?.();
    if (fault) this.#counters.linksLost += 1;
    this.#events.closed(reason, fault);
  }
}

/** The part of a libp2p stream that a link needs. */
export interface MessageStreamLike {
  readonly status: string;
  send(bytes: Uint8Array): boolean;
  close(options: { readonly signal: AbortSignal }): Promise<void>;
  abort(error: Error): void;
  addEventListener(type: 'message', listener: (event: { readonly data: { subarray(): Uint8Array } }) => void): void;
  addEventListener(type: 'close', listener: (event: { readonly error?: Error }) => void): void;
  addEventListener(type: 'drain' | 'remoteCloseWrite', listener: () => void): void;
}

/** A libp2p 3 stream as a byte stream. Its messages start to flow when somebody listens. */
export function overMessageStream(stream: MessageStreamLike): ByteStream {
  const close = (): void => {
    stream.close({ signal: AbortSignal.timeout(CLOSE_MS_MAX) }).catch((error: unknown) => {
      stream.abort(error instanceof Error ? error : new Error(String(error)));
    });
  };
  return {
    send: (bytes) => stream.send(bytes),
    listen: (listener) => {
      let ended = false;
      const end = (reason: string): void => {
        if (!ended) listener.closed(reason);
        ended = true;
      };
      stream.addEventListener('drain', () => listener.drained());
      stream.addEventListener('close', ({ error }) => end(error?.message ?? 'the stream was closed'));
      // A link is of no use in one direction only.
      stream.addEventListener('remoteCloseWrite', () => {
        end('the other side closed the stream');
        close();
      });
      stream.addEventListener('message', ({ data }) => listener.bytes(data.subarray()));
      // It may have ended before anybody listened; then no event comes any more.
      if (stream.status !== 'open') queueMicrotask(() => end(`the stream was ${stream.status}`));
    },
    close,
    abort: (reason) => stream.abort(new Error(reason)),
  };
}
