import assert from 'node:assert/strict';
import { once } from 'node:events';
import { LIMITS } from '../../src/params.ts';
import { closeApis, ENDED, MODEL, SERVING, startApi, text } from './fakes.ts';
import { exchange, openSocket, parseAnswer, readAll } from './raw-http.ts';

const HELLO = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'hello' }] });
const POST = ['POST /v1/chat/completions HTTP/1.1', 'Host: localhost', 'Content-Type: application/json'];

function codeOf(body: string): unknown {
  return JSON.parse(body).error.code;
}

/** A short limit on the head may end an honest request too when the machine is busy: then it comes again, as clients do. */
async function untilServed(url: string): Promise<void> {
  for (let tries = 0; tries < 5; tries += 1) {
    // eslint-disable-next-line no-await-in-loop
    const status = await fetch(`${url}/livez`).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return;
  }
  assert.fail('nobody is served any more');
}

describe('the API server and hard clients', () => {
  afterEach(closeApis);

  it('refuses a body that says it is too large before it comes', async () => {
    const { port, chat } = await startApi();
    const socket = await openSocket(port);
    socket.write([...POST, `Content-Length: ${LIMITS.httpBodyBytes + 1}`, '\r\n'].join('\r\n'));
    const [bytes] = await once(socket.setEncoding('utf8'), 'data');
    assert.equal(parseAnswer(bytes).status, 413);
    assert.equal(codeOf(parseAnswer(bytes).body), 'body_too_large');
    socket.destroy();
    assert.equal(chat.runs.length, 0);
  });

  it('refuses a body that turns out too large, and a client that sends it all gets the answer', async () => {
    const { url, chat } = await startApi({ limits: { bodyBytes: 100_000 } });
    chat.script = [SERVING, ENDED];
    const send = async (bytes: number, chunked: boolean): Promise<number> => {
      const padded = HELLO.replace('hello', 'x'.repeat(bytes - HELLO.length + 5));
      const body = chunked ? new Blob([padded]).stream() : padded;
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body, duplex: 'half' as const };
      const response = await fetch(`${url}/v1/chat/completions`, init);
      await response.text();
      return response.status;
    };
    assert.equal(await send(100_000, false), 200);
    assert.equal(await send(100_001, false), 413);
    assert.equal(await send(100_000, true), 200);
    assert.equal(await send(100_001, true), 413);
    assert.equal(await send(5_000_000, true), 413);
    assert.equal(await send(5_000_000, false), 413);
  });

  it('takes sixteen megabytes', async () => {
    const { url, chat } = await startApi();
    chat.script = [SERVING, ENDED];
    const body = HELLO.replace('hello', 'x'.repeat(LIMITS.httpBodyBytes - HELLO.length + 5));
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
    assert.equal((await fetch(`${url}/v1/chat/completions`, init)).status, 200);
  });

  it('tells a client that asks first whether to send its body', async () => {
    const { port, chat } = await startApi();
    chat.script = [SERVING, ENDED];
    const expecting = [...POST, 'Expect: 100-continue'];
    const socket = await openSocket(port);
    const all = readAll(socket);
    socket.write([...expecting, 'Connection: close', `Content-Length: ${HELLO.length}`, '\r\n'].join('\r\n'));
    const [interim] = await once(socket, 'data');
    assert.match(interim, /^HTTP\/1\.1 100 /);
    socket.write(HELLO);
    assert.match(await all, /HTTP\/1\.1 200 OK/);
    const refused = await exchange(port, [...expecting, `Content-Length: ${LIMITS.httpBodyBytes + 1}`]);
    assert.equal(refused.status, 413);
    assert.equal(refused.headers.get('connection'), 'close');
  });

  it('refuses bodies that are no UTF-8 or no JSON with 400', async () => {
    const { url } = await startApi();
    for (const body of [new Uint8Array([0x7b, 0xff, 0x7d]), '{', '']) {
      // eslint-disable-next-line no-await-in-loop
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      assert.equal(response.status, 400);
      // eslint-disable-next-line no-await-in-loop
      assert.equal(codeOf(await response.text()), 'invalid_json');
    }
  });

  it('takes a body that begins with a byte order mark, and no second one', async () => {
    const { url, chat } = await startApi();
    chat.script = [SERVING, ENDED];
    for (const [marks, status] of [
      ['\uFEFF', 200],
      ['\uFEFF\uFEFF', 400],
    ] as const) {
      // prettier-ignore
      const body = `${marks}${HELLO}`;
      // eslint-disable-next-line no-await-in-loop
      const { status: got } = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      assert.equal(got, status);
    }
  });

  it('answers what is no HTTP with 400 and headers that are too large with 431', async () => {
    const { port } = await startApi();
    const garbage = await exchange(port, ['\u0000garbage']);
    assert.equal(garbage.status, 400);
    assert.equal(codeOf(garbage.body), 'invalid_request');
    const large = await exchange(port, ['GET /livez HTTP/1.1', 'Host: localhost', `X-Large: ${'x'.repeat(16_384)}`]);
    assert.equal(large.status, 431);
    assert.equal(codeOf(large.body), 'headers_too_large');
    const fits = ['GET /livez HTTP/1.1', 'Host: localhost', 'Connection: close', `X-Large: ${'x'.repeat(15_000)}`];
    assert.equal((await exchange(port, fits)).status, 200);
  });

  it('ends connections that trickle their head or say nothing, while others are served', async () => {
    const { port, url } = await startApi({ limits: { headersMs: 150 } });
    const silent = await openSocket(port);
    const trickling = await openSocket(port);
    trickling.write('GET /livez HT');
    const trickle = setInterval(() => trickling.write('x'), 20);
    const [nothing, late] = await Promise.all([readAll(silent), readAll(trickling)]);
    clearInterval(trickle);
    for (const bytes of [nothing, late]) if (bytes !== '') assert.equal(parseAnswer(bytes).status, 400);
    await untilServed(url);
  });

  it('gives up on a body that trickles', async () => {
    const { port, chat } = await startApi({ limits: { bodyMs: 100 } });
    const socket = await openSocket(port);
    const all = readAll(socket);
    socket.write([...POST, 'Content-Length: 1000', '\r\n'].join('\r\n'));
    const trickle = setInterval(() => socket.write(' '), 20);
    const answer = parseAnswer(await all);
    clearInterval(trickle);
    assert.equal(answer.status, 400);
    assert.match(answer.body, /did not arrive within/);
    assert.equal(chat.runs.length, 0);
  });

  it('survives hundreds of trickling connections and keeps answering', async () => {
    const { port, url } = await startApi({ limits: { headersMs: 300 } });
    const sockets = await Promise.all(Array.from({ length: 200 }, async () => openSocket(port)));
    const closed = sockets.map(async (socket) => readAll(socket));
    for (const socket of sockets) socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: loc');
    await untilServed(url);
    await Promise.all(closed);
    await untilServed(url);
  });

  it('closes connections beyond its maximum, and says so in the log', async () => {
    const { port, logged } = await startApi({ limits: { connections: 2 } });
    const first = await openSocket(port);
    const second = await openSocket(port);
    const full = logged('connections-full');
    const third = await openSocket(port);
    await Promise.all([full, readAll(third)]);
    first.destroy();
    second.destroy();
  });

  it('keeps a connection for the next request, and closes it when it stays idle', async () => {
    const request = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n';
    // Two servers: with the short limit alone, the second request would race against it.
    const patient = await startApi();
    const kept = await openSocket(patient.port);
    const both = readAll(kept);
    for (let count = 0; count < 2; count += 1) {
      kept.write(request);
      // eslint-disable-next-line no-await-in-loop
      await once(kept, 'data');
    }
    kept.destroy();
    assert.equal((await both).split('HTTP/1.1 200 OK').length - 1, 2);
    const { port } = await startApi({ limits: { idleConnectionMs: 100 } });
    const idle = await openSocket(port);
    const all = readAll(idle);
    idle.write(request);
    assert.equal((await all).split('HTTP/1.1 200 OK').length - 1, 1);
  });

  it('ends a connection that was opened ahead and never used without a word, and says so where half a request came', async () => {
    const { port } = await startApi({ limits: { headersMs: 100, bodyMs: 100 } });
    const [unused, half] = [await openSocket(port), await openSocket(port)];
    const answers = [readAll(unused), readAll(half)];
    half.write('GET /livez HTTP/1.1\r\nHost: loc');
    const [silent, told] = await Promise.all(answers);
    assert.equal(silent, '');
    assert.equal(parseAnswer(told ?? '').status, 400);
  });

  it('drops a client that takes no bytes, but not one that waits for a slow engine', async () => {
    const { port, url, chat, logged } = await startApi({ limits: { writeStallMs: 200, quietMs: 60_000 } });
    const streaming = HELLO.replace('{', '{"stream":true,');
    const stuck = await openSocket(port);
    stuck.write([...POST, `Content-Length: ${streaming.length}`, '', streaming].join('\r\n'));
    const stuckRun = await chat.run(0);
    stuck.pause();
    const patient = fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: HELLO,
    });
    const patientRun = await chat.run(1);
    const dropped = logged('client-stalled');
    stuckRun.emit(SERVING);
    // More than the buffers of both kernels' sockets hold.
    for (let piece = 0; piece < 7; piece += 1) stuckRun.emit(text('x'.repeat(1_000_000)));
    await Promise.all([dropped, stuckRun.untilCancelled()]);
    patientRun.emit(text('late'));
    patientRun.emit(ENDED);
    assert.equal((await patient).status, 200);
    stuck.destroy();
  });
});
