/**
 * A real HTTP server on loopback that answers as one test wants: by route, or for chats by a function that may
 * misbehave in any way. Knows what came in and when an answer's reader went away.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Answer = (response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

export interface TestServer {
  readonly port: number;
  readonly baseUrl: string;
  /** Method and path of every request, in order. */
  readonly requests: string[];
  /** How many TCP connections were accepted. */
  connections(): number;
  close(): Promise<void>;
}

/** `routes` maps "GET /v1/models" to a JSON value or a function; the model list has one model, "fake", unless given. */
export async function serve(routes: Readonly<Record<string, unknown>>, port = 0): Promise<TestServer> {
  const requests: string[] = [];
  let connections = 0;
  const table: Readonly<Record<string, unknown>> = { 'GET /v1/models': { data: [{ id: 'fake' }] }, ...routes };
  const server: Server = createServer((request, response) => {
    const route = `${request.method} ${request.url}`;
    requests.push(route);
    request.resume().on('end', () => {
      const answer = table[route];
      // eslint-disable-next-line typescript/no-unsafe-type-assertion
      if (typeof answer === 'function') void (answer as Answer)(response, request);
      else {
        response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer ?? { error: { message: 'not found' } }));
      }
    });
  });
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    baseUrl: `http://127.0.0.1:${address.port}/v1`,
    requests,
    connections: () => connections,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

export function delta(content: string): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;
}

export const FINISH = `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\n`;
export const DONE = 'data: [DONE]\n\n';

export function stream(response: ServerResponse): ServerResponse {
  return response.writeHead(200, { 'content-type': 'text/event-stream' });
}
