/**
 * POST /v1/messages as a dialect: `anthropic-request.ts` reads, `anthropic-answer.ts` and `anthropic-error.ts` write. Its
 * `count_tokens` is in `token-counts.ts`.
 */
import { anthropicReply, AnthropicStream } from './anthropic-answer.ts';
import { anthropicError } from './anthropic-error.ts';
import { parseMessagesRequest } from './anthropic-request.ts';
import type { Dialect, Show } from './dialect.ts';

export const ANTHROPIC_MESSAGES: Dialect = {
  read(body, context) {
    const parsed = parseMessagesRequest(body, context);
    if (parsed.type === 'refused') return parsed;
    const { job, stream, sessionKey } = parsed.messages;
    const show: Show = stream
      ? { type: 'stream', open: (head) => new AnthropicStream(head) }
      : { type: 'reply', body: (head, answers) => answers.map((answer) => anthropicReply(head, answer)).at(0) };
    return { type: 'asked', asked: { sessionKey, jobs: [job], show } };
  },
  failureBody: anthropicError,
};
