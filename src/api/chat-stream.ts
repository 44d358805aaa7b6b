/**
 * How does a streamed answer look on the wire? Server-sent events as OpenAI's SDKs, the AI SDK, LangChain, Open WebUI and
 * Continue read them; every rule here has a client that breaks without it:
 *   - one line `data: {json}` (with the space) and a blank line per event; `data: [DONE]` once, last;
 *   - the first delta has the role; id, created and model never change;
 *   - `finish_reason` is null until one chunk of its own with an empty delta says why the answer ended;
 *   - usage only when asked for, in one last chunk without choices;
 *   - an answer that breaks off ends with an error event, never with an invented finish.
 * Built for the cost per token: one JSON.stringify of the piece of text between two ready strings.
 */
import type { Failure } from '../errors.ts';
import type { ModelId, RequestId } from '../ids.ts';
import type { FinishReason, Usage } from '../inference/engine.ts';
import { errorBody } from './error-body.ts';

export interface ChatStreamHead {
  readonly requestId: RequestId;
  readonly model: ModelId;
  readonly createdS: number;
  readonly includeUsage: boolean;
}

/** Writes events; each returns the text to send. */
export interface ChatStream {
  /** The chunk with the role: before any other. */
  role(): string;
  text(piece: string): string;
  ended(finishReason: FinishReason, usage: Usage): string;
  failed(failure: Failure): string;
}

/** A comment, which parsers skip. Never "ping": one client takes a line with that word for the end. */
export const KEEP_ALIVE_COMMENT = ': keep-alive\n\n';
const DONE = 'data: [DONE]\n\n';

export function chatStream(head: ChatStreamHead): ChatStream {
  const opening =
    `data: {"id":${JSON.stringify(completionId(head.requestId))},"object":"chat.completion.chunk",` +
    `"created":${head.createdS},"model":${JSON.stringify(head.model)},"choices":[`;
  const textPrefix = `${opening}{"index":0,"delta":{"content":`;
  const textSuffix = `},"finish_reason":null}]}\n\n`;
  return {
    role: () => `${opening}{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n`,
    text: (piece) => textPrefix + JSON.stringify(piece) + textSuffix,
    ended: (finishReason, usage) => {
      const finish = `${opening}{"index":0,"delta":{},"finish_reason":"${finishReason}"}]}\n\n`;
      const last = head.includeUsage ? `${opening}],"usage":${JSON.stringify(usageBody(usage))}}\n\n` : '';
      return finish + last + DONE;
    },
    failed: (failure) => `data: ${JSON.stringify(errorBody(failure))}\n\n${DONE}`,
  };
}

export function completionId(requestId: RequestId): string {
  return `chatcmpl-${requestId}`;
}

export interface UsageBody {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

export function usageBody(usage: Usage): UsageBody {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}
