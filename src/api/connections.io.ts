/**
 * Which answers are under way on which socket? That decides what may be done to it: one that is idle or takes no bytes
 * is closed when its time is up, one that merely waits for a slow engine is not; and bytes that are no HTTP get an error
 * answer only where no other answer has begun.
 * Node's socket timeout restarts with every byte that the other side takes, so that a slow reader is not a stuck one.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Failure, failure } from '../errors.ts';
import type { RequestId } from '../ids.ts';
import type { ApiLimits, ApiLogEvent } from './api-options.ts';
import { errorBody, errorStatus } from './error-body.ts';

export interface ConnectionsInit {
  readonly limits: ApiLimits;
  readonly newRequestId: () => RequestId;
  readonly log: (event: ApiLogEvent) => void;
}

export class Connections {
  readonly #init: ConnectionsInit;
  readonly #answers = new WeakMap<Duplex, Set<ServerResponse>>();

  constructor(init: ConnectionsInit) {
    this.#init = init;
  }

  /** Counts an answer from now until it is out or lost. */
  track({ socket }: IncomingMessage, res: ServerResponse): void {
    const answers = this.#answers.get(socket) ?? new Set();
    this.#answers.set(socket, answers.add(res));
    res.on('close', () => answers.delete(res));
  }

  /** Makes a server keep the limits. */
  watch(server: Server): void {
    const { limits, log } = this.#init;
    server.maxConnections = limits.connections;
    server.timeout = limits.writeStallMs;
    server.on('timeout', (socket) => this.#timedOut(socket));
    server.on('clientError', (error, socket) => this.#clientError(error, socket));
    server.on('drop', () => log({ type: 'connections-full' }));
  }

  #timedOut(socket: Socket): void {
    const isAnswering = (this.#answers.get(socket)?.size ?? 0) > 0;
    if (isAnswering && socket.writableLength === 0) return;
    if (isAnswering) this.#init.log({ type: 'client-stalled' });
    socket.destroy();
  }

  #clientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    const code = error.code ?? 'unknown';
    if (code !== 'ECONNRESET') this.#init.log({ type: 'client-error', code });
    const begun = [...(this.#answers.get(socket) ?? [])].some((res) => res.headersSent);
    // Opened ahead of a request that never came: an answer to none would be taken for that to the next one.
    const isUnused = code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket instanceof Socket && socket.bytesRead === 0;
    if (begun || isUnused || !socket.writable || code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    socket.write(rawAnswer(toFailure(code), this.#init.newRequestId()));
    if (socket instanceof Socket) socket.destroySoon();
    else socket.destroy();
  }
}

function toFailure(code: string): Failure {
  if (code === 'HPE_HEADER_OVERFLOW') return failure('headers-too-large', 'the headers of the request are too large');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return failure('invalid-request', 'the request did not arrive in time');
  return failure('invalid-request', 'this is not a valid HTTP/1.1 request');
}

/** An answer without a ServerResponse: there is no request that it could belong to. */
function rawAnswer(reason: Failure, requestId: RequestId): string {
  const body = `${JSON.stringify(errorBody(reason))}\n`;
  const head = [
    `HTTP/1.1 ${errorStatus(reason)} Refused`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
