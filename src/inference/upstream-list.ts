/**
 * How does an upstream answer for a list of inputs? As one JSON body for each batch of at most `BATCH_MAX` inputs, so that
 * progress shows between them and a cancel is heard. Each body becomes lines (`answer-lines.ts`) in the order of the inputs, which
 * leave as they are granted; the next batch is asked for when those of the last have left. A resumed list goes on with the
 * first input that has no line. Vectors are brought to length 1, whatever the server does.
 * The upstream is not trusted: one result for each input, finite numbers, bounded bodies, else a failure.
 */
import { unreachable } from '../assert.ts';
import { type Failure, failure } from '../errors.ts';
import { encodeScore, encodeVector } from './answer-lines.ts';
import type { EngineEvent, Task } from './engine.ts';
import { type ErrorContext, failureInStream } from './upstream-errors.ts';
import { countOf, isError, isRecord, listOf, parseJson, recordOf } from './upstream-json.ts';
import { TokenQueue } from './upstream-queue.ts';
import type { ExchangeReply } from './upstream-reply.ts';
import type { UpstreamRequest } from './upstream-request.ts';

/** Source: guess: a second of work on a laptop. */
const BATCH_MAX = 64;
/** Source: guess: 64 vectors of 16,384 numbers of 20 digits. */
const BYTES_MAX = 33_554_432;

export type ListTask = Extract<Task, { readonly type: 'embedding' | 'rerank' }>;

export interface UpstreamListInit {
  readonly task: ListTask;
  /** The name that the upstream itself uses. */
  readonly model: string;
  /** Inputs that have their line already. */
  readonly done: number;
  readonly context: ErrorContext;
}

interface Batch {
  readonly request: UpstreamRequest;
  readonly reply: ExchangeReply;
}

export class UpstreamList {
  readonly #init: UpstreamListInit;
  readonly #emit: (event: EngineEvent) => void;
  readonly #inputs: readonly string[];
  readonly #queue = new TokenQueue<string>();
  /** Of the next line to leave. */
  #position: number;
  /** Inputs that were asked about. */
  #asked: number;
  #granted = 0;
  #promptTokens = 0;
  #over = false;
  #emitting = false;

  constructor(init: UpstreamListInit, emit: (event: EngineEvent) => void) {
    const { task, done } = init;
    this.#init = init;
    this.#emit = emit;
    this.#inputs = task.type === 'embedding' ? task.inputs : task.documents;
    this.#position = done;
    this.#asked = done;
  }

  get over(): boolean {
    return this.#over;
  }

  /** An answer is awaited, and no line waits for a grant. */
  get waiting(): boolean {
    return !this.#over && this.#queue.length === 0;
  }

