/**
 * One chat request on its way between a client's socket and the mesh.
 *
 * Nothing is sent before it is known whether there will be an answer: the first text, the end or a failure decides the
 * status. Only a stream that waits for long gets its head and comments early, because proxies and clients cut quiet
 * connections. What arrives together leaves in one write. Tokens are granted as the socket takes them:
 * a client that stops reading stops its own engine, nobody else's. A client that goes away cancels the run at once,
 * streamed or not.
 */
import type { ServerResponse } from 'node:http';
import { type Failure, failure } from '../errors.ts';
import type { NodeId, RequestId } from '../ids.ts';
import type { ChatEvent, ChatRun, ChatService } from '../inference/chat.ts';
import { chatReply, ReplyText } from './chat-reply.ts';
import type { ParsedChat } from './chat-request.ts';
import { type ChatStream, chatStream, KEEP_ALIVE_COMMENT } from './chat-stream.ts';
import { sendFailure, sendJson } from './respond.io.ts';

export interface ChatExchangeInit {
  readonly res: ServerResponse;
  readonly chat: ParsedChat;
  readonly requestId: RequestId;
  readonly createdS: number;
  readonly limits: { readonly quietMs: number; readonly windowTokens: number; readonly pendingLength: number };
}

export class ChatExchange {
  readonly #init: ChatExchangeInit;
  readonly #res: ServerResponse;
  readonly #stream: ChatStream;
  readonly #reply = new ReplyText();
  #run: ChatRun | undefined;
  #node: NodeId | undefined;
  #done = false;
  #roleSent = false;
  /** Events that the next write takes. */
  #pending = '';
  #flushing = false;
  /** The socket wants no more before its 'drain'. */
  #blocked = false;
  /** Tokens received that no grant has replaced yet. */
  #owedTokens = 0;
  #wroteSinceTick = false;
  #ticker: NodeJS.Timeout | undefined;

  constructor(init: ChatExchangeInit) {
    this.#init = init;
    this.#res = init.res;
    const { requestId, createdS, chat } = init;
    this.#stream = chatStream({ requestId, createdS, model: chat.job.model, includeUsage: chat.includeUsage });
  }

  /** The node that served last, for the log. */
  get node(): NodeId | undefined {
    return this.#node;
  }

  start(service: ChatService): void {
    const { requestId, chat, limits } = this.#init;
    this.#res.on('close', () => this.#close());
    this.#res.on('drain', () => this.#drained());
    if (chat.stream) this.#ticker = setInterval(() => this.#tick(), limits.quietMs);
    const run = service.start({ requestId, sessionKey: chat.sessionKey, job: chat.job }, (event) => this.#on(event));
    // It may have ended inside that call.
    if (this.#done) return;
    this.#run = run;
    run.grant(limits.windowTokens);
  }

  /** Ends the exchange from our side, with a failure for the client. */
  abort(reason: Failure): void {
    if (this.#done) return;
    this.#run?.cancel();
    this.#fail(reason);
  }

  #on(event: ChatEvent): void {
    if (this.#done) return;
    switch (event.type) {
      case 'waiting':
        break;
      case 'serving':
        this.#node = event.node;
        break;
      case 'text':
        this.#text(event.text, event.tokens);
        break;
      case 'ended':
        this.#ended(event);
        break;
      case 'failed':
        this.#fail(event.failure);
        break;
    }
  }

  #text(text: string, tokens: number): void {
    this.#owedTokens += tokens;
    if (!this.#init.chat.stream) {
      if (this.#reply.add(text)) this.#payGrants();
      else this.abort(failure('engine-failed', 'the answer is longer than this node keeps for a reply without stream'));
      return;
    }
    if (text !== '') this.#push(this.#stream.text(text));
    if (this.#pending.length > this.#init.limits.pendingLength) this.#res.destroy();
    else this.#flushSoon();
  }

  #push(events: string): void {
    if (!this.#roleSent) this.#pending += this.#stream.role();
    this.#roleSent = true;
    this.#pending += events;
  }

  /** All that one piece from the serving node holds has come when its microtasks run. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#done || this.#blocked) return;
    if (this.#pending !== '') this.#write(this.#pending);
    this.#pending = '';
    if (!this.#blocked) this.#payGrants();
  }

  #drained(): void {
    this.#blocked = false;
    if (!this.#done) this.#flush();
  }

  #write(text: string): void {
    if (this.#res.destroyed) return;
    this.#sendHead();
    this.#wroteSinceTick = true;
    this.#blocked = !this.#res.write(text);
  }

  /** In halves of the window: a grant per token would be a frame per token. */
  #payGrants(): void {
    if (this.#owedTokens * 2 < this.#init.limits.windowTokens) return;
    const tokens = this.#owedTokens;
    this.#owedTokens = 0;
    this.#run?.grant(tokens);
  }

  #sendHead(): void {
    if (this.#res.headersSent) return;
    this.#res.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
      ...this.#nodeHeader(),
    });
  }

  #nodeHeader(): Record<string, string> {
    return this.#node === undefined ? {} : { 'x-skein-node': this.#node };
  }

  /** Nothing was written for a while: say that we are alive, unless bytes wait for the client anyway. */
  #tick(): void {
    if (!this.#wroteSinceTick && !this.#blocked && this.#res.writableLength === 0) this.#write(KEEP_ALIVE_COMMENT);
    this.#wroteSinceTick = false;
  }

  #endStream(): void {
    this.#finish();
    if (this.#res.destroyed) return;
    this.#sendHead();
    this.#res.end(this.#pending);
    this.#pending = '';
  }

  #ended({ finishReason, usage }: Extract<ChatEvent, { type: 'ended' }>): void {
    const { requestId, createdS, chat } = this.#init;
    if (chat.stream) {
      this.#push(this.#stream.ended(finishReason, usage));
      this.#endStream();
      return;
    }
    const head = { requestId, createdS, model: chat.job.model };
    const body = chatReply(head, { text: this.#reply.whole(), finishReason, usage });
    this.#finish();
    sendJson(this.#res, { status: 200, body, headers: this.#nodeHeader() });
  }

  #fail(reason: Failure): void {
    if (this.#res.headersSent || this.#pending !== '') {
      this.#pending += this.#stream.failed(reason);
      this.#endStream();
      return;
    }
    this.#finish();
    sendFailure(this.#res, reason, this.#nodeHeader());
  }

  #close(): void {
    if (this.#done) return;
    this.#finish();
    this.#run?.cancel();
  }

  #finish(): void {
    this.#done = true;
    clearInterval(this.#ticker);
  }
}
