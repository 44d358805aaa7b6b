/**
 * POST /v1/messages/count_tokens and POST /v1/responses/input_tokens as dialects: how many tokens would a request have? Only the
 * node that serves a model has its tokenizer and template, so that the request goes there with the wish for a single
 * token, and its usage is the answer: exact, at the price of reading the prompt once, which the real request then finds cached.
 * What limits or ends an answer is left out, because nobody sees it. A prompt that does not fit is refused with its length.
 * Source: spec (Anthropic API, count_tokens; OpenAI API description, input_tokens).
 */
import { anthropicError } from './anthropic-error.ts';
import { parseMessagesRequest } from './anthropic-request.ts';
import type { Asked, Dialect } from './dialect.ts';
import type { Job } from '../inference/engine.ts';
import { responsesError } from './responses-body.ts';
import { parseResponsesRequest } from './responses-request.ts';

export const COUNT_MESSAGES: Dialect = {
  read(body, context) {
    const parsed = parseMessagesRequest({ ...body, max_tokens: 1, stream: false }, context);
    if (parsed.type === 'refused') return parsed;
    const { job, sessionKey } = parsed.messages;
    return { type: 'asked', asked: countOf(job, sessionKey, ofMessage) };
  },
  failureBody: anthropicError,
};

export const COUNT_RESPONSES: Dialect = {
  read(body, context) {
    const parsed = parseResponsesRequest({ ...body, max_output_tokens: 1, stream: false }, context);
    if (parsed.type === 'refused') return parsed;
    const { job, sessionKey } = parsed.responses;
    return { type: 'asked', asked: countOf(job, sessionKey, ofResponse) };
  },
  failureBody: responsesError,
};

function ofMessage(tokens: number): unknown {
  return { input_tokens: tokens };
}

function ofResponse(tokens: number): unknown {
  return { object: 'response.input_tokens', input_tokens: tokens };
}

function countOf(job: Job, sessionKey: string, bodyOf: (tokens: number) => unknown): Asked {
  const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], maxTokens: 1 };
  return {
    sessionKey,
    jobs: [{ ...job, sampling }],
    show: { type: 'reply', body: (_head, answers) => bodyOf(answers.at(0)?.usage.promptTokens ?? 0) },
  };
}
