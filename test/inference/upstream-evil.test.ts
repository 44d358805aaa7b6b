/**
 * A server that means harm, or is broken beyond reason, behind the engine: endless, huge, slow, lying or malformed in every part of
 * HTTP and of the API. Each run ends, once, with an answer of bounded length or a failure; the connection is given up; the engine
 * goes on with the next. What a single run promises before such a server is in `upstream.test.ts` as well.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import * as fc from 'fast-check';
import { LIMITS } from '../../src/params.ts';
import { parseModelId } from '../../src/ids.ts';
import type { EngineEvent, Job } from '../../src/inference/engine.ts';
import type { UpstreamOptions } from '../../src/inference/upstream-options.ts';
import { createUpstreamEngine, type UpstreamEngine } from '../../src/inference/upstream.io.ts';
import { Recording } from '../contract/engine.contract.ts';
import { type Answer, delta, DONE, FINISH, serve, stream } from './upstream-server.ts';

const CHAT = 'POST /v1/chat/completions';
const LIST = 'GET /v1/models';
const QUICK = { timeouts: { firstTokenMs: 150, idleMs: 100, progressMs: 20, listMs: 150 } };
const JSON_TYPE = { 'content-type': 'application/json' };

describe('an upstream that means harm', function () {
  this.timeout(20_000);
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed())
      // eslint-disable-next-line no-await-in-loop
      await close();
  });

  async function engineAt(baseUrl: string, more: Partial<UpstreamOptions> = {}): Promise<UpstreamEngine> {
    const engine = createUpstreamEngine({ name: 'evil', baseUrl, ...more });
    closers.push(() => engine.close());
    await engine.refresh();
    return engine;
  }

  /** `turns`: what it answers to each chat in turn, the last one for ever. */
  async function before(turns: readonly Answer[], more: Partial<UpstreamOptions> = {}): Promise<UpstreamEngine> {
    let asked = 0;
    const chat: Answer = (response, request) => {
      const turn = turns[Math.min(asked, turns.length - 1)];
      asked += 1;
      return turn?.(response, request);
    };
    const server = await serve({ [CHAT]: chat });
    closers.push(() => server.close());
    return engineAt(server.baseUrl, more);
  }

  /** Raw bytes instead of HTTP by Node; the list of models is answered well. */
  async function beforeBytes(chat: (socket: Socket) => void): Promise<UpstreamEngine> {
    const list = JSON.stringify({ data: [{ id: 'fake', max_model_len: 100 }] });
    const sockets = new Set<Socket>();
    const server = createTcpServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('data', (bytes) => {
        if (bytes.toString('latin1').startsWith('GET'))
          socket.write(
            `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${list.length}\r\n\r\n${list}`,
          );
        else chat(socket);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    });
    return engineAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, QUICK);
  }

  for (const { name, chunk } of [
    { name: 'comments', chunk: ': honk\n'.repeat(8_000) },
    { name: 'thoughts', chunk: `data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n`.repeat(1_000) },
  ])
    it(`sends ${name} without end`, async () => {
      let sent = 0;
      let gone: Promise<unknown> | undefined;
      const flood: Answer = (response) => {
        gone = once(response, 'close');
        stream(response);
        pour(response, () => {
          sent += chunk.length;
          return chunk;
        });
      };
      const engine = await before([flood, good]);
      const { failure } = await new Recording(engine, job(), 100).failed();
      assert.match(failure.code, /upstream-failed|stalled/);
      await gone;
      assert.ok(sent < 120_000_000, `${sent} bytes were taken`);
      await new Recording(engine, job(), 100).ended();
    });

  it('answers with a token for ever, and is cut off at the longest answer there is', async () => {
    const engine = await before([(response) => pour(stream(response), () => delta('a').repeat(600))]);
    const last = await new Recording(engine, job({ maxTokens: 5_000 }), 100_000).ended();
    assert.equal(last.finishReason, 'length');
    assert.equal(last.usage.completionTokens, 5_000);
  });

  for (const { name, body } of [
    { name: 'nested without end', body: () => '['.repeat(8_000_000) },
    {
      name: 'of millions of members',
      body: () => `{"choices":[{"message":{"content":"a"}}],"x":[${'0,'.repeat(2_000_000)}0]}`,
    },
    { name: 'that is cut', body: () => '{"choices":[{"message":{"content":"a' },
    { name: 'of the wrong shape', body: () => '{"choices":{"0":{"message":{"content":"a"}}}}' },
  ])
    it(`answers with a body of JSON ${name}`, async () => {
      const engine = await before([whole(body()), good]);
      assert.equal((await new Recording(engine, job(), 100).failed()).failure.code, 'upstream-failed');
      await new Recording(engine, job(), 100).ended();
    });

  it('answers with millions of words in one body, which come in so many pieces and no more', async () => {
    const content = 'a '.repeat(3_500_000);
    const body = JSON.stringify({ choices: [{ message: { content }, finish_reason: 'stop' }] });
    const engine = await before([whole(body)]);
    let pieces = 0;
    let length = 0;
    const last = await new Promise<EngineEvent>((resolve) => {
      const run = engine.start(job(), (event) => {
        if (event.type === 'tokens') {
          pieces += event.tokens;
          length += event.text.length;
        } else if (event.type !== 'progress') resolve(event);
      });
      run.grant(1_000_000);
    });
    assert.equal(last.type, 'ended');
    assert.equal(length, content.length);
    assert.ok(pieces > 10_000 && pieces <= 262_144, `${pieces} pieces`);
  });

  it('drips an error byte by byte, an answer byte by byte, or a head without end', async () => {
    const engine = await before(
      [drip((response) => response.writeHead(500)), drip((response) => stream(response)), good],
      QUICK,
    );
    for (const code of [/upstream-failed|upstream-error/, /stalled/])
      // eslint-disable-next-line no-await-in-loop
      assert.match((await new Recording(engine, job(), 100).failed()).failure.code, code);
    await new Recording(engine, job(), 100).ended();
  });

  for (const { name, bytes } of [
    { name: 'a head without end', bytes: 'HTTP/1.1 200 OK\r\n' + 'x-more: and more\r\n'.repeat(20_000) },
    { name: 'one header without end', bytes: `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(1_000_000)}` },
    { name: 'announcements without end', bytes: 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(5_000) },
    { name: 'early hints without end', bytes: 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(5_000) },
    { name: 'no HTTP', bytes: 'SSH-2.0-OpenSSH_9.2\r\n' },
    { name: 'HTTP of the wrong version', bytes: 'HTTP/9.9 200 OK\r\n\r\n' },
    { name: 'two lengths', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!' },
    {
      name: 'a length and chunks',
      bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    },
    {
      name: 'a chunk of a strange size',
      bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n',
    },
    {
      name: 'an upgrade',
      bytes: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    },
    { name: 'nothing at all', bytes: 'HTTP/1.1 204 No Content\r\n\r\n' },
    { name: 'a status beyond all', bytes: 'HTTP/1.1 999 Honk\r\nContent-Length: 0\r\n\r\n' },
  ])
    it(`answers with ${name}, and the run fails`, async () => {
      const engine = await beforeBytes((socket) => socket.write(bytes));
      const { failure } = await new Recording(engine, job(), 100).failed();
      assert.match(failure.code, /^(upstream-|stalled|stream-lost)/);
      assert.ok(failure.message.length < 1_000);
      assert.doesNotMatch(failure.message, /[\p{Cc}]/u);
    });

  it('lies about what it used, and is believed within reason', async () => {
    for (const usage of [{ prompt_tokens: -5, completion_tokens: 1e300 }, { prompt_tokens: '9' }, [], 7, null]) {
      const said = `data: ${JSON.stringify({ choices: [], usage })}\n\n`;
      // eslint-disable-next-line no-await-in-loop
      const engine = await before([(response) => void stream(response).end(delta('a') + FINISH + said + DONE)]);
      // eslint-disable-next-line no-await-in-loop
      const last = await new Recording(engine, job(), 100).ended();
      for (const count of Object.values(last.usage))
        assert.ok(Number.isInteger(count) && count >= 0 && count <= LIMITS.answerTokens, String(count));
    }
  });

  it('quotes terminal escapes and line breaks, which nobody is shown', async () => {
    const message = '\u001b[2J\u001b]0;evil\u0007 first\nsecond\u202e third '.repeat(200);
    for (const answer of [
      (response: ServerResponse) => response.writeHead(400, JSON_TYPE).end(JSON.stringify({ error: { message } })),
      (response: ServerResponse) => response.writeHead(500).end(message),
      (response: ServerResponse) => stream(response).end(`data: ${JSON.stringify({ error: { message } })}\n\n`),
      (response: ServerResponse) => response.writeHead(302, { location: `http://x/${'y'.repeat(9_000)}` }).end(),
    ]) {
      // eslint-disable-next-line no-await-in-loop
      const engine = await before([(response) => void answer(response)]);
      // eslint-disable-next-line no-await-in-loop
      const { failure } = await new Recording(engine, job(), 100).failed();
      assert.doesNotMatch(failure.message, /[\p{Cc}\p{Cf}]/u);
      assert.ok(failure.message.length < 1_000, `${failure.message.length} characters`);
    }
  });

  it('offers models with names that mean harm, far too many, or a list without end', async () => {
    const names = ['../../etc/passwd', '<img src=x>', '\u001b[2J', '__proto__', 'a'.repeat(9_000), '', ' ', 'ok', 'ok'];
    for (const list of [
      { data: [...names.map((id) => ({ id })), null, 7, [], { id: {} }] },
      { data: Array.from({ length: 50_000 }, (_, index) => ({ id: `m${index}` })) },
    ]) {
      // eslint-disable-next-line no-await-in-loop
      const server = await serve({ [LIST]: list });
      closers.push(() => server.close());
      // eslint-disable-next-line no-await-in-loop
      const models = (await engineAt(server.baseUrl, QUICK)).models();
      assert.ok(models.length > 0 && models.length <= 256);
      for (const { model } of models) assert.equal(parseModelId(model), model);
    }
    const floods: readonly Answer[] = [
      (response) => pour(response.writeHead(200, JSON_TYPE), () => `[${'['.repeat(65_536)}`),
      (response) => pour(response.writeHead(200, JSON_TYPE), () => `{"data":[${'{},'.repeat(20_000)}`),
      (response) => void response.writeHead(200, JSON_TYPE).write('{'),
      () => undefined,
      (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>{"data":[]}</html>'),
    ];
    for (const flood of floods) {
      // eslint-disable-next-line no-await-in-loop
      const server = await serve({ [LIST]: flood });
      closers.push(() => server.close());
      // eslint-disable-next-line no-await-in-loop
      assert.deepEqual((await engineAt(server.baseUrl, QUICK)).models(), []);
    }
  });

  it('answers with any bytes at all, and the run ends once', async () => {
    const piece = fc.oneof(
      fc.constantFrom(delta('a'), FINISH, DONE, 'data: ', '\n\n', '{"choices":[', '"delta":{', 'null', ']}', '\r'),
      fc.jsonValue().map((value) => `data: ${JSON.stringify(value)}\n\n`),
      fc.jsonValue().map((value) => `data: {"choices":[${JSON.stringify(value)}]}\n\n`),
      fc.string({ unit: 'binary' }),
    );
    const type = fc.constantFrom('text/event-stream', 'application/json');
    let said: readonly [string, readonly string[]] = ['', []];
    const anything: Answer = (response) => {
      const [header, pieces] = said;
      response.writeHead(200, { 'content-type': header });
      for (const one of pieces) response.write(Buffer.from(one, 'utf8'));
      response.end();
    };
    const engine = await before([anything]);
    await fc.assert(
      fc.asyncProperty(type, fc.array(piece, { maxLength: 12 }), async (header, pieces) => {
        said = [header, pieces];
        const recording = new Recording(engine, job(), 10_000);
        await recording.finished();
        assert.equal(recording.events.filter((event) => event.type === 'ended' || event.type === 'failed').length, 1);
      }),
      { numRuns: 150 },
    );
  });
});

const good: Answer = (response) => {
  stream(response).end(delta('a') + FINISH + DONE);
};

const drip =
  (begin: (response: ServerResponse) => void): Answer =>
  (response) => {
    begin(response);
    const timer = setInterval(() => response.write('x'), 5);
    response.on('close', () => clearInterval(timer));
  };

function whole(body: string): Answer {
  return (response) => {
    response.writeHead(200, JSON_TYPE).end(body);
  };
}

/** As fast as it is taken. */
function pour(response: ServerResponse, next: () => string): void {
  while (!response.destroyed && !response.writableNeedDrain) response.write(next());
  if (!response.destroyed) response.once('drain', () => pour(response, next));
}

function job(more: Partial<Job['sampling']> = {}): Job {
  const model = parseModelId('fake');
  assert.ok(model !== undefined);
  const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], ...more };
  return { model, messages: [{ role: 'user', content: 'hello' }], sampling };
}
