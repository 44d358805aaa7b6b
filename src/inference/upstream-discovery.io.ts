/**
 * Which models does an upstream server have now, and is it well? Asks `GET {base}/models` at an interval, after a failure
 * sooner and then ever more seldom, and at once when told that a connection failed. While the list cannot be had, every
 * model known so far is `failed` with a text that says what to mend; it recovers by itself.
 * Which family of server it is decides where limits are looked up; that is found out once per recovery, and a server that
 * tells its limits in the list is asked nothing else. Answers are bounded in size and time, redirects refused.
 */
import type { Dispatcher } from 'undici';
import type { EngineModel } from './engine.ts';
import { connectionProblem } from './upstream-errors.ts';
import { parseJson, textOf } from './upstream-json.ts';
import {
  type ModelLimits,
  parseLlamaServerProps,
  parseLmStudioModels,
  parseModelList,
  parseOllamaShow,
  type UpstreamModel,
} from './upstream-models.ts';
import type { UpstreamUrl } from './upstream-request.ts';

export interface DiscoveryOptions {
  readonly dispatcher: Dispatcher;
  readonly url: UpstreamUrl;
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly refreshIntervalMs: number;
  readonly timeoutMs: number;
  /** Only these, by their id; absent = all. */
  readonly onlyModels: readonly string[] | undefined;
  /** As configured by the owner, who knows better than the server; 0 = ask the server. */
  readonly slots: number;
  readonly contextTokens: number;
  readonly onModelsChanged: () => void;
  /** The list cannot be had, and why; or it can be had again (undefined). Once for each change. */
  readonly onProblem: (problem: string | undefined) => void;
}

/** Of a list or of one model's description (a template and a licence are in it). Source: guess. */
const REPLY_BYTES_MAX = 4_194_304;
/** After the first failure, then doubling up to the refresh interval. Source: guess: a server restarts in seconds. */
const RETRY_MS_MIN = 1_000;
/** Requests at once, where nobody tells. Source: copied (OLLAMA_NUM_PARALLEL and llama-server's default of 4). */
const SLOTS_DEFAULT = 4;

