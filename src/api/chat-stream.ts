/**
 * How does a streamed chat completion look on the wire? Server-sent events as OpenAI's SDKs, the AI SDK, LangChain, Open WebUI
 * and Continue read them; every rule here has a client that breaks without it:
 *   - one line `data: {json}` (with the space) and a blank line per event; `data: [DONE]` once, last;
 *   - the first delta of each choice has the role; id, created and model never change;
 *   - `finish_reason` is null until one chunk of its own with an empty delta says why the answer ended;
 *   - a call comes with its index always, with id, type and name first, and with its arguments as pieces of a string;
 *   - usage only when asked for, in one last chunk without choices;
 *   - an answer that breaks off ends with an error event, never with an invented finish.
 * Built for the cost per token: one JSON.stringify of the piece of text between two ready strings.
 */
import type { AnswerEnd } from './answer-parts.ts';
import type { AnswerHead, StreamWriter } from './dialect.ts';
import { DONE, errorEvent, EVENT_STREAM, KEEP_ALIVE_COMMENT } from './event-stream.ts';
import { chatLogprobs } from './token-scores.ts';
import { sumUsage, usageBody } from './usage-body.ts';

export interface ChatStreamOptions {
  /** Answers to the prompt, each a job. */
  readonly choices: number;
  readonly includeUsage: boolean;
  /** `function_call` instead of `tool_calls`: at most one call. */
  readonly oldForm: boolean;
}

export function chatStream(head: AnswerHead, options: ChatStreamOptions): StreamWriter {
  const { choices, includeUsage, oldForm } = options;
  const opening =
    `data: {"id":${JSON.stringify(completionId(head))},"object":"chat.completion.chunk",` +
    `"created":${createdS(head)},"model":${JSON.stringify(head.model)},"choices":[`;
  const deltas = Array.from({ length: choices }, (_, job) => `${opening}{"index":${job},"delta":`);
  const contents = deltas.map((delta) => `${delta}{"content":`);
  const textSuffix = `},"finish_reason":null}]}\n\n`;
  const event = (job: number, delta: unknown): string =>
    `${deltas[job]}${JSON.stringify(delta)},"finish_reason":null}]}\n\n`;
  return {
    contentType: EVENT_STREAM,
    opened: () => deltas.map((_, job) => event(job, { role: 'assistant', content: '' })).join(''),
    content: (job, text, tokens) =>
      tokens.length === 0
        ? contents[job] + JSON.stringify(text) + textSuffix
        : `${contents[job]}${JSON.stringify(text)}},"logprobs":${JSON.stringify(chatLogprobs(tokens))},"finish_reason":null}]}\n\n`,
    callBegan: (job, { index, id, name }) => {
      const called = { name, arguments: '' };
      const call = { index, id, type: 'function', function: called };
      return event(job, oldForm ? { function_call: called } : { tool_calls: [call] });
    },
    callArguments: (job, index, text) => {
      const more = { arguments: text };
      return event(job, oldForm ? { function_call: more } : { tool_calls: [{ index, function: more }] });
    },
    callEnded: () => '',
    jobEnded: (job, { finish }) => `${deltas[job]}{},"finish_reason":"${finishReason(finish, oldForm)}"}]}\n\n`,
    closed: (ends) => {
      if (!includeUsage) return DONE;
      const usage = sumUsage(ends.map((end) => end.usage), choices); // prettier-ignore
      return `${opening}],"usage":${JSON.stringify(usageBody(usage))}}\n\n${DONE}`;
    },
    failed: errorEvent,
    keepAlive: () => KEEP_ALIVE_COMMENT,
  };
}

export function completionId({ requestId }: AnswerHead): string {
  return `chatcmpl-${requestId}`;
}

/** Unix seconds. */
export function createdS({ createdMs }: AnswerHead): number {
  return Math.floor(createdMs / 1_000);
}

export function finishReason(finish: AnswerEnd['finish'], oldForm: boolean): string {
  return finish === 'tool_calls' && oldForm ? 'function_call' : finish;
}
