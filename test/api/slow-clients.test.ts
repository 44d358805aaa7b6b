/** Clients that send too much, too slowly or without end: each costs what its limit says, and the others are served. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { HEADERS_MAX } from '../../src/api/guard.ts';
import { closeApis, ENDED, MODEL, SERVING, startApi } from './fakes.ts';
import { exchange, openSocket, parseAnswer, readAll } from './raw-http.ts';

const HELLO = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'hello' }] });
const POST = ['POST /v1/chat/completions HTTP/1.1', 'Host: localhost', 'Content-Type: application/json'];
const GET = ['GET /livez HTTP/1.1', 'Host: localhost', 'Connection: close'];

async function chatAt(url: string): Promise<number> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: HELLO };
  return (await fetch(`${url}/v1/chat/completions`, init)).status;
}

/** Resolves as well when the other side is gone. */
async function flushed(socket: Socket, piece: string): Promise<void> {
  return new Promise((resolve) => {
    socket.write(piece, () => resolve());
  });
}

/** In buffers that somebody holds on to. */
function keptBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  collect();
  // What the first one found is given back after it.
  collect();
  return process.memoryUsage().arrayBuffers;
}

describe('the API server and clients without measure', () => {
  afterEach(closeApis);

  it('sees every header of a flood of small ones, or refuses them all', async () => {
    const { port, url, chat } = await startApi();
    chat.script = [SERVING, ENDED];
    // As many as are taken with those of `GET` and one more; by default Node drops or refuses those behind the first 1,000.
    for (const [count, status] of [
      [HEADERS_MAX - GET.length, 200],
      [HEADERS_MAX - GET.length + 2, 431],
      [2_400, 431],
      [16_000, 431],
    ] as const) {
      const flood = Array.from({ length: count }, () => 'a:');
      // eslint-disable-next-line no-await-in-loop
      assert.equal((await exchange(port, [...GET, ...flood])).status, status, String(count));
      for (const last of ['Host: evil.example', 'Origin: http://evil.example', 'Sec-Fetch-Site: cross-site'])
        // eslint-disable-next-line no-await-in-loop
        assert.ok((await exchange(port, [...GET, ...flood, last])).status >= 400, `${last} behind ${count}`);
    }
    assert.equal(await chatAt(url), 200);
  });

  it('cuts off headers that never end', async () => {
    const { port, url, chat } = await startApi();
    chat.script = [SERVING, ENDED];
    const socket = await openSocket(port);
    const all = readAll(socket);
    socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n');
    let sent = 0;
    while (!socket.destroyed && sent < 10_000_000) {
      const piece = 'x-more: and more\r\n'.repeat(500);
      sent += piece.length;
      // eslint-disable-next-line no-await-in-loop
      await flushed(socket, piece);
    }
    const answer = await all;
    if (answer !== '') assert.equal(parseAnswer(answer).status, 431);
    assert.ok(sent < 10_000_000, 'it took everything');
    assert.equal(await chatAt(url), 200);
  });

  it('ends bodies that trickle, many at once, while others are served', async () => {
    const { port, url, chat } = await startApi({ limits: { bodyMs: 300 } });
    chat.script = [SERVING, ENDED];
    const sockets = await Promise.all(Array.from({ length: 60 }, async () => openSocket(port)));
    const ends = sockets.map(async (socket) => readAll(socket));
    for (const socket of sockets) socket.write([...POST, 'Content-Length: 100000', '\r\n'].join('\r\n'));
    const trickle = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write(' ');
    }, 20);
    assert.equal(await chatAt(url), 200);
    const answers = await Promise.all(ends);
    clearInterval(trickle);
    for (const answer of answers) assert.equal(parseAnswer(answer).status, 400);
    assert.equal(chat.runs.length, 1);
  });

  it('has room for so many bytes of bodies on their way, and for others as soon as they are given up', async () => {
    const { port, url, chat } = await startApi({ limits: { bodyMs: 400, bodyBytes: 100_000, bodiesBytes: 250_000 } });
    chat.script = [SERVING, ENDED];
    const head = [...POST, 'Content-Length: 99000', 'Connection: close', '\r\n'].join('\r\n');
    const sockets = await Promise.all(Array.from({ length: 3 }, async () => openSocket(port)));
    const ends = sockets.map(async (socket) => readAll(socket));
    // The two that are first leave no room for most of the third.
    for (const socket of sockets) {
      // eslint-disable-next-line no-await-in-loop
      await flushed(socket, head);
      // eslint-disable-next-line no-await-in-loop
      await flushed(socket, 'x'.repeat(90_000));
    }
    const answers = (await Promise.all(ends)).map(parseAnswer);
    assert.deepEqual(answers.map(({ status }) => status).toSorted((left, right) => left - right), [400, 400, 503]); // prettier-ignore
    assert.match(answers.find(({ status }) => status === 503)?.headers.get('retry-after') ?? '', /^\d+$/);
    assert.equal(await chatAt(url), 200);
  });

  it('keeps nothing of a chunked body without end', async () => {
    const { port, url, chat } = await startApi({ limits: { bodyBytes: 8_000_000 } });
    chat.script = [SERVING, ENDED];
    const socket = await openSocket(port);
    let head = '';
    socket.setEncoding('utf8').on('data', (piece: string) => {
      head += piece;
    });
    socket.write([...POST, 'Transfer-Encoding: chunked', '\r\n'].join('\r\n'));
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    const before = keptBytes();
    for (let sent = 0; sent < 40_000_000 && !socket.destroyed; sent += chunk.length)
      // eslint-disable-next-line no-await-in-loop
      await flushed(socket, chunk);
    assert.equal(parseAnswer(head).status, 413);
    assert.ok(keptBytes() - before < 2_000_000);
    assert.equal(await chatAt(url), 200);
    socket.destroy();
  });
});
