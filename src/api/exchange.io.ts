/**
 * One request on its way between a client's socket and the mesh, whatever its dialect.
 *
 * Nothing is sent before it is known whether there will be an answer: the first part, the end or a failure decides the
 * status. Only a stream that waits for long gets its head and keep-alives early, because proxies and clients cut quiet
 * connections. What arrives together leaves in one write. Tokens are granted as the socket takes them:
 * a client that stops reading stops its own engines, nobody else's. A client that goes away cancels the runs at once,
 * streamed or not. Several jobs (choices, batches of inputs) run beside each other, `JOBS_AT_ONCE_MAX` at a time; the first
 * that fails ends the request.
 */
import type { ServerResponse } from 'node:http';
import type { Failure } from '../errors.ts';
import type { NodeId, RequestId } from '../ids.ts';
import type { ChatEvent, ChatRun, ChatService } from '../inference/chat.ts';
import type { RunEnd } from '../inference/engine.ts';
import { promptBytesOf } from '../inference/job-codec.ts';
import { type Asked, type Dialect, JOBS_AT_ONCE_MAX } from './dialect.ts';
import { type Presenter, presenter } from './presenter.ts';
import { sendFailure, sendJsonText } from './respond.io.ts';

/** Source: measured elsewhere: English has about 4 bytes to a token. */
const BYTES_PER_TOKEN = 4;

export interface ExchangeInit {
  readonly res: ServerResponse;
  readonly asked: Asked;
  readonly dialect: Dialect;
  /** Of each job; the first is the request's own. */
  readonly runIds: readonly [RequestId, ...RequestId[]];
  readonly createdMs: number;
  readonly limits: { readonly quietMs: number; readonly windowTokens: number; readonly pendingLength: number };
}

/** One job that was started. */
interface Run {
  readonly job: number;
  /** Absent while the service's `start` has not returned. */
  run: ChatRun | undefined;
  /** Tokens received that no grant has replaced yet. */
  owedTokens: number;
  over: boolean;
}

export class Exchange {
  readonly #init: ExchangeInit;
  readonly #res: ServerResponse;
  readonly #presenter: Presenter;
  readonly #isStream: boolean;
  readonly #startedMs = performance.now();
  #service: ChatService | undefined;
  readonly #runs = new Set<Run>();
  #nextJob = 0;
  #starting = false;
  #node: NodeId | undefined;
  #firstTextMs: number | undefined;
  #usedTokens = 0;
  #done = false;
  #flushing = false;
  /** The socket wants no more before its 'drain'. */
  #blocked = false;
  #wroteSinceTick = false;
  #ticker: NodeJS.Timeout | undefined;

  constructor(init: ExchangeInit) {
    this.#init = init;
    this.#res = init.res;
    const { asked, runIds, createdMs } = init;
    const [job] = asked.jobs;
    if (job === undefined) throw new TypeError('a request has at least one job');
    this.#presenter = presenter({ asked, runIds, head: { requestId: runIds[0], model: job.model, createdMs } });
    this.#isStream = this.#presenter.stream !== undefined;
  }

  /** The node that served last, for the log. */
  get node(): NodeId | undefined {
    return this.#node;
  }

