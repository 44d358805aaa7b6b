/**
 * What does the text of a run mean to a client? Between the mesh, where every answer is plain text, and the dialects, which
 * show text, probabilities of tokens and calls of functions each in their own way: one reader for each run turns pieces of
 * text into parts and its end into a finish. Both layers of packing come off here: lines of scored tokens
 * (`answer-lines.ts`), then calls (`tool-text.ts`); an answer without either costs one call for each piece.
 * What an engine wrote is checked: text that fits no syntax, a call that was not offered or is one too many, and an
 * answer that had to call and did not are failures, never half an answer.
 */
import { unreachable } from '../assert.ts';
import { type Failure, failure } from '../errors.ts';
import type { RequestId } from '../ids.ts';
import { decodeScoredToken, LineReader, type ScoredToken } from '../inference/answer-lines.ts';
import type { FinishReason, Job, RunEnd, ToolUse, Usage } from '../inference/engine.ts';
import { type ToolTextEvent, ToolTextReader } from '../inference/tool-text.ts';

export interface CallHead {
  /** Counted from 0 within one answer. */
  readonly index: number;
  /** Unique, and the same wherever the answer goes on. */
  readonly id: string;
  readonly name: string;
}

/** Where the parts of one answer go, in their order. */
export interface AnswerSink {
  /** `tokens`: what the text is made of, where probabilities were asked for; they may come with an empty text. */
  content(text: string, tokens: readonly ScoredToken[]): void;
  callBegan(call: CallHead): void;
  /** All pieces of one call together are one JSON object. */
  callArguments(index: number, text: string): void;
  callEnded(index: number): void;
}

export interface AnswerEnd {
  /** `length` also where the limit came in the middle of a call. */
  readonly finish: FinishReason | 'tool_calls';
  readonly usage: Usage;
  /** The client's stop string that ended it, where that is known. */
  readonly stopSequence?: string;
}

export type Ended =
  { readonly type: 'ended'; readonly end: AnswerEnd } | { readonly type: 'failed'; readonly failure: Failure };

export interface AnswerReader {
  /** The next piece; what is wrong with it, if anything. */
  push(text: string): Failure | undefined;
  end(end: RunEnd): Ended;
}

const NO_TOKENS: readonly ScoredToken[] = [];
/** Of the id of a call: 80 bits that are the request's own. */
const ID_RANDOM_DIGITS = 20;

/** `requestId`: that of the run, from which ids of calls are made. */
export function answerReader(job: Job, requestId: RequestId, sink: AnswerSink): AnswerReader {
  const texts = job.toolUse === undefined ? new PlainText(sink) : new ToolText(job.toolUse, requestId, { job, sink });
  const { stop, logprobs } = job.sampling;
  return logprobs === undefined ? new PlainReader(texts, stop) : new ScoredReader(texts, stop);
}

/** `call_` and 24 hex digits. */
export function callId(requestId: RequestId, index: number): string {
  return `call_${requestId.slice(0, ID_RANDOM_DIGITS)}${index.toString(16).padStart(4, '0')}`;
}

/** What is done with text once it is text. */
interface TextLayer {
  push(text: string, tokens: readonly ScoredToken[]): Failure | undefined;
  end(finishReason: FinishReason): AnswerEnd['finish'] | Failure;
}

class PlainText implements TextLayer {
  readonly #sink: AnswerSink;

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  push(text: string, tokens: readonly ScoredToken[]): undefined {
    if (text !== '' || tokens.length > 0) this.#sink.content(text, tokens);
  }

  end(finishReason: FinishReason): FinishReason {
    return finishReason;
  }
}

class ToolText implements TextLayer {
  readonly #toolUse: ToolUse;
  readonly #requestId: RequestId;
  readonly #sink: AnswerSink;
  readonly #reader: ToolTextReader;
  /** Tokens whose text is held back: it may begin a call. */
  #tokens: ScoredToken[] = [];

