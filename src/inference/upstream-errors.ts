/**
 * Which failure of ours is a failure of theirs? Upstream servers word the same mistakes differently; this file knows the
 * words. What matters is who can mend it: the client (invalid request, context too long), another node (busy,
 * broken, unreachable) or the owner of this node (refused key, redirect). Foreign text is quoted, bounded, on one line.
 * Sources: error replies of llama-server (`exceed_context_size_error`, `n_ctx`), vLLM, Ollama and LM Studio.
 */
import { type Failure, failure } from '../errors.ts';
import { countOf, isRecord, parseJson, quote, recordOf, textOf } from './upstream-json.ts';

export interface ErrorReply {
  readonly status: number;
  readonly body: string;
  readonly location?: string | undefined;
  readonly retryAfter?: string | undefined;
}

export interface ErrorContext {
  /** Its configured name ("ollama"); its address is nobody's business but the owner's. */
  readonly upstream: string;
  readonly model: string;
  /** 0 = unknown. */
  readonly contextTokens: number;
  /** What was asked for, where it is no chat: not every server can do it. */
  readonly task?: 'completion' | 'embedding' | 'rerank' | undefined;
}

/** Of a foreign message. Source: guess: a sentence or two. */
const MESSAGE_CHARACTERS_MAX = 500;
/** Longest `Retry-After` that is passed on. Source: copied (the openai clients obey up to 60 s). */
const RETRY_AFTER_MS_MAX = 60_000;
/** What servers answer for a route that they do not have, or a model that it is not for. */
const NO_SUCH_ROUTE: ReadonlySet<number> = new Set([404, 405, 501]);
const CONTEXT_WORDS =
  /context[ _-]?(?:length|size|window)|maximum context|exceed\w* (?:the )?(?:available )?context|prompt is too long|too many tokens/i;

/** An answer with another status than 200. */
export function failureOfReply(reply: ErrorReply, context: ErrorContext): Failure {
  const { status } = reply;
  if (status >= 300 && status < 400) return redirectFailure(reply, context.upstream);
  return failureOfStatus(status, parseJson(reply.body) ?? reply.body, { ...context, retryAfter: reply.retryAfter });
}

/** An error object where a chunk of the answer was due; some servers put the HTTP status into it. */
export function failureInStream(value: unknown, context: ErrorContext): Failure {
  const error = recordOf(value, 'error');
  const status = countOf(error, 'code') ?? countOf(error, 'status_code') ?? countOf(value, 'code') ?? 500;
  return failureOfStatus(status, value, context);
}

function failureOfStatus(
  status: number,
  body: unknown,
  more: ErrorContext & { retryAfter?: string | undefined },
): Failure {
  const { upstream, model } = more;
  const said = saidBy(body);
  const told = said === '' ? '' : `: ${said}`;
  if (isContextOverflow(status, body, said)) return contextFailure(body, said, more.contextTokens);
  if (more.task !== undefined && NO_SUCH_ROUTE.has(status))
    return failure('unsupported-feature', `upstream ${upstream} cannot do this (${more.task}) with ${model}${told}`);
  switch (status) {
    case 401:
    case 403:
      return failure('upstream-failed', `upstream ${upstream} refused the node's api key${told}; set its api key`);
    case 404:
      return failure('model-not-found', `upstream ${upstream} does not have ${model}${told}`);
    case 429:
    case 503:
      return failure('busy', `upstream ${upstream} is busy${told}`, retryAfter(more.retryAfter));
    default:
      return failure(
        status >= 400 && status < 500 ? 'invalid-request' : 'upstream-failed',
        `upstream ${upstream} answered ${status}${told}`,
      );
  }
}

/** The connection failed. `sent` is false where no byte of the request had left. */
export function failureOfConnection(error: unknown, sent: boolean, upstream: string): Failure {
  const why = connectionProblem(error);
  return sent
    ? failure('upstream-failed', `upstream ${upstream} broke off the answer: ${why}`)
    : failure('upstream-unreachable', `upstream ${upstream} cannot be reached: ${why}`);
}

export function connectionProblem(error: unknown): string {
  const code = textOf(error, 'code') ?? '';
  const known: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connection refused',
    ENOTFOUND: 'no such host',
    EAI_AGAIN: 'its name cannot be looked up',
    EHOSTUNREACH: 'no route to the host',
    ENETUNREACH: 'no route to the network',
    ETIMEDOUT: 'no answer to the connection',
    UND_ERR_CONNECT_TIMEOUT: 'no answer to the connection',
    ECONNRESET: 'connection reset',
    UND_ERR_SOCKET: 'connection closed',
  };
  if (Object.hasOwn(known, code)) return known[code] ?? code;
  const message = error instanceof Error ? quote(error.message, MESSAGE_CHARACTERS_MAX) : '';
  return message === '' ? code || 'unknown error' : message;
}

function redirectFailure(reply: ErrorReply, upstream: string): Failure {
  const target = quote(reply.location ?? 'nowhere', 200);
  return failure(
    'upstream-failed',
    `upstream ${upstream} answered with a redirect to ${target}, which is never followed; set its base url to the final address`,
  );
}

/** Words alone are no proof where they may be about a rate ("too many tokens per minute") or a missing key. */
function isContextOverflow(status: number, body: unknown, said: string): boolean {
  const error = recordOf(body, 'error') ?? body;
  const kinds = [textOf(error, 'code'), textOf(error, 'type')];
  if (kinds.includes('context_length_exceeded') || kinds.includes('exceed_context_size_error')) return true;
  return [400, 413, 422, 500].includes(status) && CONTEXT_WORDS.test(said);
}

/** Clients look for "maximum context length is N tokens" and compact the conversation on it. */
function contextFailure(body: unknown, said: string, contextTokens: number): Failure {
  const error = recordOf(body, 'error');
  const limit = countOf(error, 'n_ctx') ?? (contextTokens > 0 ? contextTokens : undefined);
  const prompt = countOf(error, 'n_prompt_tokens');
  if (limit === undefined || /maximum context length is \d+ tokens/i.test(said))
    return failure('context-length-exceeded', said === '' ? 'the prompt is longer than the context' : said);
  const got = prompt === undefined ? `the upstream said: ${said}` : `your messages have ${prompt} tokens.`;
  return failure('context-length-exceeded', `This model's maximum context length is ${limit} tokens; ${got}`);
}

/** What a person wrote for a person, in one of the shapes in use: {error:{message}}, {error}, {message}, {detail}, text. */
function saidBy(body: unknown): string {
  if (typeof body === 'string') return quote(body, MESSAGE_CHARACTERS_MAX);
  if (!isRecord(body)) return '';
  const text =
    textOf(recordOf(body, 'error'), 'message') ??
    textOf(body, 'error') ??
    textOf(body, 'message') ??
    textOf(body, 'detail') ??
    '';
  return quote(text, MESSAGE_CHARACTERS_MAX);
}

function retryAfter(header: string | undefined): { retryAfterMs?: number } {
  if (header === undefined || !/^\d{1,6}$/.test(header)) return {};
  return { retryAfterMs: Math.min(Number(header) * 1_000, RETRY_AFTER_MS_MAX) };
}
