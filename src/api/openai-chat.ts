/**
 * POST /v1/chat/completions as a dialect: `chat-request.ts` reads, `chat-stream.ts` and `chat-reply.ts` write. Several
 * choices are several jobs with the same messages.
 */
import { chatReply } from './chat-reply.ts';
import { parseChatRequest } from './chat-request.ts';
import { chatStream } from './chat-stream.ts';
import type { Dialect, Show } from './dialect.ts';
import { errorBody } from './error-body.ts';
import { choicesOf } from './sampling-fields.ts';

export const OPENAI_CHAT: Dialect = {
  read(body, context) {
    const parsed = parseChatRequest(body, context);
    if (parsed.type === 'refused') return parsed;
    const { job, stream, includeUsage, sessionKey, choices, oldForm } = parsed.chat;
    const logprobs = job.sampling.logprobs !== undefined;
    const show: Show = stream
      ? { type: 'stream', open: (head) => chatStream(head, { choices, includeUsage, oldForm }) }
      : { type: 'reply', body: (head, answers) => chatReply(head, answers, { oldForm, logprobs }) };
    return { type: 'asked', asked: { sessionKey, jobs: choicesOf(job, choices), show } };
  },
  failureBody: errorBody,
};