  constructor(toolUse: ToolUse, requestId: RequestId, { job, sink }: { readonly job: Job; readonly sink: AnswerSink }) {
    this.#toolUse = toolUse;
    this.#requestId = requestId;
    this.#sink = sink;
    this.#reader = new ToolTextReader({
      toolNames: new Set(toolUse.tools.map(({ name }) => name)),
      isFormatted: job.format !== undefined && job.format.type !== 'text',
    });
  }

  push(text: string, tokens: readonly ScoredToken[]): Failure | undefined {
    // Probabilities are those of what is said; the tokens of calls have none of their own.
    if (this.#reader.calls === 0) this.#tokens.push(...tokens);
    const events = this.#reader.push(text);
    if (events === undefined) return malformed('the model wrote a function call that is none');
    for (const event of events) {
      const broken = this.#show(event);
      if (broken !== undefined) return broken;
    }
    return undefined;
  }

  end(finishReason: FinishReason): AnswerEnd['finish'] | Failure {
    for (const event of this.#reader.end()) this.#show(event);
    const { calls, isWhole } = this.#reader;
    if (finishReason === 'length') return 'length';
    if (!isWhole) return malformed('the model ended its answer in the middle of a function call');
    if (calls > 0) return 'tool_calls';
    return this.#toolUse.choice.type === 'auto' ? 'stop' : malformed('the model called no function, and had to');
  }

  #show(event: ToolTextEvent): Failure | undefined {
    switch (event.type) {
      case 'content':
        this.#sink.content(event.text, this.#tokens);
        this.#tokens = [];
        return undefined;
      case 'call':
        return this.#begin(event.index, event.name);
      case 'arguments':
        this.#sink.callArguments(event.index, event.text);
        return undefined;
      case 'call-ended':
        this.#sink.callEnded(event.index);
        return undefined;
      default:
        return unreachable(event);
    }
  }

  #begin(index: number, name: string): Failure | undefined {
    const { choice, parallel } = this.#toolUse;
    if (choice.type === 'named' && choice.name !== name) return malformed('the model called another function');
    if (!parallel && index > 0) return malformed('the model called more than one function');
    this.#sink.callBegan({ index, id: callId(this.#requestId, index), name });
    return undefined;
  }
}

class PlainReader implements AnswerReader {
  readonly #texts: TextLayer;
  readonly #stop: readonly string[];

  constructor(texts: TextLayer, stop: readonly string[]) {
    this.#texts = texts;
    this.#stop = stop;
  }

  push(text: string): Failure | undefined {
    return this.#texts.push(text, NO_TOKENS);
  }

  end(end: RunEnd): Ended {
    return toEnded(this.#texts.end(end.finishReason), end, this.#stop);
  }
}

class ScoredReader implements AnswerReader {
  readonly #texts: TextLayer;
  readonly #stop: readonly string[];
  readonly #lines = new LineReader();

  constructor(texts: TextLayer, stop: readonly string[]) {
    this.#texts = texts;
    this.#stop = stop;
  }

  push(text: string): Failure | undefined {
    const lines = this.#lines.push(text);
    if (lines === undefined) return malformed('the engine sent a token that is none');
    for (const line of lines) {
      const token = decodeScoredToken(line);
      if (token === undefined) return malformed('the engine sent a token that is none');
      const broken = this.#texts.push(token.text, [token]);
      if (broken !== undefined) return broken;
    }
    return undefined;
  }

  end(end: RunEnd): Ended {
    if (!this.#lines.isEmpty)
      return { type: 'failed', failure: malformed('the engine ended in the middle of a token') };
    return toEnded(this.#texts.end(end.finishReason), end, this.#stop);
  }
}

function toEnded(finish: AnswerEnd['finish'] | Failure, { usage, stopIndex }: RunEnd, stop: readonly string[]): Ended {
  if (typeof finish === 'object') return { type: 'failed', failure: finish };
  const stopSequence = finish === 'stop' && stopIndex !== undefined ? stop[stopIndex] : undefined;
  return { type: 'ended', end: { finish, usage, ...(stopSequence === undefined ? {} : { stopSequence }) } };
}

function malformed(text: string): Failure {
  return failure('engine-failed', text);
}
