/**
 * What does a chat completion request ask of the mesh? Turns the body of POST /v1/chat/completions into a job, or into
 * one failure that names the field at fault. Lenient where clients differ harmlessly (nulls, unknown fields, content as
 * parts, `developer`, either name of the token limit), strict where the answer would be another one than asked for.
 * Hostile bodies: depth and counts are checked before anything walks them, numbers must be finite, no object is merged
 * (so `__proto__` is one more unknown field), and lone surrogates become U+FFFD so that every node sees the same text.
 */
import type { z } from 'zod';
import { utf8 } from '../bytes.ts';
import { type Failure, failure } from '../errors.ts';
import { parseModelId } from '../ids.ts';
import { Grammars } from '../inference/answer-format.ts';
import type { Job, ChatMessage, Sampling } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { isJsonObject, refuseFeatures } from './chat-features.ts';
import { CHAT_SCHEMA, type ChatBody, STREAM_OPTIONS_SCHEMA } from './chat-schema.ts';
import { isDeeperThan } from './json-depth.ts';
import { readContent } from './message-content.ts';
import { readResponseFormat } from './response-format.ts';

export interface ParsedChat {
  readonly job: Job;
  /** '' = none. */
  readonly sessionKey: string;
  readonly stream: boolean;
  /** A last chunk with the usage was asked for; false where `stream` is. */
  readonly includeUsage: boolean;
}

export type ChatParse =
  { readonly type: 'chat'; readonly chat: ParsedChat } | { readonly type: 'refused'; readonly failure: Failure };

/** A session key is cut here: it only steers requests to the node that may hold their prefix. Source: guess. */
const SESSION_KEY_LENGTH_MAX = 128;

/**
 * `sessionHeader`: the value of `x-session-id`, which goes before the hints in the body. `grammars` remembers what came of
 * the schemas of earlier requests.
 */
export function parseChatRequest(text: string, sessionHeader?: string, grammars = new Grammars()): ChatParse {
  if (isDeeperThan(text, LIMITS.jsonDepth)) {
    return refused(failure('invalid-request', `the body is nested more than ${LIMITS.jsonDepth} levels deep`));
  }
  const json = parseJson(text);
  if (json.type === 'malformed') return refused(failure('invalid-json', 'the body is not valid JSON'));
  const { value } = json;
  if (!isJsonObject(value)) return refused(failure('invalid-request', 'the body must be a JSON object'));
  const early = checkCounts(value) ?? refuseFeatures(value);
  if (early !== undefined) return refused(early);
  const parsed = CHAT_SCHEMA.safeParse(value);
  if (!parsed.success) return refused(toFailure(parsed.error, []));
  const chat = toChat(parsed.data, sessionHeader);
  return chat.type === 'refused' ? chat : withFormat(chat.chat, parsed.data.response_format, grammars);
}

/** Last, because it costs the most. */
function withFormat(chat: ParsedChat, field: unknown, grammars: Grammars): ChatParse {
  const parsed = readResponseFormat(field, grammars);
  if (parsed.type === 'refused') return parsed;
  const { format } = parsed;
  return { type: 'chat', chat: format === undefined ? chat : { ...chat, job: { ...chat.job, format } } };
}

function toChat(body: ChatBody, sessionHeader: string | undefined): ChatParse {
  const model = parseModelId(body.model);
  if (model === undefined) {
    return refused(failure('model-not-found', 'no model has such a name: see GET /v1/models', { param: 'model' }));
  }
  const messages = toMessages(body.messages);
  if (messages.type === 'refused') return messages;
  const stop = (body.stop ?? []).map((text) => text.toWellFormed()).filter((text) => text !== '');
  if (stop.some((text) => utf8(text).length > LIMITS.stopBytes)) {
    return refused(failure('invalid-request', `stop: at most ${LIMITS.stopBytes} bytes each`, { param: 'stop' }));
  }
  const stream = body.stream ?? false;
  const options = STREAM_OPTIONS_SCHEMA.safeParse(stream ? body.stream_options : undefined);
  if (!options.success) return refused(toFailure(options.error, ['stream_options']));
  const chat: ParsedChat = {
    job: { model, messages: messages.list, sampling: toSampling(body, stop) },
    sessionKey: toSessionKey([sessionHeader, body.prompt_cache_key, body.user]),
    stream,
    includeUsage: options.data?.include_usage ?? false,
  };
  return { type: 'chat', chat };
}

function toMessages(
  messages: ChatBody['messages'],
): { type: 'messages'; list: readonly ChatMessage[] } | { type: 'refused'; failure: Failure } {
  const list: ChatMessage[] = [];
  for (const [index, message] of messages.entries()) {
    const content = readContent(message, `messages[${index}].content`);
    if (content.type === 'refused') return content;
    const name = message.name?.toWellFormed();
    list.push({ role: toRole(message.role), content: content.text, ...(name === undefined ? {} : { name }) });
  }
  return { type: 'messages', list };
}

function toRole(role: ChatBody['messages'][number]['role']): ChatMessage['role'] {
  if (role === 'developer') return 'system';
  return role === 'function' ? 'tool' : role;
}

function toSampling(body: ChatBody, stop: readonly string[]): Sampling {
  const maxTokens = body.max_completion_tokens ?? body.max_tokens;
  return {
    temperature: body.temperature ?? 1,
    topP: body.top_p ?? 1,
    ...(isGiven(body.top_k) && body.top_k > 0 ? { topK: body.top_k } : {}),
    ...(isGiven(body.min_p) ? { minP: body.min_p } : {}),
    ...(isGiven(body.seed) ? { seed: toSeed(body.seed) } : {}),
    frequencyPenalty: body.frequency_penalty ?? 0,
    presencePenalty: body.presence_penalty ?? 0,
    stop,
    ...(isGiven(maxTokens) ? { maxTokens } : {}),
  };
}

function isGiven<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined;
}

/** Engines take 32 bits; equal seeds stay equal, also negative and huge ones. */
function toSeed(seed: number): number {
  return ((seed % 2 ** 32) + 2 ** 32) % 2 ** 32;
}

/** The first hint that is a text, without half characters at the cut. */
function toSessionKey(hints: readonly unknown[]): string {
  for (const hint of hints) {
    if (typeof hint === 'string' && hint !== '') return hint.slice(0, SESSION_KEY_LENGTH_MAX).toWellFormed();
  }
  return '';
}

/** Before the schema walks them: every bad element of a list would make an issue of its own. */
function checkCounts(body: Readonly<Record<string, unknown>>): Failure | undefined {
  const limits: readonly (readonly [name: string, max: number])[] = [
    ['messages', LIMITS.messages],
    ['stop', LIMITS.stopSequences],
  ];
  for (const [name, max] of limits) {
    const list = body[name];
    if (Array.isArray(list) && list.length > max) {
      return failure('invalid-request', `${name}: at most ${max}, got ${list.length}`, { param: name });
    }
  }
  return undefined;
}

function toFailure(error: z.ZodError, prefix: readonly PropertyKey[]): Failure {
  const [issue] = error.issues;
  const param = toParam([...prefix, ...(issue?.path ?? [])]);
  return failure('invalid-request', `${param}: ${issue?.message ?? 'invalid'}`, { param });
}

/** As a client would write it: `messages[2].content`. */
function toParam(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .slice(1);
}

function parseJson(text: string): { type: 'parsed'; value: unknown } | { type: 'malformed' } {
  try {
    return { type: 'parsed', value: JSON.parse(text) };
  } catch {
    return { type: 'malformed' };
  }
}

function refused(reason: Failure): ChatParse {
  return { type: 'refused', failure: reason };
}
