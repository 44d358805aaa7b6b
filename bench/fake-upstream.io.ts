/**
 * An OpenAI-compatible server that invents its answers: for tests, which need a known text, and for benches, which need
 * to know that the server is not what they measure. `node bench/fake-upstream.io.ts --port 0` prints {"port":N}.
 * The answer is a function of the messages; a trailing assistant message is continued when `continue_final_message`
 * says so, as vLLM does. One timer moves all streams: a wheel turns once per token interval and each stream has a place on it.
 * Chunks are built once per word, so that a token costs one write.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { hash64, utf8 } from '../src/bytes.ts';

export interface FakeUpstreamOptions {
  readonly port?: number;
  readonly models?: readonly string[];
  /** Tokens per second of each stream; 0 = as fast as the reader takes them. */
  readonly tokensPerSecond?: number;
  /** Length of an answer without max_tokens. */
  readonly tokens?: number;
  /** A longer prompt (in words) is refused; 0 = none. */
  readonly contextTokens?: number;
  /** Answer everything with one JSON body, also when a stream was asked for. */
  readonly neverStream?: boolean;
  /** Start a resumed answer again instead of going on. */
  readonly ignoreContinuation?: boolean;
  /** Each token is the machine's monotonic time instead of a word: " t" and microseconds, for `load.io.ts`. */
  readonly stamp?: boolean;
}

interface FakeUpstreamStats {
  readonly requests: number;
  /** Answers whose reader went away. */
  readonly aborted: number;
  readonly running: number;
  /** The last chat request as it came. */
  readonly last: { readonly headers: IncomingMessage['headers']; readonly body: string } | undefined;
}

export interface FakeUpstream {
  readonly port: number;
  /** With "/v1". */
  readonly baseUrl: string;
  stats(): FakeUpstreamStats;
  close(): Promise<void>;
}

interface ChatRequestBody {
  readonly model?: unknown;
  readonly messages?: readonly { readonly role?: unknown; readonly content?: unknown }[];
  readonly stream?: unknown;
  readonly stream_options?: { readonly include_usage?: unknown } | null;
  readonly max_tokens?: unknown;
  readonly continue_final_message?: unknown;
}

interface Answer {
  readonly model: string;
  readonly seed: number;
  readonly step: number;
  readonly promptTokens: number;
  /** The first token to send, where one goes on with a given text ... */
  readonly from: number;
  /** ... and how many of its characters the given text holds already. */
  readonly skip: number;
  /** One past the last token. */
  readonly to: number;
  readonly finishReason: 'stop' | 'length';
  readonly withUsage: boolean;
}

interface Stream {
  readonly response: ServerResponse;
  readonly answer: Answer;
  next: number;
}

const WORDS =
  'goose gander wing wedge feather skein north marsh dawn gaggle wind lake reed cloud river flock honk glide grass'.split(
    ' ',
  );
const CREATED_S = 1_700_000_000;
/** How finely one token interval is divided; each part is one turn of the timer, at least 2 ms. */
const WHEEL_PLACES_MAX = 64;

