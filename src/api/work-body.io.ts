/**
 * Reads the body of a request for work into a JSON object, whatever its dialect: what is declared too large is refused before a
 * byte of it came, a client that waits for "100 Continue" hears it, and depth and syntax are judged before anything walks
 * the value. Pipelined requests wait here for their socket: work without one could not be cancelled by its end.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Failure } from '../errors.ts';
import { type BodyLimits, type BodyRoom, bodyTooLarge, isDeclaredTooLarge, readBody } from './body.io.ts';
import type { JsonObject } from './json-object.ts';
import { parseBody } from './request-body.ts';

/** Characters of a large body. Source: measured: decoding, parsing and reading one of 15 million take 10 to 30 ms each. */
const LARGE = 1_000_000;

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

export async function readWorkBody(
  { req, res, expectsContinue }: WorkRequest,
  limits: BodyLimits,
  room: BodyRoom,
): Promise<WorkBody> {
  if (res.socket === null) await once(res, 'socket');
  if (isDeclaredTooLarge(req, limits)) return { type: 'refused', failure: bodyTooLarge(limits) };
  // Without it, Node closes the connection after the answer: the held-back body may come or not.
  if (expectsContinue) res.writeContinue();
  const body = await readBody(req, limits, room);
  if (body.type === 'client-gone' || res.destroyed) return { type: 'client-gone' };
  if (body.type === 'text') return parsed(body.text);
  // The rest may never come.
  if (body.isLate) res.setHeader('connection', 'close');
  return { type: 'refused', failure: body.failure };
}

/** Each step with a large body in a turn of its own, so that others come in between. */
async function parsed(text: string): Promise<WorkBody> {
  if (text.length < LARGE) return parseBody(text);
  await nextTurn();
  const body = parseBody(text);
  await nextTurn();
  return body;
}
