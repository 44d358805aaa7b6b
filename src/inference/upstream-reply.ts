/**
 * What does the answer of an upstream server mean for one run? A synchronous machine between the bytes of the response and
 * the events of the engine port: one delta of the upstream is one token, because nothing better is known.
 * Tokens wait here until they are granted; while more than `queueTokensMax` wait, `readable` is false and the shell stops
 * reading, so that backpressure reaches the upstream. The upstream is not trusted: stop strings and maxTokens are enforced
 * again, sizes are bounded, an answer that breaks off is a failure and never a made-up end.
 * Limit: where one delta holds several tokens, grants and positions count deltas, and only the usage tells the tokens.
 */
import { type Failure, failure } from '../errors.ts';
import { LIMITS } from '../params.ts';
import type { Job, EngineEvent, FinishReason, Usage } from './engine.ts';
import { type SseEvent, SseParser } from './sse.ts';
import { StopStrings } from './stop-strings.ts';
import { Echo } from './upstream-echo.ts';
import { type ErrorContext, failureInStream } from './upstream-errors.ts';
import { countOf, isRecord, type JsonRecord, listOf, parseJson, recordOf, textOf } from './upstream-json.ts';
import { TokenQueue } from './upstream-queue.ts';
import { estimatePromptTokens } from './upstream-request.ts';
import { ChunkShape, deltaTextOf } from './upstream-shape.ts';

const REPLY_LIMITS = {
  /** Tokens that may wait for a grant before reading stops. Source: guess: some seconds of reading ahead, little memory. */
  queueTokensMax: 64,
  /** One event of a stream. Source: guess: a delta has some hundred bytes. */
  eventCharactersMax: 1_048_576,
  /** A body that is no stream. Source: guess: four bytes for each of a million tokens, twice. */
  jsonBytesMax: 8_388_608,
  /** A whole stream. Source: guess: 250 bytes for each of a quarter of a million tokens. */
  answerBytesMax: 67_108_864,
} as const;

export interface UpstreamReplyOptions {
  readonly job: Job;
  readonly context: ErrorContext;
}

export class UpstreamReply {
  readonly #job: Job;
  readonly #context: ErrorContext;
  readonly #emit: (event: EngineEvent) => void;
  readonly #parser = new SseParser(REPLY_LIMITS.eventCharactersMax);
  readonly #decoder = new TextDecoder('utf-8');
  readonly #stops: StopStrings;
  readonly #queue = new TokenQueue();
  readonly #shape = new ChunkShape();
  #format: 'events' | 'json' = 'events';
  #bytes = 0;
  #events = 0;
  /** The body, where it is no stream. */
  #json = '';
  #granted = 0;
  #position: number;
  /** Deltas taken from the upstream, and how many may be. */
  #taken = 0;
  readonly #takenMax: number;
  readonly #echo: Echo;
  #finishReason: FinishReason | undefined;
  #usage: JsonRecord | undefined;
  #complete = false;
  /** The end was ours, not the upstream's: what it counted is not what left. */
  #cut = false;
  #over = false;
  #emitting = false;

  constructor({ job, context }: UpstreamReplyOptions, emit: (event: EngineEvent) => void) {
    this.#job = job;
    this.#context = context;
    this.#emit = emit;
    this.#stops = new StopStrings(job.sampling.stop);
    this.#position = job.resume?.tokens ?? 0;
    this.#takenMax = (job.sampling.maxTokens ?? LIMITS.answerTokens) - this.#position;
    this.#echo = new Echo(job.resume?.text ?? '');
  }

  /** Ends an answer that is already as long as allowed: then nothing needs to be asked. */
  open(): void {
    if (this.#takenMax <= 0) this.#finish('length');
  }

  /** Nothing more will be said: ended, failed or cancelled. */
  get over(): boolean {
    return this.#over;
  }

  /** All that matters of the response is known. */
  get complete(): boolean {
    return this.#complete || this.#over;
  }

  /** The upstream said all that it had to say: nothing was cut off, nothing failed. */
  get whole(): boolean {
    return this.#complete && !this.#cut;
  }

  /** How many events came: bytes and comments alone are no progress. */
  get events(): number {
    return this.#events;
  }

  /** More bytes are wanted now. */
  get readable(): boolean {
    return this.#queue.length <= REPLY_LIMITS.queueTokensMax;
  }

  /** Tokens wait for a grant: a silent upstream is then no stall. */
  get blocked(): boolean {
    return this.#queue.length > 0;
  }

  /** Whether the run still owes its first token. */
  get waiting(): boolean {
    return !this.#over && this.#position === (this.#job.resume?.tokens ?? 0) && !this.blocked;
  }

  /** Bytes follow: of an event stream, or of one JSON object from a server that does not stream. */
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

  /** The response ended as HTTP ends one. */
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

  /** No more bytes come. That is the end where the upstream had given a finish reason, else the failure. */
  lost(reason: Failure): void {
    if (this.complete) return;
    if (this.#finishReason === undefined) this.fail(reason);
    else this.#finish(this.#finishReason);
  }

  fail(reason: Failure): void {
    if (this.#over) return;
    this.#over = true;
    this.#emit({ type: 'failed', failure: reason });
  }

  grant(tokens: number): void {
    this.#granted += tokens;
    this.#flush();
  }

  cancel(): void {
    this.#over = true;
  }

  #acceptAll(events: readonly SseEvent[]): void {
    for (const event of events) {
      if (this.complete) break;
      this.#acceptEvent(event.data);
    }
    this.#flush();
  }

  #acceptEvent(data: string): void {
    this.#events += 1;
    const text = this.#shape.textOf(data);
    if (text !== undefined) return this.#take(text);
    if (data.startsWith('[DONE]')) {
      this.#finish(this.#finishReason ?? (this.#taken >= this.#takenMax ? 'length' : 'stop'));
      return;
    }
    const value = parseJson(data);
    if (!isRecord(value)) return this.#break('sent an event that is not JSON');
    if (isError(value)) return this.#failInside(value);
    this.#acceptChunk(data, value);
  }

  #acceptChunk(data: string, value: JsonRecord): void {
    const usage = recordOf(value, 'usage');
    const content = deltaTextOf(value) ?? '';
    const reason = textOf(listOf(value, 'choices')?.[0], 'finish_reason') ?? '';
    this.#usage = usage ?? this.#usage;
    if (content !== '') this.#take(content);
    if (reason !== '') this.#finishReason = reason === 'length' ? 'length' : 'stop';
    if (usage === undefined && content !== '' && reason === '') this.#shape.learn(data, content);
  }