export async function startFakeUpstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const fake = new Fake(options);
  await new Promise<void>((resolve, reject) => {
    fake.server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  const { port } = fake.server.address() as AddressInfo;
  return {
    port,
    baseUrl: `http://127.0.0.1:${port}/v1`,
    stats: () => fake.stats(),
    close: () => fake.close(),
  };
}

class Fake {
  readonly server: Server;
  readonly #options: FakeUpstreamOptions;
  readonly #models: readonly string[];
  readonly #chunks = new Map<string, readonly Buffer[]>();
  readonly #around = new Map<string, readonly [before: string, after: string]>();
  readonly #wheel: Wheel;
  #requests = 0;
  #aborted = 0;
  #running = 0;
  #last: FakeUpstreamStats['last'];

  constructor(options: FakeUpstreamOptions) {
    this.#options = options;
    this.#models = options.models ?? ['fake'];
    this.#wheel = new Wheel(options.tokensPerSecond ?? 0, (stream) => this.#sendNext(stream));
    this.server = createServer((request, response) => this.#route(request, response));
    this.server.keepAliveTimeout = 60_000;
  }

  stats(): FakeUpstreamStats {
    return { requests: this.#requests, aborted: this.#aborted, running: this.#running, last: this.#last };
  }

  async close(): Promise<void> {
    this.#wheel.stop();
    const closed = new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
    this.server.closeAllConnections();
    await closed;
  }

  #route(request: IncomingMessage, response: ServerResponse): void {
    const route = `${request.method} ${request.url}`;
    if (route === 'GET /stats') {
      const { requests, aborted, running } = this.stats();
      sendJson(response, 200, { requests, aborted, running });
    } else if (route === 'GET /v1/models') {
      const limit = this.#options.contextTokens ?? 0;
      const data = this.#models.map((id) => ({
        id,
        object: 'model',
        created: CREATED_S,
        owned_by: 'fake',
        ...(limit > 0 ? { max_model_len: limit } : {}),
      }));
      sendJson(response, 200, { object: 'list', data });
    } else if (route === 'POST /v1/chat/completions') {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => this.#chat(request, response, Buffer.concat(parts).toString('utf8')));
    } else sendJson(response, 404, { error: { message: `no route ${route}`, type: 'not_found_error' } });
  }

  #chat(request: IncomingMessage, response: ServerResponse, text: string): void {
    this.#requests += 1;
    this.#last = { headers: request.headers, body: text };
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    const body = JSON.parse(text) as ChatRequestBody;
    const model = String(body.model);
    if (!this.#models.includes(model)) {
      sendJson(response, 404, { error: { message: `no model ${model}`, type: 'not_found_error' } });
      return;
    }
    const answer = this.#answer(body, model);
    const limit = this.#options.contextTokens ?? 0;
    if (limit > 0 && answer.promptTokens >= limit) {
      const message = `This model's maximum context length is ${limit} tokens, got ${answer.promptTokens}.`;
      sendJson(response, 400, { error: { message, type: 'BadRequestError', code: 400 } });
      return;
    }
    this.#running += 1;
    response.on('close', () => {
      this.#running -= 1;
      if (!response.writableFinished) this.#aborted += 1;
    });
    if (body.stream === true && this.#options.neverStream !== true) this.#stream(response, answer);
    else this.#sendWhole(response, answer);
  }

  #answer(body: ChatRequestBody, model: string): Answer {
    const { prompt, given } = this.#split(body);
    const from = given.split(' ').length - 1;
    const hash = hash64(utf8(JSON.stringify(prompt)));
    return {
      model,
      seed: hash.low % WORDS.length,
      step: 1 + (hash.high % (WORDS.length - 1)),
      promptTokens: prompt.reduce((sum, [, content]) => sum + 1 + content.split(/\s+/).length, 0),
      from,
      skip: given.length - (given.lastIndexOf(' ') + 1),
      ...this.#endOf(body, from),
      withUsage: body.stream_options?.include_usage === true,
    };
  }

  /** The messages that decide about the answer, and how much of it they bring along. */
  #split(body: ChatRequestBody): { prompt: readonly (readonly [string, string])[]; given: string } {
    const messages = (body.messages ?? []).map(({ role, content }) => [String(role), String(content)] as const);
    const last = messages.at(-1);
    if (body.continue_final_message !== true || last?.[0] !== 'assistant') return { prompt: messages, given: '' };
    return { prompt: messages.slice(0, -1), given: this.#options.ignoreContinuation === true ? '' : last[1] };
  }

  #endOf(body: ChatRequestBody, from: number): Pick<Answer, 'to' | 'finishReason'> {
    const length = this.#options.tokens ?? 64;
    const allowed = typeof body.max_tokens === 'number' ? from + body.max_tokens : Infinity;
    return { to: Math.max(from, Math.min(allowed, length)), finishReason: allowed <= length ? 'length' : 'stop' };
  }

  #stream(response: ServerResponse, answer: Answer): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.write(chunkOf(answer.model, { delta: { role: 'assistant', content: '' }, finish_reason: null }));
    const stream = { response, answer, next: answer.from };
    if ((this.#options.tokensPerSecond ?? 0) > 0) {
      if (this.#sendNext(stream)) this.#wheel.add(stream);
    } else this.#sendAll(stream);
  }

  /** As fast as the reader takes it. */
  #sendAll(stream: Stream): void {
    while (this.#sendNext(stream)) {
      if (!stream.response.writableNeedDrain) continue;
      stream.response.once('drain', () => this.#sendAll(stream));
      return;
    }
  }

  /** False when nothing is left to send. */
  #sendNext(stream: Stream): boolean {
    const { response, answer } = stream;
    if (response.destroyed) return false;
    if (stream.next >= answer.to) {
      response.end(endOf(answer));
      return false;
    }
    const word = wordIndex(answer, stream.next);
    const whole = stream.next > answer.from || answer.skip === 0;
    if (this.#options.stamp === true) response.write(this.#stamped(answer.model));
    else
      response.write(whole ? this.#chunk(answer.model, word) : contentChunk(answer.model, wordText(word, answer.skip)));
    stream.next += 1;
    return true;
  }

  /** A chunk whose text is the time: only the digits are new. */
  #stamped(model: string): string {
    let parts = this.#around.get(model);
    if (parts === undefined) {
      const [before = '', after = ''] = contentChunk(model, ' t0').split('t0');
      parts = [`${before}t`, after];
      this.#around.set(model, parts);
    }
    return parts[0] + String(process.hrtime.bigint() / 1_000n) + parts[1];
  }

  #sendWhole(response: ServerResponse, answer: Answer): void {
    let content = '';
    for (let index = answer.from; index < answer.to; index += 1)
      content += wordText(wordIndex(answer, index), index === answer.from ? answer.skip : 0);
    sendJson(response, 200, {
      id: 'chatcmpl-fake',
      object: 'chat.completion',
      created: CREATED_S,
      model: answer.model,
      choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: answer.finishReason }],
      usage: usageOf(answer),
    });
  }

  #chunk(model: string, word: number): Buffer {
    let chunks = this.#chunks.get(model);
    if (chunks === undefined) {
      chunks = WORDS.map((_, index) => Buffer.from(contentChunk(model, wordText(index, 0))));
      this.#chunks.set(model, chunks);
    }
    return chunks[word] ?? Buffer.alloc(0);
  }
}