  /** The next request, when one is due: everything before it has left. */
  next(): Batch | undefined {
    if (this.#over || this.#queue.length > 0 || this.#asked > this.#position) return undefined;
    if (this.#asked >= this.#inputs.length) return undefined;
    const inputs = this.#inputs.slice(this.#asked, this.#asked + BATCH_MAX);
    this.#asked += inputs.length;
    const { task, model } = this.#init;
    return { request: requestOf(task, model, inputs), reply: new BatchReply(this, inputs) };
  }

  open(): void {
    this.#flush();
  }

  grant(lines: number): void {
    this.#granted += lines;
    this.#flush();
  }

  cancel(): void {
    this.#over = true;
  }

  fail(reason: Failure): void {
    if (this.#over) return;
    this.#over = true;
    this.#emit({ type: 'failed', failure: reason });
  }

  /** The body of the answer to a batch. */
  accept(text: string, inputs: readonly string[]): void {
    const { context, task } = this.#init;
    const value = parseJson(text);
    if (isRecord(value) && isError(value)) return this.fail(failureInStream(value, context));
    const tokens = tokensOf(value, inputs);
    const lines = task.type === 'embedding' ? vectorLines(value, tokens) : scoreLines(value, tokens);
    if (lines === undefined) return this.break('answered with something that is no list of results');
    for (const line of lines) this.#queue.push(line);
    this.#promptTokens += tokens.reduce((sum, count) => sum + count, 0);
    return this.#flush();
  }

  break(what: string): void {
    this.fail(failure('upstream-failed', `upstream ${this.#init.context.upstream} ${what}`));
  }

  #flush(): void {
    if (this.#emitting) return;
    this.#emitting = true;
    while (!this.#over && this.#granted > 0) {
      const text = this.#queue.shift();
      if (text === undefined) break;
      const position = this.#position;
      this.#granted -= 1;
      this.#position += 1;
      this.#emit({ type: 'tokens', position, tokens: 1, tokenIds: [], text });
    }
    if (!this.#over && this.#position >= this.#inputs.length) {
      this.#over = true;
      const usage = { promptTokens: this.#promptTokens, completionTokens: this.#position, cachedTokens: 0 };
      this.#emit({ type: 'ended', finishReason: 'stop', usage });
    }
    this.#emitting = false;
  }
}

class BatchReply implements ExchangeReply {
  readonly #list: UpstreamList;
  readonly #inputs: readonly string[];
  readonly #decoder = new TextDecoder('utf-8');
  readonly #texts: string[] = [];
  #bytes = 0;
  #isWhole = false;
  events = 0;

  constructor(list: UpstreamList, inputs: readonly string[]) {
    this.#list = list;
    this.#inputs = inputs;
  }

  get over(): boolean {
    return this.#list.over || this.#isWhole;
  }

  get complete(): boolean {
    return this.over;
  }

  get whole(): boolean {
    return this.#isWhole;
  }

  get readable(): boolean {
    return true;
  }

  get blocked(): boolean {
    return false;
  }

  get waiting(): boolean {
    return !this.over;
  }

  begin(): void {
    // JSON, whatever it is called.
  }

  data(chunk: Uint8Array): void {
    if (this.over) return;
    this.events += 1;
    this.#bytes += chunk.length;
    if (this.#bytes > BYTES_MAX) this.#list.break(`sent more than ${BYTES_MAX} bytes`);
    else this.#texts.push(this.#decoder.decode(chunk, { stream: true }));
  }

  end(): void {
    if (this.over) return;
    this.#isWhole = true;
    this.#list.accept(this.#texts.join('') + this.#decoder.decode(), this.#inputs);
  }

  lost(reason: Failure): void {
    if (!this.over) this.#list.fail(reason);
  }

  fail(reason: Failure): void {
    if (!this.over) this.#list.fail(reason);
  }
}

function requestOf(task: ListTask, model: string, inputs: readonly string[]): UpstreamRequest {
  switch (task.type) {
    case 'embedding':
      return { path: '/embeddings', body: JSON.stringify({ model, input: inputs, encoding_format: 'float' }) };
    case 'rerank': {
      const body = { model, query: task.query, documents: inputs, top_n: inputs.length };
      return { path: '/rerank', body: JSON.stringify(body) };
    }
    default:
      return unreachable(task);
  }
}

/** Of each input: its share of what the server counted for all, which tells only the sum; four characters each where it does not. */
function tokensOf(value: unknown, inputs: readonly string[]): readonly number[] {
  const usage = recordOf(value, 'usage');
  const estimates = inputs.map((input) => Math.max(1, Math.ceil(input.length / 4)));
  const counted = countOf(usage, 'prompt_tokens') ?? countOf(usage, 'total_tokens');
  if (counted === undefined) return estimates;
  const estimated = estimates.reduce((sum, count) => sum + count, 0);
  let before = 0;
  return estimates.map((count) => {
    const start = Math.floor((counted * before) / estimated);
    before += count;
    return Math.floor((counted * before) / estimated) - start;
  });
}

function vectorLines(value: unknown, tokens: readonly number[]): readonly string[] | undefined {
  const byIndex = resultsOf(listOf(value, 'data'), tokens.length);
  const lines = byIndex?.map((result, index) => {
    const vector = normalised(listOf(result, 'embedding') ?? []);
    return vector === undefined ? undefined : encodeVector(vector, tokens[index] ?? 0);
  });
  return lines?.every((line) => line !== undefined) === true ? lines : undefined;
}

function scoreLines(value: unknown, tokens: readonly number[]): readonly string[] | undefined {
  const byIndex = resultsOf(listOf(value, 'results'), tokens.length);
  const lines = byIndex?.map((result, index) => {
    const score = isRecord(result) ? (result['relevance_score'] ?? result['score']) : undefined;
    const isScore = typeof score === 'number' && Number.isFinite(score);
    return isScore ? encodeScore(score, tokens[index] ?? 0) : undefined;
  });
  return lines?.every((line) => line !== undefined) === true ? lines : undefined;
}

/** One result for each input, by its index, or by its place where it has none; undefined where that does not come out even. */
function resultsOf(list: readonly unknown[] | undefined, count: number): readonly unknown[] | undefined {
  if (list?.length !== count) return undefined;
  const byIndex = new Map<number, unknown>();
  for (const [place, result] of list.entries()) byIndex.set(countOf(result, 'index') ?? place, result);
  const results = Array.from({ length: count }, (_, index) => byIndex.get(index));
  return results.includes(undefined) ? undefined : results;
}

function normalised(numbers: readonly unknown[]): Float32Array | undefined {
  if (numbers.length === 0 || !numbers.every((number) => typeof number === 'number')) return undefined;
  const values = numbers.map(Number);
  const length = Math.sqrt(values.reduce((sum, number) => sum + number * number, 0));
  if (!Number.isFinite(length)) return undefined;
  return Float32Array.from(values, (number) => (length === 0 ? number : number / length));
}
