import assert from 'node:assert/strict';
import { once } from 'node:events';
import { failure } from '../../src/errors.ts';
import { closeApis, ENDED, jsonOf, MODEL, NODE, OTHER_NODE, SERVING, startApi, text, type TestApi } from './fakes.ts';
import { openSocket } from './raw-http.ts';

const BODY = { model: MODEL, messages: [{ role: 'user', content: 'hello' }] };

async function ask(
  { url }: TestApi,
  more: object = {},
  init: { signal?: AbortSignal; session?: string } = {},
): Promise<Response> {
  const { signal = null, session = '' } = init;
  const headers = { 'content-type': 'application/json', 'x-session-id': session };
  const body = JSON.stringify({ ...BODY, ...more });
  return fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body, signal });
}

/** Reads until `pattern` was seen. */
async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, pattern: RegExp): Promise<string> {
  const decoder = new TextDecoder();
  let seen = '';
  while (!pattern.test(seen)) {
    // Each read depends on the one before.
    // eslint-disable-next-line no-await-in-loop
    const { value, done } = await reader.read();
    assert.ok(!done, `the stream ended with ${JSON.stringify(seen)}`);
    seen += decoder.decode(value, { stream: true });
  }
  return seen;
}

function readerOf(response: Response): ReadableStreamDefaultReader<Uint8Array> {
  assert.ok(response.body);
  return response.body.getReader();
}

function eventsOf(body: string): ReturnType<typeof JSON.parse>[] {
  const lines = body.split('\n\n').filter((event) => event.startsWith('data: '));
  return lines.map((line) => (line === 'data: [DONE]' ? 'DONE' : JSON.parse(line.slice(6))));
}

function toChoice({ delta, finish_reason }: { delta: object; finish_reason: string | null }): object {
  return { ...delta, finish_reason };
}

