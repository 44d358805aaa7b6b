/**
 * An engine that is somebody else's server: Ollama, vLLM, llama-server, LM Studio or anything that speaks OpenAI's chat
 * completions over HTTP. It offers what the server lists (`upstream-discovery.io.ts`) and runs each job as one streamed
 * request (`upstream-exchange.io.ts`) whose bytes a pure machine turns into events (`upstream-reply.ts`).
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
import { Exchange, type ExchangeOptions } from './upstream-exchange.io.ts';
import type { UpstreamModel } from './upstream-models.ts';
import { UpstreamReply } from './upstream-reply.ts';
import { chatBody, parseUpstreamUrl, type UpstreamUrl } from './upstream-request.ts';

interface UpstreamTimeouts {
  /** Source: guess: a LAN answers in milliseconds, a busy tunnel in one second. */
  readonly connectMs: number;
  /** Until the first token: a long prompt, or a model that must be loaded first. Source: guess: 40 GB from a disk. */
  readonly firstTokenMs: number;
  /** Silence within an answer. Source: guess: a server that swaps requests out comes back sooner. */
  readonly idleMs: number;
  /** For the list of models. Source: guess: it is asked for while the server is at full load. */
  readonly listMs: number;
  /** Between the engine's own signs of life while there is no token yet. Source: guess: the serving session adds its own. */
  readonly progressMs: number;
  /** Between two looks at the list of models. Source: copied (Open WebUI and llama-swap users expect half a minute). */
  readonly refreshMs: number;
}

const UPSTREAM_TIMEOUTS: UpstreamTimeouts = {
  connectMs: 2_000,
  firstTokenMs: 120_000,
  idleMs: 20_000,
  listMs: 5_000,
  progressMs: 1_000,
  refreshMs: 30_000,
};

export interface UpstreamOptions {
  /** As it stands in messages: "ollama". */
  readonly name: string;
  /** Up to and without "/models", such as "http://127.0.0.1:11434/v1". */
  readonly baseUrl: string;
  /** The upstream's own key. */
  readonly apiKey?: string;
  /** Requests at once per model; absent = what the server tells, else 4. */
  readonly slots?: number;
  /** Longest prompt + answer; absent = what the server tells. */
  readonly contextTokens?: number;
  /** Only these of its models, by id; absent = all. */
  readonly models?: readonly string[];
  readonly timeouts?: Partial<UpstreamTimeouts>;
  readonly onModelsChanged?: () => void;
  /** The server cannot be asked for its models, and what to do; or it can be again (undefined). Once for each change. */
  readonly onProblem?: (problem: string | undefined) => void;
}

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
  /** Where a format was asked for. */
  readonly watch: FormatWatch | undefined;
}

interface Running {
  readonly model: string;
  readonly reply: UpstreamReply;
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
  readonly #chatPath: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #pool: Pool;
  readonly #discovery: Discovery;
  readonly #running = new Set<Running>();
  readonly #exchanges = new Set<Exchange>();
  readonly #grammars = new Grammars();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: UpstreamOptions, url: UpstreamUrl) {
    this.#options = options;
    this.#timeouts = { ...UPSTREAM_TIMEOUTS, ...options.timeouts };
    this.#chatPath = `${url.apiPath}/chat/completions`;
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

  /** A job that cannot run is answered with `failed` inside this call. */
  start(job: Job, on: (event: EngineEvent) => void): EngineRun {
    const model = this.#discovery.find(job.model);
    if (model === undefined) return refuse(on, this.#whyMissing(job.model));
    const grammar = this.#grammars.of(job.format);
    if (grammar.type === 'refused') return refuse(on, grammar.failure);
    const isFormatted = grammar.type === 'grammar';
    const refusal = this.#refusal(model) ?? (isFormatted ? this.#whyNotResumed(job) : undefined);
    if (refusal !== undefined) return refuse(on, refusal);
    const watch = isFormatted
      ? new FormatWatch({ job, starts: grammar.starts, upstream: this.#options.name })
      : undefined;
    return this.#run({ job, model, on, watch });
  }

  /** A server begins its format anew, whatever stands before it. */
  #whyNotResumed({ resume }: Job): Failure | undefined {
    if (resume === undefined || resume.text === '') return undefined;
    const { name } = this.#options;
    return failure(
      'upstream-failed',
      `upstream ${name} cannot go on with a formatted answer that another engine began`,
    );
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

  #run({ job, model, on, watch }: Accepted): EngineRun {
    const context = { upstream: this.#options.name, model: model.model, contextTokens: model.contextTokens };
    const emit = (said: EngineEvent): void => {
      const event = watch?.check(said) ?? said;
      if (event !== said) giveUp();
      // The slot is free before the caller hears of the end, so that it may start the next run at once.
      if (event.type === 'ended' || event.type === 'failed') this.#running.delete(running);
      on(event);
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
    exchange = this.#startExchange({
      dispatcher: this.#pool,
      path: this.#chatPath,
      headers: { ...this.#headers, 'content-type': 'application/json', accept: 'text/event-stream' },
      body: chatBody(job, model.upstreamName),
      reply,
      context,
      timeouts: this.#timeouts,
    });
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

  #startExchange(options: Omit<ExchangeOptions, 'onClosed'>): Exchange {
    const onClosed = (closed: Exchange, unreachable: boolean): void => {
      this.#exchanges.delete(closed);
      if (this.#exchanges.size === 0) this.#stopTimer();
      if (unreachable) void this.refresh();
    };
    const exchange = new Exchange({ ...options, onClosed }, performance.now());
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
