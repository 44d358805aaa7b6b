/**
 * What does the answer of an upstream server mean for one run? A synchronous machine between the bytes of the response and
 * the events of the engine port: one delta of the upstream is one token, because nothing better is known. Calls of functions
 * become text (`upstream-tools.ts`), probabilities become lines (`upstream-scores.ts`); what leaves when is
 * `upstream-output.ts`. While more than `queueTokensMax` tokens wait for a grant, `readable` is false and the shell stops
 * reading, so that backpressure reaches the upstream. The upstream is not trusted: sizes are bounded, an answer that breaks
 * off, or that leaves out what was asked for, is a failure and never a made-up end.
 * Limit: where one delta holds several tokens, grants and positions count deltas, and only the usage tells the tokens.
 */
import { type Failure, failure } from '../errors.ts';
import { LIMITS } from '../params.ts';
import type { EngineEvent, FinishReason, Job, Usage } from './engine.ts';
import { type SseEvent, SseParser } from './sse.ts';
import { Echo } from './upstream-echo.ts';
import { type ErrorContext, failureInStream } from './upstream-errors.ts';
import { countOf, isError, isRecord, type JsonRecord, listOf, parseJson, recordOf, textOf } from './upstream-json.ts';
import { UpstreamOutput } from './upstream-output.ts';
import { estimatePromptTokens } from './upstream-request.ts';
import { scoredTokens } from './upstream-scores.ts';
import { ChunkShape, completionTextOf, deltaTextOf } from './upstream-shape.ts';
import { ToolDeltas, type ToolTexts } from './upstream-tools.ts';

const REPLY_LIMITS = {
  /** Tokens that may wait for a grant before reading stops. Source: guess: some seconds of reading ahead, little memory. */
  queueTokensMax: 64,
  /** One event of a stream. Source: guess: a delta has some hundred bytes. */
  eventCharactersMax: 1_048_576,
  /** A body that is no stream. Source: guess: four bytes for each of a million tokens, twice. */
  jsonBytesMax: 8_388_608,
  /** Of a body's text: longer ones are cut into pieces of several words. Source: guess: the answer of any model there is. */
  wordsCharactersMax: 262_144,
  /** A whole stream. Source: guess: 250 bytes for each of a quarter of a million tokens. */
  answerBytesMax: 67_108_864,
} as const;

export interface UpstreamReplyOptions {
  readonly job: Job;
  readonly context: ErrorContext;
}

/** What an HTTP exchange does with the machine that reads its response. */
export interface ExchangeReply {
  /** Nothing more will be said: ended, failed or cancelled. */
  readonly over: boolean;
  /** All that matters of the response is known. */
  readonly complete: boolean;
  /** The upstream said all that it had to say: nothing was cut off, nothing failed. */
  readonly whole: boolean;
  /** How many events came: bytes and comments alone are no progress. */
  readonly events: number;
  /** More bytes are wanted now. */
  readonly readable: boolean;
  /** Tokens wait for a grant: a silent upstream is then no stall. */
  readonly blocked: boolean;
  /** Whether the run still owes its first token. */
  readonly waiting: boolean;
  /** Bytes follow: of an event stream, or of one JSON object from a server that does not stream. */
  begin(format: 'events' | 'json'): void;
  data(chunk: Uint8Array): void;
  /** The response ended as HTTP ends one. */
  end(): void;
  /** No more bytes come. That is the end where the upstream had given a finish reason, else the failure. */
  lost(reason: Failure): void;
  fail(reason: Failure): void;
}

export class UpstreamReply implements ExchangeReply {
  readonly #job: Job;
  readonly #context: ErrorContext;
  readonly #output: UpstreamOutput;
  readonly #parser = new SseParser(REPLY_LIMITS.eventCharactersMax);
  readonly #decoder = new TextDecoder('utf-8');
  readonly #shape: ChunkShape;
  readonly #echo: Echo;
  readonly #tools: ToolDeltas | undefined;
  #format: 'events' | 'json' = 'events';
  #bytes = 0;
  #events = 0;
  /** The body, where it is no stream. */
  #json = '';
  #finishReason: FinishReason | undefined;
  #usage: JsonRecord | undefined;

