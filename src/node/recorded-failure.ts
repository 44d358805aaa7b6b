/**
 * What of a failure may be kept? Its sentence is for the client, and may quote what that client wrote (names in a schema) or what
 * somebody else's server said about it. A record that others read keeps the code, and the sentence only where it is ours alone:
 * of an upstream's refusal what comes before the quotation, of what is wrong with a request only that it was told.
 * Limits: it knows our sentences by how they begin; the test of marked words holds the two together.
 */
import type { ErrorCode, Failure } from '../errors.ts';

/** Their sentences are about what the client wrote. */
const ABOUT_THE_REQUEST: ReadonlySet<ErrorCode> = new Set(['invalid-request', 'invalid-json', 'unsupported-feature']);

/** What the server said stands behind the first colon; behind "to" where it redirects. */
const UPSTREAM_WORDS = /^(upstream \S+ (?!cannot be reached|broke off).*?)(?::| to ).*$/s;

/** Of a prompt that is too long: our own sentence has two numbers in it. */
const CONTEXT_WORDS = /^This model's maximum context length is \d+ tokens(?=[;.])/;

export function recordedFailure(failure: Failure): Failure {
  return { ...failure, message: recordedMessage(failure) };
}

function recordedMessage({ code, message }: Failure): string {
  const upstream = UPSTREAM_WORDS.exec(message)?.[1];
  if (upstream !== undefined) return `${upstream} (its words went to the client)`;
  if (ABOUT_THE_REQUEST.has(code)) return 'the client was told what is wrong with its request';
  if (code !== 'context-length-exceeded') return message;
  return CONTEXT_WORDS.exec(message)?.[0] ?? 'the prompt is longer than the context';
}