  /** What it cost so far: the tokens that came, and those of the prompts, estimated for jobs that have not ended. */
  get usedTokens(): number {
    const { jobs } = this.#init.asked;
    const running = [...this.#runs].flatMap(({ job }) => jobs[job] ?? []);
    return running.reduce((sum, job) => sum + Math.ceil(promptBytesOf(job) / BYTES_PER_TOKEN), this.#usedTokens);
  }

  /** Requests that it makes of the mesh at once. */
  get width(): number {
    return Math.min(this.#init.asked.jobs.length, JOBS_AT_ONCE_MAX);
  }

  start(service: ChatService): void {
    this.#service = service;
    this.#res.on('close', () => this.#close());
    this.#res.on('drain', () => this.#drained());
    if (this.#isStream) this.#ticker = setInterval(() => this.#tick(), this.#init.limits.quietMs);
    this.#startMore();
  }

  /** Ends the exchange from our side, with a failure for the client. */
  abort(reason: Failure): void {
    if (this.#done) return;
    this.#fail(reason);
  }

  /** As many as may run. One that ends inside its own start leaves the next to the loop. */
  #startMore(): void {
    if (this.#starting) return;
    this.#starting = true;
    while (!this.#done && this.#runs.size < JOBS_AT_ONCE_MAX && this.#startNext());
    this.#starting = false;
  }

  /** False when there is no job left. */
  #startNext(): boolean {
    const { asked, runIds, limits } = this.#init;
    const job = asked.jobs[this.#nextJob];
    const requestId = runIds[this.#nextJob];
    if (job === undefined || requestId === undefined || this.#service === undefined) return false;
    const run: Run = { job: this.#nextJob, run: undefined, owedTokens: 0, over: false };
    this.#nextJob += 1;
    this.#runs.add(run);
    const { sessionKey } = asked;
    const started = this.#service.start({ requestId, sessionKey, job }, (event) => this.#on(run, event));
    // It, or the whole exchange, may have ended inside that call.
    if (run.over) return true;
    if (this.#done) {
      started.cancel();
      return false;
    }
    run.run = started;
    started.grant(limits.windowTokens);
    return true;
  }

  #on(run: Run, event: ChatEvent): void {
    if (this.#done) return;
    switch (event.type) {
      case 'waiting':
        break;
      case 'serving':
        this.#node = event.node;
        break;
      case 'text':
        this.#text(run, event.text, event.tokens);
        break;
      case 'ended':
        this.#ended(run, event);
        break;
      case 'failed':
        run.over = true;
        this.#fail(event.failure);
        break;
    }
  }

  #text(run: Run, text: string, tokens: number): void {
    run.owedTokens += tokens;
    this.#usedTokens += tokens;
    this.#firstTextMs ??= performance.now() - this.#startedMs;
    const broken = this.#presenter.text(run.job, text);
    if (broken !== undefined) this.#fail(broken);
    else if (!this.#isStream) this.#payGrants(run);
    else if (this.#presenter.pendingLength > this.#init.limits.pendingLength) this.#res.destroy();
    else this.#flushSoon();
  }

  #ended(run: Run, end: RunEnd): void {
    run.over = true;
    const broken = this.#presenter.ended(run.job, end);
    if (broken !== undefined) return this.#fail(broken);
    this.#usedTokens += end.usage.promptTokens;
    this.#runs.delete(run);
    this.#startMore();
    if (this.#done) return undefined;
    if (this.#runs.size === 0 && this.#nextJob >= this.#init.asked.jobs.length) return this.#allEnded();
    return this.#isStream ? this.#flushSoon() : undefined;
  }

  #allEnded(): void {
    const totalMs = performance.now() - this.#startedMs;
    const last = this.#presenter.finish({ totalMs, firstTextMs: this.#firstTextMs ?? totalMs });
    if (last.type === 'failed') return this.#fail(last.failure);
    if (last.type === 'stream') return this.#endStream();
    this.#finish();
    return sendJsonText(this.#res, { status: 200, text: last.json, headers: this.#nodeHeader() });
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
    if (this.#presenter.pendingLength > 0) this.#write(this.#presenter.take());
    if (!this.#blocked) for (const run of this.#runs) this.#payGrants(run);
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
  #payGrants(run: Run): void {
    if (run.owedTokens * 2 < this.#init.limits.windowTokens) return;
    const tokens = run.owedTokens;
    run.owedTokens = 0;
    run.run?.grant(tokens);
  }

  #sendHead(): void {
    const { stream } = this.#presenter;
    if (this.#res.headersSent || stream === undefined) return;
    this.#res.writeHead(200, {
      'content-type': stream.contentType,
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
    const isQuiet = !this.#wroteSinceTick && !this.#blocked && this.#res.writableLength === 0;
    const alive = isQuiet ? this.#presenter.stream?.keepAlive() : undefined;
    if (alive !== undefined && alive !== '') this.#write(alive);
    this.#wroteSinceTick = false;
  }

  #endStream(): void {
    this.#finish();
    if (this.#res.destroyed) return;
    this.#sendHead();
    this.#res.end(this.#presenter.take());
  }

  #fail(reason: Failure): void {
    this.#cancelRuns();
    if (this.#res.headersSent || this.#presenter.pendingLength > 0) {
      this.#presenter.fail(reason);
      this.#endStream();
      return;
    }
    this.#finish();
    sendFailure(this.#res, reason, { headers: this.#nodeHeader(), body: this.#init.dialect.failureBody(reason) });
  }

  #close(): void {
    if (this.#done) return;
    this.#finish();
    this.#cancelRuns();
  }

  #cancelRuns(): void {
    for (const run of this.#runs) if (!run.over) run.run?.cancel();
  }

  #finish(): void {
    this.#done = true;
    clearInterval(this.#ticker);
  }
}
