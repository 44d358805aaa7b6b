/**
 * An engine that is somebody else's server: Ollama, vLLM, llama-server, LM Studio or anything that speaks OpenAI's chat
 * completions over HTTP. It offers what the server lists (`upstream-discovery.io.ts`) and runs each job as one streamed
 * request (`upstream-exchange.io.ts`) whose bytes a pure machine turns into events (`upstream-reply.ts`), or, for vectors and
 * scores, as one request for each batch of inputs (`upstream-list.ts`).
 * The server is another party: it gets its own configured key and nothing of the client's, and is trusted with nothing.
 * A run above the slots is refused as busy rather than queued, because queueing is the node's decision.
 * Weights cannot be proved through HTTP, so every digest is '' and resumed answers go on from text, not from token ids.
 */
import { Pool } from 'undici';
import { type Failure, failure } from '../errors.ts';
import { Grammars } from './answer-format.ts';
import type { Job, Engine, EngineEvent, EngineModel, EngineRun } from './engine.ts';
import { FormatWatch } from './format-watch.ts';
import { Discovery } from './upstream-discovery.io.ts';
import type { ErrorContext } from './upstream-errors.ts';
import { Exchange } from './upstream-exchange.io.ts';
import { type ListTask, UpstreamList } from './upstream-list.ts';
import type { UpstreamModel } from './upstream-models.ts';
import { startSettled } from './settled-run.ts';
import { UPSTREAM_TIMEOUTS, type UpstreamOptions, type UpstreamTimeouts } from './upstream-options.ts';
import { whyRefused } from './upstream-refusals.ts';
import { type ExchangeReply, UpstreamReply } from './upstream-reply.ts';
import { answerRequest, parseUpstreamUrl, type UpstreamRequest, type UpstreamUrl } from './upstream-request.ts';

export interface UpstreamEngine extends Engine {
  /** Looks at the list of models now; resolves when it is known, or known to be out of reach. */
  refresh(): Promise<void>;
  /** Fails what still runs and closes every connection. */
  close(): Promise<void>;
}

interface Accepted {
  readonly job: Job;
  readonly model: UpstreamModel;
  readonly on: (event: EngineEvent) => void;
}

interface Asked {
  readonly reply: ExchangeReply;
  readonly context: ErrorContext;
  readonly onClosed?: () => void;
}

interface Running {
  readonly model: string;
  readonly reply: Pick<UpstreamReply, 'waiting' | 'fail'>;
  readonly emit: (event: EngineEvent) => void;
}

/** Throws on a base url that `parseUpstreamUrl` refuses: the configuration checks it first. */
export function createUpstreamEngine(options: UpstreamOptions): UpstreamEngine {
  const parsed = parseUpstreamUrl(options.baseUrl);
  if (parsed.type === 'invalid') throw new TypeError(`upstream ${options.name}: ${parsed.failure.message}`);
  return new HttpUpstreamEngine(options, parsed.url);
}

