/**
 * How an answer leaves: JSON with its length, the headers that every answer carries (request id, CORS, no sniffing, no
 * caching), failures as OpenAI error objects. The head is decided once; a failure after that point is the
 * business of whoever streams.
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Failure } from '../errors.ts';
import type { RequestId } from '../ids.ts';
import { corsHeaders, type HeaderPairs } from './cors.ts';
import { errorBody, errorStatus, retryAfterSeconds } from './error-body.ts';

/** Set before anything else is decided, so that refusals carry them too. */
export function setCommonHeaders(res: ServerResponse, requestId: RequestId, origin: string | undefined): void {
  res.setHeader('x-request-id', requestId);
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
  if (res.destroyed) return;
  const text = `${JSON.stringify(answer.body)}\n`;
  res.writeHead(answer.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...answer.headers,
  });
  res.end(text);
}

export function sendFailure(res: ServerResponse, failure: Failure, headers: OutgoingHttpHeaders = {}): void {
  const retryAfter = retryAfterSeconds(failure);
  sendJson(res, {
    status: errorStatus(failure),
    body: errorBody(failure),
    headers: {
      ...headers,
      ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      ...(failure.code === 'unauthorized' ? { 'www-authenticate': 'Bearer' } : {}),
    },
  });
}
