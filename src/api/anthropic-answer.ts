/**
 * How does an answer look to Anthropic's clients, whole or streamed? Blocks of text and of calls, the reason why it ended,
 * and the tokens, of which those that a cache held are counted apart. Streams are named events; what the prompt cost
 * is known at their end only, so that the first one says 0 and the last one the truth, which clients take.
 * Where an engine does not tell that a stop sequence ended an answer (most upstream servers), that is `end_turn`. A call that the limit of tokens cut is missing from a whole answer, because a half of its input is no
 * object; in a stream it has gone out, and the reason `max_tokens` says what happened.
 * Source: spec (Anthropic API, Messages and its streaming).
 */
import type { Failure } from '../errors.ts';
import type { Usage } from '../inference/engine.ts';
import { anthropicError } from './anthropic-error.ts';
import type { AnswerEnd, CallHead } from './answer-parts.ts';
import type { Answer, AnswerHead, StreamWriter } from './dialect.ts';
import { EVENT_STREAM, namedEvent } from './event-stream.ts';
import { type JsonObject, parseJsonObject } from './json-object.ts';

type StopReason = 'end_turn' | 'max_tokens' | 'stop_sequence' | 'tool_use';

const STOP_REASONS: Readonly<Record<AnswerEnd['finish'], StopReason>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
};

type Block =
  | { readonly type: 'text'; readonly text: string; readonly citations?: null }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: JsonObject };

interface UsageBody {
  readonly input_tokens: number;
  readonly cache_creation_input_tokens: number;
  readonly cache_read_input_tokens: number;
  readonly output_tokens: number;
}

export interface MessageBody {
  readonly id: string;
  readonly type: 'message';
  readonly role: 'assistant';
  readonly model: string;
  readonly content: readonly Block[];
  readonly stop_reason: StopReason | null;
  readonly stop_sequence: string | null;
  readonly usage: UsageBody;
}

const NOTHING: Usage = { promptTokens: 0, completionTokens: 0, cachedTokens: 0 };

export function anthropicReply(head: AnswerHead, answer: Answer): MessageBody {
  const { content, calls, usage } = answer;
  const texts: Block[] = content === '' ? [] : [{ type: 'text', text: content, citations: null }];
  const uses = calls.flatMap(({ id, name, arguments: text }): Block[] => {
    const input = parseJsonObject(text);
    return input === undefined ? [] : [{ type: 'tool_use', id: useId(id), name, input }];
  });
  return { ...messageBody(head, usage), content: [...texts, ...uses], ...stopOf(answer) };
}

export class AnthropicStream implements StreamWriter {
  readonly contentType = EVENT_STREAM;
  readonly #head: AnswerHead;
  /** Blocks that were begun. */
  #blocks = 0;
  #open: Block['type'] | undefined;
  /** Of an event with a piece of text, up to that piece. */
  #deltaStart = '';

  constructor(head: AnswerHead) {
    this.#head = head;
  }

  opened(): string {
    return event('message_start', { message: messageBody(this.#head, NOTHING) });
  }

  content(_job: number, text: string): string {
    const before = this.#open === 'text' ? '' : this.#begin({ type: 'text', text: '' });
    return `${before}${this.#deltaStart}${JSON.stringify(text)}}}\n\n`;
  }

  callBegan(_job: number, { id, name }: CallHead): string {
    return this.#begin({ type: 'tool_use', id: useId(id), name, input: {} });
  }

  callArguments(_job: number, _index: number, text: string): string {
    return event('content_block_delta', {
      index: this.#blocks - 1,
      delta: { type: 'input_json_delta', partial_json: text },
    });
  }

  callEnded(): string {
    return this.#end();
  }

  jobEnded(_job: number, end: AnswerEnd): string {
    return this.#end() + event('message_delta', { delta: stopOf(end), usage: usageBody(end.usage) });
  }

  closed(): string {
    return event('message_stop', {});
  }

  failed(failure: Failure): string {
    return namedEvent('error', anthropicError(failure));
  }

  keepAlive(): string {
    return event('ping', {});
  }

  #begin(block: Block): string {
    const before = this.#end();
    const index = this.#blocks;
    this.#blocks += 1;
    this.#open = block.type;
    const start = `{"type":"content_block_delta","index":${index},"delta":{"type":"text_delta","text":`;
    this.#deltaStart = `event: content_block_delta\ndata: ${start}`;
    return before + event('content_block_start', { index, content_block: block });
  }

  #end(): string {
    if (this.#open === undefined) return '';
    this.#open = undefined;
    return event('content_block_stop', { index: this.#blocks - 1 });
  }
}

function stopOf({ finish, stopSequence }: AnswerEnd): Pick<MessageBody, 'stop_reason' | 'stop_sequence'> {
  if (stopSequence !== undefined) return { stop_reason: 'stop_sequence', stop_sequence: stopSequence };
  return { stop_reason: STOP_REASONS[finish], stop_sequence: null };
}

/** As Anthropic's begin; where they come back, they only have to be the same in a call and its result. */
function useId(id: string): string {
  return id.replace(/^call_/, 'toolu_');
}

function event(type: string, fields: object): string {
  return namedEvent(type, { type, ...fields });
}

/** Of which nothing was said yet. */
function messageBody({ requestId, model }: AnswerHead, usage: Usage): MessageBody {
  return {
    id: `msg_${requestId}`,
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: usageBody(usage),
  };
}

function usageBody({ promptTokens, completionTokens, cachedTokens }: Usage): UsageBody {
  return {
    input_tokens: Math.max(0, promptTokens - cachedTokens),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: completionTokens,
  };
}
