/**
 * What do streams of events have in common, whatever is streamed? The content type, the end, the comment for quiet times
 * and the event of a failure after the status was sent.
 */
import type { Failure } from '../errors.ts';
import { errorBody } from './error-body.ts';

export const EVENT_STREAM = 'text/event-stream; charset=utf-8';
/** A comment, which parsers skip. Never "ping": one client takes a line with that word for the end. */
export const KEEP_ALIVE_COMMENT = ': keep-alive\n\n';
export const DONE = 'data: [DONE]\n\n';

/** The last of a stream that breaks off. */
export function errorEvent(failure: Failure): string {
  return `data: ${JSON.stringify(errorBody(failure))}\n\n${DONE}`;
}

/** One event of the streams whose events have names. */
export function namedEvent(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