  constructor({ job, context }: UpstreamReplyOptions, emit: (event: EngineEvent) => void) {
    this.#job = job;
    this.#context = context;
    this.#output = new UpstreamOutput({ job, emit, usage: (tokens, isCut) => this.#usageOf(tokens, isCut) });
    // A text goes on where it is cut: only chats are begun again.
    this.#echo = new Echo(job.task === undefined ? (job.resume?.text ?? '') : '');
    this.#shape = new ChunkShape(job.task === undefined ? deltaTextOf : completionTextOf);
    this.#tools = job.toolUse === undefined ? undefined : new ToolDeltas(job.toolUse);
  }

  /** Ends an answer that is already as long as allowed: then nothing needs to be asked. */
  open(): void {
    if (this.#output.isFull) this.#output.finish('length');
  }

  get over(): boolean {
    return this.#output.over;
  }

  get complete(): boolean {
    return this.#output.complete;
  }

  get whole(): boolean {
    return this.#output.isWhole;
  }

  get events(): number {
    return this.#events;
  }

  get readable(): boolean {
    return this.#output.waiting <= REPLY_LIMITS.queueTokensMax;
  }

  get blocked(): boolean {
    return this.#output.waiting > 0;
  }

  get waiting(): boolean {
    return !this.over && !this.#output.hasBegun && !this.blocked;
  }

  begin(format: 'events' | 'json'): void {
    this.#format = format;
  }

  data(chunk: Uint8Array): void {
    if (this.complete) return;
    this.#bytes += chunk.length;
    const bytesMax = this.#format === 'json' ? REPLY_LIMITS.jsonBytesMax : REPLY_LIMITS.answerBytesMax;
    if (this.#bytes > bytesMax) return this.#break(`sent more than ${bytesMax} bytes`);
    if (this.#format === 'json') {
      this.#json += this.#decoder.decode(chunk, { stream: true });
      return;
    }
    const parsed = this.#parser.push(chunk);
    if (parsed.type === 'too-long') return this.#break(`sent an event above ${REPLY_LIMITS.eventCharactersMax} bytes`);
    this.#acceptAll(parsed.events);
  }

  end(): void {
    if (this.complete) return;
    if (this.#format === 'json') this.#acceptJson();
    else {
      const parsed = this.#parser.end();
      if (parsed.type === 'events') this.#acceptAll(parsed.events);
    }
    const { upstream } = this.#context;
    this.lost(failure('upstream-failed', `upstream ${upstream} ended its answer without a finish reason`));
  }

  lost(reason: Failure): void {
    if (this.complete) return;
    if (this.#finishReason === undefined) this.fail(reason);
    else this.#finish(this.#finishReason);
  }

  fail(reason: Failure): void {
    this.#output.fail(reason);
  }

  grant(tokens: number): void {
    this.#output.grant(tokens);
  }

  cancel(): void {
    this.#output.cancel();
  }

  #acceptAll(events: readonly SseEvent[]): void {
    for (const event of events) {
      if (this.complete) break;
      this.#acceptEvent(event.data);
    }
    this.#output.flush();
  }

  #acceptEvent(data: string): void {
    this.#events += 1;
    const text = this.#shape.textOf(data);
    if (text !== undefined) return this.#take(text);
    if (data.startsWith('[DONE]')) return this.#finish(this.#finishReason ?? (this.#output.isFull ? 'length' : 'stop'));
    const value = parseJson(data);
    if (!isRecord(value)) return this.#break('sent an event that is not JSON');
    if (isError(value)) return this.#failInside(value);
    return this.#acceptChunk(data, value);
  }

  #acceptChunk(data: string, value: JsonRecord): void {
    const usage = recordOf(value, 'usage');
    const choice = listOf(value, 'choices')?.[0];
    const content = this.#textOf(value);
    const calls = listOf(recordOf(choice, 'delta'), 'tool_calls') ?? [];
    const reason = textOf(choice, 'finish_reason') ?? '';
    this.#output.stoppedBy(textOf(choice, 'stop_reason'));
    this.#usage = usage ?? this.#usage;
    this.#acceptParts({ choice, contents: content === '' ? [] : [content], calls });
    if (reason !== '') this.#finishReason = reason === 'length' ? 'length' : 'stop';
    if (usage === undefined && content !== '' && reason === '' && this.#isLearnable(calls))
      this.#shape.learn(data, content);
  }

  #textOf(chunk: JsonRecord): string {
    return (this.#job.task === undefined ? deltaTextOf(chunk) : completionTextOf(chunk)) ?? '';
  }

  /** Where nothing but the text matters. */
  #isLearnable(calls: readonly unknown[]): boolean {
    return calls.length === 0 && this.#job.sampling.logprobs === undefined;
  }

  #acceptJson(): void {
    const value = parseJson(this.#json + this.#decoder.decode());
    this.#json = '';
    const choice = listOf(value, 'choices')?.[0];
    const message = recordOf(choice, 'message');
    const text = this.#job.task === undefined ? textOf(message, 'content') : textOf(choice, 'text');
    if (isRecord(value) && isError(value)) return this.#failInside(value);
    if (message === undefined && text === undefined)
      return this.#break('answered with something that is no completion');
    this.#usage = recordOf(value, 'usage');
    this.#output.stoppedBy(textOf(choice, 'stop_reason'));
    this.#acceptParts({ choice, contents: piecesOf(text ?? ''), calls: listOf(message, 'tool_calls') ?? [] });
    return this.#finish(textOf(choice, 'finish_reason') === 'length' ? 'length' : 'stop');
  }

  #acceptParts(parts: {
    readonly choice: unknown;
    readonly contents: readonly string[];
    readonly calls: readonly unknown[];
  }): void {
    const { logprobs } = this.#job.sampling;
    if (logprobs === undefined) for (const content of parts.contents) this.#take(content);
    else this.#takeScored(parts.choice, parts.contents.join('').toWellFormed(), logprobs);
    if (this.#tools !== undefined) for (const call of parts.calls) this.#takeTexts(this.#tools.piece(call));
  }

  #takeScored(choice: unknown, content: string, topMax: number): void {
    const tokens = scoredTokens(choice, content, topMax);
    if (tokens === undefined && content !== '')
      return this.#break('was asked for the probabilities of tokens and tells none');
    for (const token of tokens ?? []) this.#output.take(token);
  }

  #take(content: string): void {
    for (const text of this.#echo.accept(content.toWellFormed())) this.#takeText(text);
  }

  #takeText(text: string): void {
    if (this.#tools === undefined) this.#output.take(text);
    else this.#takeTexts(this.#tools.content(text));
  }

  #takeTexts(said: ToolTexts): void {
    if (said.type === 'broken') return this.complete ? undefined : this.#break(said.what);
    for (const text of said.texts) this.#output.take(text);
    return undefined;
  }

  /** The response is understood; the run ends when its tokens have left. */
  #finish(reason: FinishReason): void {
    if (this.complete) return;
    for (const text of this.#echo.release()) this.#takeText(text);
    if (this.#tools !== undefined) this.#takeTexts(this.#tools.end(reason));
    this.#output.finish(reason);
  }

  #usageOf(tokens: number, isCut: boolean): Usage {
    const promptTokens = countOf(this.#usage, 'prompt_tokens') ?? estimatePromptTokens(this.#job);
    const cached = countOf(recordOf(this.#usage, 'prompt_tokens_details'), 'cached_tokens') ?? 0;
    const counted = isCut || this.#job.resume !== undefined ? undefined : countOf(this.#usage, 'completion_tokens');
    return {
      promptTokens,
      completionTokens: Math.min(counted ?? tokens, LIMITS.answerTokens),
      cachedTokens: Math.min(cached, promptTokens),
    };
  }

  #failInside(value: JsonRecord): void {
    const reason = failureInStream(value, this.#context);
    // After a token the work did run, whatever the upstream calls it.
    this.fail(this.#output.taken === 0 ? reason : { ...reason, code: 'upstream-failed' });
  }

  #break(what: string): void {
    this.fail(failure('upstream-failed', `upstream ${this.#context.upstream} ${what}`));
  }
}

/** Word by word, so that grants and backpressure mean the same as for a stream; of a very long text several at a time. */
function piecesOf(text: string): readonly string[] {
  const words = Math.ceil(text.length / REPLY_LIMITS.wordsCharactersMax);
  return text.match(new RegExp(`(?:\\S+\\s*|\\s+){1,${Math.max(1, words)}}`, 'g')) ?? [];
}