describe('a chat over HTTP', () => {
  afterEach(closeApis);

  it('says which models exist when no model can have the name that was asked for', async () => {
    const api = await startApi();
    const response = await ask(api, { model: 'no model has spaces' });
    assert.equal(response.status, 404);
    const { error } = (await jsonOf(response)) as { error: { code: string; param: string; message: string } };
    assert.deepEqual([error.code, error.param], ['model_not_found', 'model']);
    assert.ok(error.message.includes(MODEL));
  });

  it('becomes a job of the mesh with its session', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, ENDED];
    const response = await ask(api, { user: 'u', temperature: 0 }, { session: 'talk-1' });
    const { request } = await api.chat.run();
    assert.equal(request.requestId, response.headers.get('x-request-id'));
    assert.equal(request.sessionKey, 'talk-1');
    assert.equal(request.job.model, MODEL);
    assert.equal(request.job.sampling.temperature, 0);
  });

  it('streams as server-sent events, with the serving node in the head', async () => {
    const api = await startApi();
    const pending = ask(api, { stream: true, stream_options: { include_usage: true } });
    const run = await api.chat.run();
    run.emit({ type: 'waiting', node: OTHER_NODE, detail: 'queued' });
    run.emit(SERVING);
    run.emit(text('Hel'));
    const response = await pending;
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    assert.equal(response.headers.get('cache-control'), 'no-cache');
    assert.equal(response.headers.get('x-accel-buffering'), 'no');
    assert.equal(response.headers.get('x-skein-node'), NODE);
    const reader = readerOf(response);
    const first = await readUntil(reader, /Hel/);
    run.emit({ type: 'serving', node: OTHER_NODE, resumedAt: 1 });
    run.emit(text('', 1));
    run.emit(text('lo'));
    run.emit(ENDED);
    const rest = await readUntil(reader, /\[DONE\]\n\n$/);
    assert.ok((await reader.read()).done);
    const events = eventsOf(first + rest);
    assert.deepEqual(
      events.map((event) => event.choices?.map(toChoice)),
      [
        [{ role: 'assistant', content: '', finish_reason: null }],
        [{ content: 'Hel', finish_reason: null }],
        [{ content: 'lo', finish_reason: null }],
        [{ finish_reason: 'stop' }],
        [],
        undefined,
      ],
    );
    assert.equal(new Set(events.slice(0, -1).map(({ id }) => id)).size, 1);
  });

  it('puts what one turn of the event loop brings into one write', async () => {
    const api = await startApi();
    const pending = ask(api, { stream: true });
    const run = await api.chat.run();
    run.emit(SERVING);
    for (const piece of ['a', 'b', 'c', 'd']) run.emit(text(piece));
    const reader = readerOf(await pending);
    const { value } = await reader.read();
    assert.equal(eventsOf(Buffer.from(value ?? []).toString()).length, 5);
    run.emit(ENDED);
    await readUntil(reader, /DONE/);
  });

  it('answers in one piece', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text('Hel'), text('lo'), ENDED];
    const response = await ask(api);
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.equal(response.headers.get('x-skein-node'), NODE);
    const body = await jsonOf(response);
    assert.equal(body.choices[0]?.message.content, 'Hello');
    assert.equal(body.usage.total_tokens, 7);
  });

  it('decides the status before the first byte, streamed or not', async () => {
    const api = await startApi();
    const full = failure('no-node-available', 'everybody is full', { retryAfterMs: 1_500 });
    api.chat.script = [SERVING, { type: 'failed', failure: full }];
    for (const stream of [true, false]) {
      // eslint-disable-next-line no-await-in-loop
      const response = await ask(api, { stream });
      assert.equal(response.status, 503);
      assert.equal(response.headers.get('retry-after'), '2');
      assert.equal(response.headers.get('content-type'), 'application/json');
      // eslint-disable-next-line no-await-in-loop
      const { error } = await jsonOf(response);
      assert.deepEqual([error.code, error.message], ['no_node_available', 'everybody is full']);
    }
  });

  it('breaks a stream off with an error event, never with a made-up finish', async () => {
    const api = await startApi();
    const pending = ask(api, { stream: true });
    const run = await api.chat.run();
    run.emit(SERVING);
    run.emit(text('Hel'));
    const reader = readerOf(await pending);
    await readUntil(reader, /Hel/);
    run.emit({ type: 'failed', failure: failure('stream-lost', 'it went away') });
    run.emit(text('too late'));
    const rest = await readUntil(reader, /DONE\]\n\n$/);
    assert.deepEqual(eventsOf(rest), [
      { error: { message: 'it went away', type: 'server_error', param: null, code: 'stream_lost' } },
      'DONE',
    ]);
    assert.ok((await reader.read()).done);
  });

  it('sends its head and comments when the answer takes long, and errors as events after that', async () => {
    const api = await startApi({ limits: { quietMs: 20 } });
    const pending = ask(api, { stream: true });
    const run = await api.chat.run();
    const response = await pending;
    assert.equal(response.status, 200);
    const reader = readerOf(response);
    const comments = await readUntil(reader, /(?:: keep-alive\n\n){2}/);
    assert.equal(comments.replaceAll(': keep-alive\n\n', ''), '');
    run.emit({ type: 'failed', failure: failure('busy', 'full') });
    const events = eventsOf(await readUntil(reader, /DONE/));
    assert.equal(events[0]?.error?.code, 'busy');
  });

  it('cancels the run when the client leaves: streaming, waiting, and without a stream', async () => {
    const api = await startApi();
    const leave = async (stream: boolean, withText: boolean): Promise<void> => {
      const index = api.chat.runs.length;
      const controller = new AbortController();
      const pending = ask(api, { stream }, { signal: controller.signal });
      const run = await api.chat.run(index);
      if (withText) {
        run.emit(SERVING);
        run.emit(text('Hel'));
        if (stream) await readUntil(readerOf(await pending), /Hel/);
      }
      const gone = api.logged('request');
      controller.abort();
      if (!(stream && withText)) await assert.rejects(pending, { name: 'AbortError' });
      await run.untilCancelled();
      assert.equal((await gone).status, 499);
    };
    await leave(true, true);
    await leave(true, false);
    await leave(false, true);
    await leave(false, false);
  });

  it('starts nothing for a client that leaves before its body is complete', async () => {
    const api = await startApi();
    const socket = await openSocket(api.port);
    const head = ['POST /v1/chat/completions HTTP/1.1', 'Host: localhost', 'Content-Type: application/json'];
    const gone = api.logged('request');
    socket.write([...head, 'Content-Length: 1000', '', '{'].join('\r\n'), () => socket.destroy());
    assert.equal((await gone).status, 499);
    assert.equal(api.chat.runs.length, 0);
  });

  it('runs the chats of a client that sends several at once one after the other', async () => {
    const api = await startApi();
    const body = JSON.stringify(BODY);
    const head = ['POST /v1/chat/completions HTTP/1.1', 'Host: localhost', 'Content-Type: application/json'];
    const request = [...head, `Content-Length: ${body.length}`, '', body].join('\r\n');
    const socket = await openSocket(api.port);
    socket.write(request.repeat(3));
    const first = await api.chat.run(0);
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    assert.equal(api.chat.runs.length, 1);
    first.emit(ENDED);
    const second = await api.chat.run(1);
    const gone = api.logged('request');
    socket.destroy();
    await Promise.all([second.untilCancelled(), gone]);
    assert.equal(api.chat.runs.length, 2);
  });

  it('does not cancel what has ended', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text('x'), ENDED];
    const done = api.logged('request');
    await (await ask(api, { stream: true })).text();
    assert.equal((await done).status, 200);
    assert.equal((await api.chat.run()).cancelled, false);
  });

  it('grants a window first and then as much as the socket took', async () => {
    const api = await startApi({ limits: { windowTokens: 8 } });
    const pending = ask(api, { stream: true });
    const run = await api.chat.run();
    run.emit(SERVING);
    assert.equal(run.granted, 8);
    for (let token = 0; token < 3; token += 1) run.emit(text('a'));
    await readUntil(readerOf(await pending), /(?:.*"a".*\n\n){3}/);
    assert.equal(run.granted, 8);
    const more = once(run.events, 'granted');
    run.emit(text('a'));
    await more;
    assert.equal(run.granted, 12);
    run.emit(ENDED);
  });

  it('stops granting to a client that does not read, and goes on when it reads again', async () => {
    const window = 64;
    const api = await startApi({ limits: { windowTokens: window } });
    const body = JSON.stringify({ ...BODY, stream: true });
    const socket = await openSocket(api.port);
    socket.pause();
    const head = ['POST /v1/chat/completions HTTP/1.1', 'Host: localhost', 'Content-Type: application/json'];
    socket.write([...head, `Content-Length: ${body.length}`, '', body].join('\r\n'));
    const run = await api.chat.run();
    run.emit(SERVING);
    let produced = 0;
    /** Produces all that is granted; false once no grant comes for several turns of the event loop. */
    const produce = async (): Promise<boolean> => {
      for (let turn = 0; turn < 50 && produced >= run.granted; turn += 1) await new Promise(setImmediate);
      if (produced >= run.granted) return false;
      for (; produced < run.granted; produced += 1) run.emit(text('x'.repeat(4_000)));
      return true;
    };
    // eslint-disable-next-line no-await-in-loop
    while (await produce()) assert.ok(produced < 20_000, 'grants never stop');
    assert.equal(produced, run.granted);
    const stoppedAt = run.granted;
    const again = once(run.events, 'granted');
    socket.resume();
    await again;
    assert.ok(run.granted > stoppedAt);
    socket.destroy();
    await run.untilCancelled();
  });

  it('takes no more chats than its maximum, and says when to come again', async () => {
    const api = await startApi({ limits: { chats: 1 } });
    const pending = ask(api);
    const run = await api.chat.run();
    const refused = await ask(api);
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get('retry-after'), '1');
    run.emit(ENDED);
    assert.equal((await pending).status, 200);
  });

  it('drains: running answers end, new ones are refused', async () => {
    const api = await startApi();
    const pending = ask(api, { stream: true });
    const run = await api.chat.run();
    run.emit(SERVING);
    run.emit(text('Hel'));
    const response = await pending;
    let drained = false;
    const drain = api.api.drain().then(() => {
      drained = true;
    });
    const refused = await ask(api);
    assert.equal(refused.status, 503);
    assert.equal((await jsonOf(refused)).error.code, 'draining');
    assert.equal(drained, false);
    run.emit(ENDED);
    assert.match(await response.text(), /"finish_reason":"stop"/);
    await drain;
  });

  it('closes: running answers end with an error and their runs are cancelled', async () => {
    const api = await startApi();
    const streaming = ask(api, { stream: true });
    const run = await api.chat.run(0);
    run.emit(SERVING);
    run.emit(text('Hel'));
    const response = await streaming;
    const waiting = ask(api);
    const other = await api.chat.run(1);
    const closed = api.api.close();
    assert.match(await response.text(), /"code":"draining".*\n\ndata: \[DONE\]\n\n$/s);
    assert.equal((await waiting).status, 503);
    assert.ok(run.cancelled && other.cancelled);
    await closed;
    await assert.rejects(ask(api));
  });
});