class HttpUpstreamEngine implements UpstreamEngine {
  readonly kind = 'upstream';
  readonly #options: UpstreamOptions;
  readonly #timeouts: UpstreamTimeouts;
  readonly #apiPath: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #pool: Pool;
  readonly #discovery: Discovery;
  readonly #running = new Set<Running>();
  readonly #exchanges = new Set<Exchange>();
  readonly #grammars: Grammars;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: UpstreamOptions, url: UpstreamUrl) {
    this.#options = options;
    this.#grammars = options.grammars ?? new Grammars();
    this.#timeouts = { ...UPSTREAM_TIMEOUTS, ...options.timeouts };
    this.#apiPath = url.apiPath;
    this.#headers = options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` };
    this.#pool = new Pool(url.origin, {
      connect: { timeout: this.#timeouts.connectMs },
      allowH2: false,
      pipelining: 1,
    });
    this.#discovery = new Discovery({
      dispatcher: this.#pool,
      url,
      name: options.name,
      headers: this.#headers,
      refreshIntervalMs: this.#timeouts.refreshMs,
      timeoutMs: this.#timeouts.listMs,
      onlyModels: options.models,
      slots: options.slots ?? 0,
      contextTokens: options.contextTokens ?? 0,
      onModelsChanged: () => options.onModelsChanged?.(),
      onProblem: (problem) => options.onProblem?.(problem),
    });
    void this.refresh();
  }

  models(): readonly EngineModel[] {
    return this.#discovery.models();
  }

  refresh(): Promise<void> {
    return this.#closed ? Promise.resolve() : this.#discovery.refresh();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const { reply } of this.#running) reply.fail(failure('draining', 'the engine is closed'));
    for (const exchange of this.#exchanges) exchange.destroy();
    this.#stopTimer();
    await this.#discovery.close();
    await this.#pool.destroy();
  }

  /** A job that cannot run is answered with `failed` inside this call, unless its schema takes long to work out. */
  start(job: Job, on: (event: EngineEvent) => void): EngineRun {
    const { format } = job;
    if (format === undefined) return this.#begin(job, on);
    const constrained = { job: { format }, grammars: this.#grammars, on };
    return startSettled(constrained, () => this.#begin(job, on));
  }

  #begin(job: Job, on: (event: EngineEvent) => void): EngineRun {
    const model = this.#discovery.find(job.model);
    if (model === undefined) return refuse(on, this.#whyMissing(job.model));
    const grammar = this.#grammars.of(job.format);
    if (grammar.type === 'refused') return refuse(on, grammar.failure);
    const upstream = this.#options.name;
    const chats = this.#discovery.chats(model.upstreamName);
    const refusal = this.#refusal(model) ?? whyRefused(job, { upstream, chats });
    if (refusal !== undefined) return refuse(on, refusal);
    const { task } = job;
    if (task?.type === 'embedding' || task?.type === 'rerank') return this.#runList({ job, model, on }, task);
    const watch = grammar.type === 'grammar' ? new FormatWatch({ job, starts: grammar.starts, upstream }) : undefined;
    return this.#run({ job, model, on }, watch);
  }

  #refusal(model: UpstreamModel): Failure | undefined {
    if (this.#closed) return failure('draining', 'the engine is closed');
    const slots = this.#discovery.slotsOf(model.upstreamName);
    let used = 0;
    for (const running of this.#running) if (running.model === model.model) used += 1;
    return used < slots
      ? undefined
      : failure('busy', `all ${slots} slots of ${model.model} at upstream ${this.#options.name} are taken`);
  }

  #whyMissing(model: string): Failure {
    const { name } = this.#options;
    return this.#discovery.problem === undefined
      ? failure('model-not-found', `upstream ${name} does not list ${model}`)
      : failure('upstream-unreachable', `upstream ${name} does not tell which models it has`);
  }

  #run({ job, model, on }: Accepted, watch: FormatWatch | undefined): EngineRun {
    const context = this.#context(job, model);
    const emit = (said: EngineEvent): void => {
      const event = watch?.check(said) ?? said;
      if (event !== said) giveUp();
      // The slot is free before the caller hears of the end, so that it may start the next run at once.
      if (event.type === 'ended' || event.type === 'failed') this.#running.delete(running);
      on(this.#withoutKey(event));
    };
    const reply = new UpstreamReply({ job, context }, emit);
    let exchange: Exchange | undefined;
    const giveUp = (): void => {
      reply.cancel();
      exchange?.destroy();
    };
    const running: Running = { model: model.model, reply, emit };
    this.#running.add(running);
    reply.open();
    if (reply.over) return ENDED_RUN;
    exchange = this.#startExchange(answerRequest(job, model.upstreamName), { reply, context });
    return {
      grant: (tokens) => {
        if (reply.over) return;
        reply.grant(tokens);
        exchange?.update();
      },
      cancel: () => {
        if (reply.over) return;
        this.#running.delete(running);
        giveUp();
      },
    };
  }

  /** Batch after batch, each a request of its own, the next when the lines of the last have left. */
  #runList({ job, model, on }: Accepted, task: ListTask): EngineRun {
    const context = this.#context(job, model);
    const emit = (event: EngineEvent): void => {
      if (event.type === 'ended' || event.type === 'failed') this.#running.delete(running);
      on(this.#withoutKey(event));
    };
    const { upstreamName } = model;
    const list = new UpstreamList({ task, model: upstreamName, done: job.resume?.tokens ?? 0, context }, emit);
    let exchange: Exchange | undefined;
    const next = (): void => {
      const batch = list.next();
      if (batch === undefined) return;
      exchange = this.#startExchange(batch.request, { reply: batch.reply, context, onClosed: next });
    };
    const running: Running = { model: model.model, reply: list, emit };
    this.#running.add(running);
    list.open();
    next();
    return {
      grant: (tokens) => {
        if (list.over) return;
        list.grant(tokens);
        next();
      },
      cancel: () => {
        if (list.over) return;
        this.#running.delete(running);
        list.cancel();
        exchange?.destroy();
      },
    };
  }

  /** Servers quote the key that they refuse: it is nobody's business but the owner's. */
  #withoutKey(event: EngineEvent): EngineEvent {
    const { apiKey = '' } = this.#options;
    if (event.type !== 'failed' || apiKey === '') return event;
    const message = event.failure.message.replaceAll(apiKey, '[secret]');
    return { ...event, failure: { ...event.failure, message } };
  }

  #context({ task }: Job, { model, contextTokens }: UpstreamModel): ErrorContext {
    return { upstream: this.#options.name, model, contextTokens, task: task?.type };
  }

  #startExchange({ path, body }: UpstreamRequest, asked: Asked): Exchange {
    const { reply, context } = asked;
    const exchange = new Exchange(
      {
        dispatcher: this.#pool,
        path: this.#apiPath + path,
        headers: {
          ...this.#headers,
          'content-type': 'application/json',
          accept: 'text/event-stream, application/json',
        },
        body,
        reply,
        context,
        timeouts: this.#timeouts,
        onClosed: (closed, unreachable) => {
          this.#exchanges.delete(closed);
          if (this.#exchanges.size === 0) this.#stopTimer();
          if (unreachable) void this.refresh();
          asked.onClosed?.();
        },
      },
      performance.now(),
    );
    if (exchange.closed) return exchange;
    this.#exchanges.add(exchange);
    const periodMs = Math.min(this.#timeouts.progressMs, this.#timeouts.idleMs, this.#timeouts.firstTokenMs);
    this.#timer ??= setInterval(() => this.#tick(), periodMs);
    return exchange;
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const exchange of this.#exchanges) exchange.tick(nowMs);
    for (const { reply, emit } of this.#running)
      if (reply.waiting) emit({ type: 'progress', promptTokensDone: 0, promptTokens: 0 });
  }

  #stopTimer(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

const ENDED_RUN: EngineRun = { grant() {}, cancel() {} };

function refuse(on: (event: EngineEvent) => void, reason: Failure): EngineRun {
  on({ type: 'failed', failure: reason });
  return ENDED_RUN;
}
