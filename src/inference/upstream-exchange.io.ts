/**
 * One HTTP exchange for one run: sends the request, feeds the response to the reply and stops reading while the run has
 * no use for more. It never follows a redirect, bounds what it reads of an error, and destroys the connection as soon as
 * the run is over but the response is not. Time is checked by the engine's one timer through `tick`, because undici's
 * own timeouts have half a second of slack and do not know a stall from a run without credit.
 * A request that a kept-alive connection swallowed (closed before any byte of a response) is sent once more.
 */
import type { Dispatcher } from 'undici';
import { failure } from '../errors.ts';
import { type ErrorContext, failureOfConnection, failureOfReply } from './upstream-errors.ts';
import type { ExchangeReply } from './upstream-reply.ts';

interface ExchangeTimeouts {
  /** Until the response begins and until its first token: prefill, or loading a model. */
  readonly firstTokenMs: number;
  /** Silence within a response, while more is wanted. */
  readonly idleMs: number;
}

export interface ExchangeOptions {
  readonly dispatcher: Dispatcher;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly reply: ExchangeReply;
  readonly context: ErrorContext;
  readonly timeouts: ExchangeTimeouts;
  /** Called once, when nothing of the exchange is left; `unreachable` when no connection could be made. */
  readonly onClosed: (exchange: Exchange, unreachable: boolean) => void;
}

/** Of an error's body. Source: guess: messages are short, pages of HTML are cut. */
const ERROR_BYTES_MAX = 65_536;
/** A response may go on this long after all of it that matters. Source: guess: the closing chunk is on its way. */
const DRAIN_MS = 1_000;

type Phase =
  | { readonly type: 'sending' }
  | { readonly type: 'reading' }
  | { readonly type: 'error'; readonly status: number; readonly headers: Headers; body: string };
type Headers = Readonly<Record<string, string | string[] | undefined>>;

export class Exchange {
  readonly #options: ExchangeOptions;
  #controller: Dispatcher.DispatchController | undefined;
  #phase: Phase = { type: 'sending' };
  #lastSignMs: number;
  #tries = 0;
  /** After a whole answer the connection is kept for the next request, so the response may end by itself. */
  #drainable = false;
  #closed = false;

  constructor(options: ExchangeOptions, nowMs: number) {
    this.#options = options;
    this.#lastSignMs = nowMs;
    this.#send();
  }

  /** Nothing of it is left. */
  get closed(): boolean {
    return this.#closed;
  }

  /** After every change of the reply: read on, pause, or give up the connection. */
  update(): void {
    const { reply } = this.#options;
    if (this.#closed || this.#controller === undefined) return;
    if (reply.over && !this.#drainable) this.#controller.abort(new Error('the run is over'));
    else this.#setPaused(!reply.readable && !reply.complete, this.#controller);
  }

  /** The run is cancelled: nothing is read any more. */
  destroy(): void {
    this.#drainable = false;
    this.update();
  }

  tick(nowMs: number): void {
    const { reply, timeouts, context } = this.#options;
    const silentMs = nowMs - this.#lastSignMs;
    if (reply.over) {
      if (silentMs >= DRAIN_MS) this.destroy();
      return;
    }
    if (reply.complete || reply.blocked) {
      this.#lastSignMs = nowMs;
      return;
    }
    const limitMs = reply.waiting && this.#phase.type !== 'error' ? timeouts.firstTokenMs : timeouts.idleMs;
    if (silentMs < limitMs) return;
    if (this.#phase.type === 'error') this.#endError();
    else reply.lost(failure('stalled', `upstream ${context.upstream} was silent for ${limitMs} ms`));
    this.destroy();
  }

  #setPaused(paused: boolean, controller: Dispatcher.DispatchController): void {
    if (paused === controller.paused) return;
    if (paused) return controller.pause();
    this.#lastSignMs = performance.now();
    controller.resume();
  }

  #send(): void {
    const { dispatcher, path, headers, body } = this.#options;
    this.#tries += 1;
    dispatcher.dispatch(
      { path, method: 'POST', headers: { ...headers }, body, headersTimeout: 0, bodyTimeout: 0 },
      {
        onRequestStart: (controller) => {
          this.#controller = controller;
          this.update();
        },
        onResponseStart: (_controller, status, responseHeaders) => this.#begin(status, responseHeaders),
        onResponseData: (_controller, chunk) => this.#read(chunk),
        onResponseEnd: () => this.#end(),
        onResponseError: (_controller, error) => this.#fail(error),
      },
    );
  }

  #begin(status: number, headers: Headers): void {
    // 100 to 199 only announce the response.
    if (status < 200 || this.#options.reply.over) return;
    this.#lastSignMs = performance.now();
    if (status !== 200) {
      this.#phase = { type: 'error', status, headers, body: '' };
      if (status >= 300 && status < 400) this.#endError();
      return;
    }
    this.#phase = { type: 'reading' };
    const { reply, context } = this.#options;
    const format = formatOf(headers);
    if (format === undefined)
      reply.fail(failure('upstream-failed', `upstream ${context.upstream} answered neither an event stream nor JSON`));
    else reply.begin(format);
    this.update();
  }

  #read(chunk: Uint8Array): void {
    if (this.#phase.type === 'error') {
      // An error's text is for people: a character cut at a chunk's edge does no harm.
      this.#phase.body += new TextDecoder('utf-8').decode(chunk);
      if (this.#phase.body.length > ERROR_BYTES_MAX) this.#endError();
      return;
    }
    const { reply } = this.#options;
    const { events } = reply;
    reply.data(chunk);
    // A sender that drips bytes or comments says nothing.
    if (reply.events > events) this.#lastSignMs = performance.now();
    if (reply.whole) this.#drainable = true;
    this.update();
  }

  #end(): void {
    this.#drainable = true;
    if (this.#phase.type === 'error') this.#endError();
    else this.#options.reply.end();
    this.#close(false);
  }

  #endError(): void {
    if (this.#phase.type !== 'error') return;
    const { status, headers, body } = this.#phase;
    const { reply, context } = this.#options;
    const location = first(headers['location']);
    reply.fail(failureOfReply({ status, body, location, retryAfter: first(headers['retry-after']) }, context));
    this.update();
  }

  #fail(error: Error): void {
    const { reply, context } = this.#options;
    const sent = this.#controller !== undefined;
    if (sent && !reply.over && this.#phase.type === 'sending' && this.#tries < 2) {
      this.#controller = undefined;
      this.#send();
      return;
    }
    if (!reply.over) {
      // A second try that finds nobody does not undo the first, but that one gave no sign of having begun either.
      if (this.#phase.type === 'error') this.#endError();
      else reply.lost(failureOfConnection(error, sent, context.upstream));
    }
    this.#close(!sent);
  }

  #close(unreachable: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onClosed(this, unreachable);
  }
}

function formatOf(headers: Headers): 'events' | 'json' | undefined {
  const encoding = first(headers['content-encoding']);
  if (encoding !== undefined && encoding !== 'identity') return undefined;
  const type = (first(headers['content-type']) ?? 'text/event-stream').toLowerCase();
  if (type.startsWith('text/event-stream')) return 'events';
  return type.startsWith('application/json') ? 'json' : undefined;
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
