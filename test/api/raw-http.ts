/** HTTP as bytes, for requests that no decent client sends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A connected socket; errors after the connection are left to 'close'. */
export async function openSocket(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  socket.on('error', () => socket.destroy());
  return socket;
}

/** Sends `lines` as the head (and `body`), and reads until the server closes. */
export async function exchange(port: number, lines: readonly string[], body: string = ''): Promise<RawAnswer> {
  const socket = await openSocket(port);
  const answer = readAll(socket);
  socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
  return parseAnswer(await answer);
}

/** Everything that comes until the connection is closed. */
export async function readAll(socket: Socket): Promise<string> {
  let all = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    all += chunk;
  });
  // An error is as good an end as any.
  await new Promise((resolve) => {
    socket.on('close', resolve);
  });
  return all;
}

export function parseAnswer(bytes: string): RawAnswer {
  const end = bytes.indexOf('\r\n\r\n');
  assert.ok(end > 0, `no HTTP answer: ${JSON.stringify(bytes.slice(0, 200))}`);
  const [statusLine = '', ...lines] = bytes.slice(0, end).split('\r\n');
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { status: Number(statusLine.split(' ')[1]), headers, body: bytes.slice(end + 4) };
}
