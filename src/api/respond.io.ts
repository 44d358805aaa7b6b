/**
 * How an answer leaves: JSON with its length, the headers that every answer carries (request id, CORS, no sniffing, no
 * caching), failures as OpenAI error objects. The head is decided once; a failure after that point is the
 * business of whoever streams.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Failure } from '../errors.ts';
import type { RequestId } from '../ids.ts';
import { corsHeaders, type HeaderPairs } from './cors.ts';
import { errorStatus, retryAfterSeconds } from './error-body.ts';
import { errorBodyAt } from './error-place.ts';

/** Set before anything else is decided, so that refusals carry them too. */
export function setCommonHeaders(res: ServerResponse, requestId: RequestId, origin: string | undefined): void {
  res.setHeader('x-request-id', requestId);
  // Where Anthropic's clients look for it.
  res.setHeader('request-id', requestId);
  res.setHeader('x-content-type-options', 'nosniff');
  setHeaders(res, corsHeaders(origin));
}

export function setHeaders(res: ServerResponse, headers: HeaderPairs): void {
  for (const [name, value] of headers) res.setHeader(name, value);
}

export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: OutgoingHttpHeaders;
}

export function sendJson(res: ServerResponse, answer: JsonAnswer): void {
  const { status, body, headers = {} } = answer;
  sendJsonText(res, { status, text: JSON.stringify(body), headers });
}

/** `text`: JSON. */
export function sendJsonText(
  res: ServerResponse,
  answer: { readonly status: number; readonly text: string; readonly headers: OutgoingHttpHeaders },
): void {
  if (res.destroyed) return;
  const bytes = Buffer.from(`${answer.text}\n`);
  res.writeHead(answer.status, {
    'content-type': 'application/json',
    'content-length': bytes.length,
    'cache-control': 'no-store',
    ...answer.headers,
  });
  res.end(bytes);
}

/** `body`: as the client's API words failures; absent = as those under this path do. */
export function sendFailure(
  res: ServerResponse,
  failure: Failure,
  more: { readonly headers?: OutgoingHttpHeaders; readonly body?: unknown } = {},
): void {
  const retryAfter = retryAfterSeconds(failure);
  const place = { target: res.req.url ?? '', isAnthropic: isAnthropic(res.req) };
  sendJson(res, {
    status: errorStatus(failure),
    body: more.body ?? errorBodyAt(place, failure),
    headers: {
      ...more.headers,
      ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      ...(failure.code === 'unauthorized' ? { 'www-authenticate': 'Bearer' } : {}),
    },
  });
}

/** Its clients always say which version of its API they speak. */
export function isAnthropic(req: IncomingMessage): boolean {
  return req.headers['anthropic-version'] !== undefined;
}
