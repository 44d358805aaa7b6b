/**
 * Opens the listening sockets of the API. On this machine's own addresses that are two, 127.0.0.1 and ::1, on one port,
 * because programs resolve `localhost` to either; a machine without IPv6 has one. Where the port is free to choose, both
 * are tried until a number is free on both; a port that somebody named and that is taken is an error that names it.
 */
import type { Server } from 'node:http';
import type { BindPlan } from './bind.ts';
import { urlHost } from './bind.ts';

/** The API could not start to listen; the message says where, why and what to do. */
export class ApiListenError extends Error {
  override readonly name = 'ApiListenError';
}

export interface Listening {
  readonly servers: readonly Server[];
  readonly url: string;
  readonly port: number;
}

/** Source: guess: each try fails about once in a thousand times. */
const PORT_TRIES_MAX = 5;
const NO_SUCH_FAMILY: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);

export async function listen(
  plan: Extract<BindPlan, { type: 'bind' }>,
  port: number,
  createServer: () => Server,
): Promise<Listening> {
  for (let tries = 1; ; tries += 1) {
    const first = createServer();
    // Each try needs the outcome of the one before.
    // eslint-disable-next-line no-await-in-loop
    const chosen = await open(first, plan.required, port);
    if (typeof chosen === 'object') throw listenError(chosen, plan.required, port);
    const url = `http://${urlHost(plan.required)}:${chosen}`;
    if (plan.optional === undefined) return { servers: [first], url, port: chosen };
    const second = createServer();
    // eslint-disable-next-line no-await-in-loop
    const other = await open(second, plan.optional, chosen);
    if (typeof other === 'number') return { servers: [first, second], url, port: chosen };
    if (NO_SUCH_FAMILY.has(other.code ?? '')) return { servers: [first], url, port: chosen };
    first.close();
    if (port !== 0 || tries >= PORT_TRIES_MAX) throw listenError(other, plan.optional, chosen);
  }
}

/** The port, or why there is none. */
async function open(server: Server, host: string, port: number): Promise<number | NodeJS.ErrnoException> {
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException): void => resolve(error);
    server.once('error', onError);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', onError);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): ApiListenError {
  const place = `${urlHost(host)}:${port}`;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program uses this port: stop it, or choose another port with --api-port',
    EACCES: 'this port needs more rights: choose one above 1023 with --api-port',
    EADDRNOTAVAIL: 'this machine has no such address: choose another with --api-host',
    ENOTFOUND: 'this name has no address: choose another with --api-host',
  };
  const reason = reasons[error.code ?? ''] ?? error.message;
  return new ApiListenError(`the API cannot listen on ${place}: ${reason}`, { cause: error });
}