type Family = 'llama-server' | 'lm-studio' | 'ollama' | 'other';
type Fetched =
  | { readonly type: 'value'; readonly value: unknown }
  | { readonly type: 'problem'; readonly problem: string; readonly mend?: string };

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #stop = new AbortController();
  #models: readonly UpstreamModel[] = [];
  #limits = new Map<string, ModelLimits>();
  #problem: string | undefined;
  #toldProblem: string | undefined;
  #family: Family | undefined;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #told = '[]';

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /** Why the list cannot be had, while it cannot. */
  get problem(): string | undefined {
    return this.#problem;
  }

  find(model: string): UpstreamModel | undefined {
    const found = this.#offered().find((candidate) => candidate.model === model);
    return found === undefined ? undefined : { ...found, contextTokens: this.#contextTokens(found) };
  }

  models(): readonly EngineModel[] {
    return this.#offered().map((model) => ({
      model: model.model,
      state: this.#problem === undefined ? 'ready' : 'failed',
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
      digest: '',
      contextTokens: this.#contextTokens(model),
      slots: this.slotsOf(model.upstreamName),
      loadMs: 0,
    }));
  }

  slotsOf(upstreamName: string): number {
    const { slots } = this.#options;
    return slots > 0 ? slots : this.#limits.get(upstreamName)?.slots || SLOTS_DEFAULT;
  }

  /** False for a model that only embeds, where the server tells. */
  chats(upstreamName: string): boolean {
    return this.#limits.get(upstreamName)?.chats !== false;
  }

  /** Asks now; resolves when the answer is in, also when it is a failure. Calls at the same time share one answer. */
  refresh(): Promise<void> {
    this.#running ??= this.#refreshOnce().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the engine is closed'));
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #refreshOnce(): Promise<void> {
    clearTimeout(this.#timer);
    const { apiPath } = this.#options.url;
    const fetched = await this.#fetch({ path: `${apiPath}/models` });
    const list = fetched.type === 'value' ? parseModelList(fetched.value) : undefined;
    if (list === undefined) {
      const why = fetched.type === 'problem' ? fetched.problem : 'the answer is no list of models';
      const mend = fetched.type === 'problem' ? fetched.mend : undefined;
      this.#problem = `upstream ${this.#options.name}: GET ${this.#options.url.origin}${apiPath}/models: ${why}. ${mend ?? 'Start that server or correct its base url'}.`;
      this.#failures += 1;
      this.#family = undefined;
    } else {
      this.#models = list;
      await this.#findLimits(list);
      this.#problem = undefined;
      this.#failures = 0;
    }
    if (this.#stop.signal.aborted) return;
    this.#tell();
    this.#timer = setTimeout(() => void this.refresh(), this.#delayMs());
    this.#timer.unref();
  }

  #delayMs(): number {
    const { refreshIntervalMs } = this.#options;
    return this.#failures === 0
      ? refreshIntervalMs
      : Math.min(RETRY_MS_MIN * 2 ** Math.min(this.#failures - 1, 16), refreshIntervalMs);
  }

  #tell(): void {
    if (this.#problem !== this.#toldProblem) {
      this.#toldProblem = this.#problem;
      this.#options.onProblem(this.#problem);
    }
    const now = JSON.stringify(this.models());
    if (now === this.#told) return;
    this.#told = now;
    this.#options.onModelsChanged();
  }

  #offered(): readonly UpstreamModel[] {
    const { onlyModels } = this.#options;
    return this.#models.filter(({ model }) => onlyModels === undefined || onlyModels.includes(model));
  }

  #contextTokens(model: UpstreamModel): number {
    const { contextTokens } = this.#options;
    return contextTokens > 0
      ? contextTokens
      : this.#limits.get(model.upstreamName)?.contextTokens || model.contextTokens;
  }

  async #findLimits(list: readonly UpstreamModel[]): Promise<void> {
    const known = new Set(list.map((model) => model.upstreamName));
    for (const name of this.#limits.keys()) if (!known.has(name)) this.#limits.delete(name);
    if (list.every((model) => model.limitListed)) return;
    if (this.#mayBe('llama-server')) await this.#findLlamaServerLimits(list);
    if (this.#mayBe('lm-studio')) await this.#findLmStudioLimits(known);
    if (this.#mayBe('ollama')) await this.#findOllamaLimits(list);
    this.#family ??= 'other';
  }

  #mayBe(family: Family): boolean {
    return this.#family === undefined || this.#family === family;
  }

  async #findLlamaServerLimits(list: readonly UpstreamModel[]): Promise<void> {
    const props = parseLlamaServerProps(await this.#value({ path: `${this.#options.url.rootPath}/props` }));
    if (props === undefined) return;
    this.#family = 'llama-server';
    const [lone, ...others] = list;
    // With several models (router mode) /props is about none of them.
    if (lone !== undefined && others.length === 0) this.#limits.set(lone.upstreamName, props);
  }

  async #findLmStudioLimits(known: ReadonlySet<string>): Promise<void> {
    const path = `${this.#options.url.rootPath}/api/v0/models`;
    const limits = parseLmStudioModels(await this.#value({ path }));
    if (limits === undefined) return;
    this.#family = 'lm-studio';
    for (const [name, limit] of limits) if (known.has(name)) this.#limits.set(name, limit);
  }

  /** One request a model, for new ones only. */
  async #findOllamaLimits(list: readonly UpstreamModel[]): Promise<void> {
    const { rootPath } = this.#options.url;
    if (this.#family === undefined) {
      const version = textOf(await this.#value({ path: `${rootPath}/api/version` }), 'version');
      if (version === undefined) return;
      this.#family = 'ollama';
    }
    for (const { upstreamName } of list) {
      if (this.#limits.has(upstreamName)) continue;
      const body = JSON.stringify({ model: upstreamName });
      const limits = parseOllamaShow(await this.#value({ path: `${rootPath}/api/show`, body }));
      if (limits !== undefined) this.#limits.set(upstreamName, limits);
    }
  }

  async #value(request: { readonly path: string; readonly body?: string }): Promise<unknown> {
    const fetched = await this.#fetch(request);
    return fetched.type === 'value' ? fetched.value : undefined;
  }

  async #fetch({ path, body }: { readonly path: string; readonly body?: string }): Promise<Fetched> {
    const { dispatcher, headers, timeoutMs } = this.#options;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await dispatcher.request({
        path,
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body }),
        signal: AbortSignal.any([timeout, this.#stop.signal]),
      });
      const text = await boundedText(response.body);
      if (response.statusCode >= 300 && response.statusCode < 400)
        return { type: 'problem', problem: `redirected (${response.statusCode}), and redirects are never followed` };
      if (response.statusCode !== 200) return statusProblem(response.statusCode);
      if (text === undefined) return { type: 'problem', problem: `more than ${REPLY_BYTES_MAX} bytes` };
      const value = parseJson(text);
      return value === undefined ? { type: 'problem', problem: 'the answer is no JSON' } : { type: 'value', value };
    } catch (error) {
      const problem = timeout.aborted ? `no answer within ${timeoutMs} ms` : connectionProblem(error);
      return { type: 'problem', problem };
    }
  }
}

function statusProblem(status: number): Fetched {
  const problem = `status ${status}`;
  return status === 401 || status === 403
    ? { type: 'problem', problem, mend: 'Set the api key that it wants' }
    : { type: 'problem', problem };
}

/** Undefined when it is too long; the connection is then destroyed by leaving the loop. */
async function boundedText(body: AsyncIterable<Uint8Array>): Promise<string | undefined> {
  const decoder = new TextDecoder('utf-8');
  let text = '';
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > REPLY_BYTES_MAX) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
