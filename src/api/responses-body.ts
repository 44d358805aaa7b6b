/**
 * How does OpenAI's response object look, whole or as the snapshots within a stream? A message where anything was said (or
 * nothing at all came), then one item for each call. Ids are made from the request's own, so that a stream and
 * its last snapshot agree. `incomplete` is what the limit of tokens cut, the last item included.
 * Source: spec (OpenAI API description, Response).
 */
import type { Failure } from '../errors.ts';
import type { ScoredToken } from '../inference/answer-lines.ts';
import type { Usage } from '../inference/engine.ts';
import { errorBody, type ErrorBody } from './error-body.ts';
import { parseJsonObject } from './json-object.ts';
import { type ParamNames, withParamNames } from './param-names.ts';
import { createdS } from './chat-stream.ts';
import type { Answer, AnswerHead } from './dialect.ts';
import type { ResponseSettings } from './responses-settings.ts';
import { type ChatLogprobs, chatLogprobs } from './token-scores.ts';

const PARAM_NAMES: ParamNames = { messages: 'input', max_tokens: 'max_output_tokens', response_format: 'text.format' };

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export interface TextPart {
  readonly type: 'output_text';
  readonly text: string;
  readonly annotations: readonly never[];
  readonly logprobs: ChatLogprobs['content'];
}

export interface MessageItem {
  readonly id: string;
  readonly type: 'message';
  readonly status: ItemStatus;
  readonly role: 'assistant';
  readonly content: readonly TextPart[];
}

export interface CallItem {
  readonly id: string;
  readonly type: 'function_call';
  readonly status: ItemStatus;
  readonly call_id: string;
  readonly name: string;
  readonly arguments: string;
}

export type OutputItem = MessageItem | CallItem;

/** Where an answer stands. */
export type ResponseState =
  | { readonly type: 'in_progress' }
  | { readonly type: 'completed' | 'incomplete'; readonly usage: Usage }
  | { readonly type: 'failed'; readonly failure: Failure };

export interface ResponseBody extends ResponseSettings {
  readonly id: string;
  readonly object: 'response';
  readonly created_at: number;
  readonly status: ResponseState['type'];
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly incomplete_details: { readonly reason: 'max_output_tokens' } | null;
  readonly model: string;
  readonly output: readonly OutputItem[];
  readonly usage: ResponseUsage | null;
}

interface ResponseUsage {
  readonly input_tokens: number;
  readonly input_tokens_details: { readonly cached_tokens: number };
  readonly output_tokens: number;
  readonly output_tokens_details: { readonly reasoning_tokens: number };
  readonly total_tokens: number;
}

export interface ResponseInit {
  readonly head: AnswerHead;
  readonly settings: ResponseSettings;
}

export function responseBody(
  { head, settings }: ResponseInit,
  state: ResponseState,
  output: readonly OutputItem[],
): ResponseBody {
  return {
    ...settings,
    id: `resp_${head.requestId}`,
    object: 'response',
    created_at: createdS(head),
    status: state.type,
    // The codes that clients know; ours is in the event that follows.
    error: state.type === 'failed' ? { code: 'server_error', message: state.failure.message } : null,
    incomplete_details: state.type === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    model: head.model,
    output,
    usage: 'usage' in state ? usageOf(state.usage) : null,
  };
}

/** What one run answered, when it has ended. */
export function responseReply(init: ResponseInit, answer: Answer): ResponseBody {
  const type = endOf(answer.finish);
  const { head } = init;
  const output: OutputItem[] = [];
  if (answer.content !== '' || answer.calls.length === 0) {
    const part = textPart(answer.content, answer.tokens);
    output.push(messageItem(itemId(head, 'msg', 0), answer.calls.length === 0 ? type : 'completed', [part]));
  }
  for (const call of answer.calls) {
    // The limit may have come in the middle of the last one.
    const isWhole = type === 'completed' || parseJsonObject(call.arguments) !== undefined;
    output.push(callItem(itemId(head, 'fc', output.length), isWhole ? 'completed' : 'incomplete', call));
  }
  return responseBody(init, { type, usage: answer.usage }, output);
}

export function responsesError(failure: Failure): ErrorBody {
  return errorBody(withParamNames(failure, PARAM_NAMES));
}

export function endOf(finish: Answer['finish']): 'completed' | 'incomplete' {
  return finish === 'length' ? 'incomplete' : 'completed';
}

/** `index`: of the item in the output. */
export function itemId({ requestId }: AnswerHead, prefix: 'msg' | 'fc', index: number): string {
  return `${prefix}_${requestId}${index.toString(16).padStart(4, '0')}`;
}

export function textPart(text: string, tokens: readonly ScoredToken[]): TextPart {
  return { type: 'output_text', text, annotations: [], logprobs: chatLogprobs(tokens).content };
}

export function messageItem(id: string, status: ItemStatus, content: readonly TextPart[]): MessageItem {
  return { id, type: 'message', status, role: 'assistant', content };
}

export function callItem(
  id: string,
  status: ItemStatus,
  call: { readonly id: string; readonly name: string; readonly arguments: string },
): CallItem {
  return { id, type: 'function_call', status, call_id: call.id, name: call.name, arguments: call.arguments };
}

function usageOf({ promptTokens, completionTokens, cachedTokens }: Usage): ResponseUsage {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: promptTokens + completionTokens,
  };
}
