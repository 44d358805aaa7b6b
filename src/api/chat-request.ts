/**
 * What does a chat completion request ask of the mesh? Turns the body of POST /v1/chat/completions into a job, or into
 * one failure that names the field at fault. Lenient where clients differ harmlessly (nulls, unknown fields, content as
 * parts, `developer`, either name of the token limit), strict where the answer would be another one than asked for.
 * Hostile bodies: depth and counts are checked before anything walks them, numbers must be finite, no object is merged
 * (so `__proto__` is one more unknown field), and lone surrogates become U+FFFD so that every node sees the same text.
 */
import { type Failure } from '../errors.ts';
import type { Grammars } from '../inference/answer-format.ts';
import type { Job } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { refuseFeatures } from './chat-features.ts';
import { readMessages } from './chat-messages.ts';
import { CHAT_SCHEMA, type ChatBody } from './chat-schema.ts';
import { isOldForm, readChatTools } from './chat-tools.ts';
import { constrainedJob } from './constrained-job.ts';
import type { JsonObject } from './json-object.ts';
import { badField, checkCounts, failureOfIssue } from './request-body.ts';
import { type Common, isGiven, readCommon } from './sampling-fields.ts';

export interface ParsedChat extends Pick<Common, 'stream' | 'includeUsage' | 'sessionKey' | 'choices'> {
  readonly job: Job;
  /** The answer has `function_call` instead of `tool_calls`. */
  readonly oldForm: boolean;
}

export type ChatParse =
  { readonly type: 'chat'; readonly chat: ParsedChat } | { readonly type: 'refused'; readonly failure: Failure };

/**
 * `sessionHeader`: the value of `x-session-id`, which goes before the hints in the body. `grammars` remembers what came of
 * the schemas of earlier requests.
 */
export function parseChatRequest(
  body: JsonObject,
  context: { readonly sessionHeader: string | undefined; readonly grammars: Grammars },
): ChatParse {
  const early =
    checkCounts(body, [
      ['messages', LIMITS.messages],
      ['stop', LIMITS.stopSequences],
    ]) ?? refuseFeatures(body);
  if (early !== undefined) return refused(early);
  const tools = readChatTools(body);
  if (tools.type === 'refused') return tools;
  const parsed = CHAT_SCHEMA.safeParse(body);
  if (!parsed.success) return refused(failureOfIssue(parsed.error));
  const chat = toChat(parsed.data, context.sessionHeader);
  if (chat.type === 'refused') return chat;
  const constraints = { format: parsed.data.response_format, toolUse: tools.toolUse, grammars: context.grammars };
  const made = constrainedJob(chat.chat.job, constraints);
  if (made.type === 'refused') return made;
  return { type: 'chat', chat: { ...chat.chat, job: made.job, oldForm: isOldForm(body) } };
}

function toChat(body: ChatBody, sessionHeader: string | undefined): ChatParse {
  const logprobs = readLogprobs(body);
  if (typeof logprobs === 'object') return refused(logprobs);
  const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? undefined;
  const read = readCommon({ body, sessionHeader, maxTokens, logprobs });
  if (read.type === 'refused') return read;
  const messages = readMessages(body.messages);
  if (messages.type === 'refused') return messages;
  const { model, sampling, ...common } = read.common;
  const job: Job = { model, messages: messages.messages, sampling };
  return { type: 'chat', chat: { ...common, job, oldForm: false } };
}

/** How many alternatives to each token; undefined = no probabilities. */
function readLogprobs(body: ChatBody): number | undefined | Failure {
  if (body.logprobs === true) return body.top_logprobs ?? 0;
  return isGiven(body.top_logprobs) && body.top_logprobs > 0
    ? badField('top_logprobs', 'only together with logprobs: true')
    : undefined;
}

function refused(reason: Failure): ChatParse {
  return { type: 'refused', failure: reason };
}