  #acceptJson(): void {
    const value = parseJson(this.#json + this.#decoder.decode());
    this.#json = '';
    const choice = listOf(value, 'choices')?.[0];
    const message = recordOf(choice, 'message');
    if (isRecord(value) && isError(value)) return this.#failInside(value);
    if (message === undefined) return this.#break('answered with something that is no chat completion');
    this.#usage = recordOf(value, 'usage');
    // Word by word, so that grants and backpressure mean the same as for a stream.
    for (const word of textOf(message, 'content')?.match(/\S+\s*|\s+/g) ?? []) this.#take(word);
    if (!this.#complete) this.#finish(textOf(choice, 'finish_reason') === 'length' ? 'length' : 'stop');
    this.#flush();
  }

  #take(content: string): void {
    for (const text of this.#echo.accept(content.toWellFormed())) this.#enqueue(text);
  }

  #enqueue(text: string): void {
    if (this.#complete) return;
    if (this.#taken >= this.#takenMax) {
      this.#cut = true;
      this.#finish('length');
      return;
    }
    this.#taken += 1;
    this.#queue.push(text);
  }

  /** The response is understood; the run ends when its tokens have left. */
  #finish(reason: FinishReason): void {
    for (const text of this.#echo.release()) this.#enqueue(text);
    if (this.#complete) return;
    this.#finishReason = reason;
    this.#complete = true;
    this.#flush();
  }

  /** Sends what is granted. A grant from within an event only adds to what this loop may send. */
  #flush(): void {
    if (this.#emitting) return;
    this.#emitting = true;
    while (!this.#over && this.#granted > 0) {
      const text = this.#queue.shift();
      if (text === undefined) break;
      this.#send(text);
    }
    if (!this.#over && this.#complete && this.#queue.length === 0) this.#sendEnd();
    this.#emitting = false;
  }

  #send(delta: string): void {
    const position = this.#position;
    const pushed = this.#stops.push(delta);
    this.#granted -= 1;
    this.#position += 1;
    const last = this.#queue.length === 0 && (this.#complete || this.#taken >= this.#takenMax);
    const text = last && !pushed.stopped ? pushed.text + this.#stops.flush() : pushed.text;
    if (pushed.stopped) {
      this.#queue.clear();
      this.#cut = true;
      this.#complete = true;
      this.#finishReason = 'stop';
    }
    this.#emit({ type: 'tokens', position, tokens: 1, tokenIds: [], text });
  }

  #sendEnd(): void {
    const held = this.#stops.flush();
    if (held !== '') this.#emit({ type: 'tokens', position: this.#position, tokens: 0, tokenIds: [], text: held });
    if (this.#over) return;
    this.#over = true;
    this.#emit({ type: 'ended', finishReason: this.#finishReason ?? 'stop', usage: this.#usageOfAnswer() });
  }

  #usageOfAnswer(): Usage {
    const promptTokens = countOf(this.#usage, 'prompt_tokens') ?? estimatePromptTokens(this.#job.messages);
    const cached = countOf(recordOf(this.#usage, 'prompt_tokens_details'), 'cached_tokens') ?? 0;
    const counted = this.#cut || this.#job.resume !== undefined ? undefined : countOf(this.#usage, 'completion_tokens');
    return {
      promptTokens,
      completionTokens: Math.min(counted ?? this.#position, LIMITS.answerTokens),
      cachedTokens: Math.min(cached, promptTokens),
    };
  }

  #failInside(value: JsonRecord): void {
    const reason = failureInStream(value, this.#context);
    // After a token the work did run, whatever the upstream calls it.
    this.fail(this.#taken === 0 ? reason : { ...reason, code: 'upstream-failed' });
  }

  #break(what: string): void {
    this.fail(failure('upstream-failed', `upstream ${this.#context.upstream} ${what}`));
  }
}

/** vLLM and others send `error: null` beside a good chunk. */
function isError(value: JsonRecord): boolean {
  const error = value['error'];
  return (error !== undefined && error !== null) || textOf(value, 'object') === 'error';
}
