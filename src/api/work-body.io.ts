/**
 * Reads the body of a request for work into a JSON object, whatever its dialect: what is declared too large is refused before a
 * byte of it came, a client that waits for "100 Continue" hears it, and depth and syntax are judged before anything walks
 * the value. Pipelined requests wait here for their socket: work without one could not be cancelled by its end.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Failure } from '../errors.ts';
import { type BodyLimits, bodyTooLarge, isDeclaredTooLarge, readBody } from './body.io.ts';
import type { JsonObject } from './json-object.ts';
import { parseBody } from './request-body.ts';

export interface WorkRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The client waits for "100 Continue" before it sends its body. */
  readonly expectsContinue: boolean;
}

export type WorkBody =
  | { readonly type: 'body'; readonly body: JsonObject }
  | { readonly type: 'refused'; readonly failure: Failure }
  | { readonly type: 'client-gone' };

export async function readWorkBody({ req, res, expectsContinue }: WorkRequest, limits: BodyLimits): Promise<WorkBody> {
  if (res.socket === null) await once(res, 'socket');
  if (isDeclaredTooLarge(req, limits)) return { type: 'refused', failure: bodyTooLarge(limits) };
  // Without it, Node closes the connection after the answer: the held-back body may come or not.
  if (expectsContinue) res.writeContinue();
  const body = await readBody(req, limits);
  if (body.type === 'client-gone' || res.destroyed) return { type: 'client-gone' };
  if (body.type === 'text') return parseBody(body.text);
  // The rest may never come.
  if (body.isLate) res.setHeader('connection', 'close');
  return { type: 'refused', failure: body.failure };
}