/** Every stream is visited once per turn; the places spread the work, and with it the arrival of tokens. */
class Wheel {
  readonly #places: Set<Stream>[];
  readonly #visit: (stream: Stream) => boolean;
  readonly #placeMs: number;
  #timer: NodeJS.Timeout | undefined;
  #startedMs = 0;
  #turned = 0;
  #streams = 0;

  constructor(tokensPerSecond: number, visit: (stream: Stream) => boolean) {
    const turnMs = tokensPerSecond > 0 ? 1_000 / tokensPerSecond : 1_000;
    const places = Math.max(1, Math.min(WHEEL_PLACES_MAX, Math.floor(turnMs / 2)));
    this.#places = Array.from({ length: places }, () => new Set<Stream>());
    this.#placeMs = turnMs / places;
    this.#visit = visit;
  }

  add(stream: Stream): void {
    this.#place(this.#turned)?.add(stream);
    this.#streams += 1;
    if (this.#timer !== undefined) return;
    this.#startedMs = performance.now() - this.#turned * this.#placeMs;
    this.#timer = setInterval(() => this.#turn(), Math.max(1, Math.floor(this.#placeMs)));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Catches up when the timer came late, so that the rate holds. */
  #turn(): void {
    const due = Math.floor((performance.now() - this.#startedMs) / this.#placeMs);
    while (this.#turned < due) {
      this.#turned += 1;
      const place = this.#place(this.#turned);
      for (const stream of place ?? []) {
        if (this.#visit(stream)) continue;
        place?.delete(stream);
        this.#streams -= 1;
      }
    }
    if (this.#streams === 0) this.stop();
  }

  #place(turned: number): Set<Stream> | undefined {
    return this.#places[turned % this.#places.length];
  }
}

function wordIndex(answer: Answer, index: number): number {
  return (answer.seed + index * answer.step) % WORDS.length;
}

function wordText(word: number, skip: number): string {
  return `${WORDS[word]} `.slice(skip);
}

function contentChunk(model: string, content: string): string {
  return chunkOf(model, { delta: { content }, finish_reason: null });
}

function usageOf(answer: Answer): Readonly<Record<string, number>> {
  const completion = answer.to - answer.from;
  return {
    prompt_tokens: answer.promptTokens,
    completion_tokens: completion,
    total_tokens: answer.promptTokens + completion,
  };
}

function endOf(answer: Answer): string {
  const last = chunkOf(answer.model, { delta: {}, finish_reason: answer.finishReason });
  if (!answer.withUsage) return `${last}data: [DONE]\n\n`;
  const usage = {
    id: 'chatcmpl-fake',
    object: 'chat.completion.chunk',
    created: CREATED_S,
    model: answer.model,
    choices: [],
    usage: usageOf(answer),
  };
  return `${last}data: ${JSON.stringify(usage)}\n\ndata: [DONE]\n\n`;
}

function chunkOf(model: string, choice: Readonly<Record<string, unknown>>): string {
  const chunk = {
    id: 'chatcmpl-fake',
    object: 'chat.completion.chunk',
    created: CREATED_S,
    model,
    choices: [{ index: 0, ...choice }],
  };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      'tokens-per-second': { type: 'string', default: '0' },
      tokens: { type: 'string', default: '64' },
      'context-tokens': { type: 'string', default: '0' },
      model: { type: 'string', multiple: true, default: ['fake'] },
      stamp: { type: 'boolean', default: false },
    },
  });
  const fake = await startFakeUpstream({
    port: Number(values.port),
    tokensPerSecond: Number(values['tokens-per-second']),
    tokens: Number(values.tokens),
    contextTokens: Number(values['context-tokens']),
    models: values.model,
    stamp: values.stamp,
  });
  process.stdout.write(`${JSON.stringify({ port: fake.port })}\n`);
}
