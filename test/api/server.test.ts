import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import * as fc from 'fast-check';
import { hashApiKey, type KeyRecord } from '../../src/api/key-record.ts';
import { KeyRing } from '../../src/api/key-ring.ts';
import { ROUTES } from '../../src/api/routes.ts';
import { closeApis, ENDED, jsonOf, MODEL, NODE, OTHER_NODE, RECORD, SERVING, startApi, STATUS, text } from './fakes.ts';
import { exchange } from './raw-http.ts';

const JSON_HEADERS = { 'content-type': 'application/json' };
const HELLO = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'hello' }] });

function pathOf(path: string): string {
  return path.replace('{id}', path.startsWith('/api') ? RECORD.requestId : MODEL);
}

function broken(): never {
  throw new Error('secret detail');
}

describe('the API server', () => {
  afterEach(closeApis);

  it('refuses hostile requests on every route, and starts no work for them', async () => {
    const { port, chat } = await startApi({ allowedOrigins: ['https://chat.example'] });
    chat.script = [SERVING, ENDED];
    const good = `Host: 127.0.0.1:${port}`;
    const hostile: readonly (readonly [method: string, target: string, headers: readonly string[], status: number])[] =
      [
        ['', '', ['Host: evil.example'], 421],
        ['', '', [`Host: evil.example:${port}`], 421],
        ['', '', [], 421],
        ['', '', [good, good], 421],
        ['', '', [good, 'Origin: http://evil.example'], 403],
        ['', '', [good, 'Origin: null'], 403],
        ['', '', [good, 'Sec-Fetch-Site: cross-site'], 403],
        [
          '',
          '',
          [good, 'Connection: Upgrade, close', 'Upgrade: websocket', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='],
          400,
        ],
        ['', 'http://evil.example', [good], 400],
        ['POST', '', [good, 'Content-Type: text/plain'], 415],
        ['POST', '', [good], 415],
        ['DELETE', '', [good], 415],
        ['DELETE', '', [good, 'Content-Type: application/json'], 405],
        ['PATCH', '', [good, 'Content-Type: application/json'], 405],
      ];
    const attempts = ROUTES.flatMap((route) => hostile.map((row) => [route, row] as const));
    await Promise.all(
      attempts.map(async ([route, [method, prefix, headers, status]]) => {
        const verb = method === '' ? route.method : method;
        const json = verb === 'POST' && method === '' ? ['Content-Type: application/json'] : [];
        const length = `Content-Length: ${verb === 'GET' ? 0 : HELLO.length}`;
        const line = `${verb} ${prefix}${pathOf(route.path)} HTTP/1.1`;
        const end = headers.some((header) => header.startsWith('Connection')) ? [] : ['Connection: close'];
        const head = [line, ...headers, ...json, length, ...end];
        const answer = await exchange(port, head, verb === 'GET' ? '' : HELLO);
        assert.equal(answer.status, status, `${line} ${headers.join(' ')}`);
        const { error } = JSON.parse(answer.body);
        assert.ok((error.message ?? error).length > 0);
        assert.match(answer.headers.get('x-request-id') ?? '', /^[0-9a-f]{32}$/);
        assert.equal(answer.headers.get('access-control-allow-origin'), undefined);
      }),
    );
    assert.equal(chat.runs.length, 0);
  });

  it('wants a key on every route but the sign of life, when it has keys', async () => {
    const { url, chat } = await startApi({ keys: ['sk-secret'] });
    chat.script = [SERVING, ENDED];
    for (const { method, path, scope } of ROUTES) {
      // With a key, a body that is no request of this route is refused for that. Ollama's routes may ask for nothing.
      const isChat = path === '/v1/chat/completions' || path === '/v1/messages/count_tokens';
      const isRefused = method === 'POST' && !isChat && !path.startsWith('/api/');
      const fine = isRefused ? 400 : 200;
      const init = method === 'POST' ? { method, headers: JSON_HEADERS, body: HELLO } : { method };
      // eslint-disable-next-line no-await-in-loop
      const without = await fetch(`${url}${pathOf(path)}`, init);
      assert.equal(without.status, scope === 'open' ? 200 : 401, path);
      if (scope !== 'open') assert.equal(without.headers.get('www-authenticate'), 'Bearer');
      // eslint-disable-next-line no-await-in-loop
      const wrong = await fetch(`${url}${pathOf(path)}`, {
        ...init,
        headers: { ...JSON_HEADERS, authorization: 'Bearer x' },
      });
      assert.equal(wrong.status, scope === 'open' ? 200 : 401, path);
      const headers = { ...JSON_HEADERS, authorization: 'Bearer sk-secret' };
      // eslint-disable-next-line no-await-in-loop
      assert.equal((await fetch(`${url}${pathOf(path)}`, { ...init, headers })).status, fine, path);
      // eslint-disable-next-line no-await-in-loop
      assert.equal((await fetch(`${url}${pathOf(path)}`, { method: 'OPTIONS' })).status, 204, path);
    }
    assert.equal(chat.runs.length, 3);
  });

  it('holds a key to its models, its rights and its limits, until it is revoked', async () => {
    const key: KeyRecord = {
      id: '00000001',
      name: 'phone',
      hash: hashApiKey('sk-phone'),
      scopes: ['infer'],
      models: ['no-such-*', 'tiny'],
      limits: { concurrentMax: 1 },
      createdS: 0,
    };
    const keys = new KeyRing({ hashes: [], isExposed: false });
    keys.set([key]);
    const { url, chat } = await startApi({ keys });
    const headers = { ...JSON_HEADERS, 'x-api-key': 'sk-phone' };
    const ask = async (model: string, path = '/v1/chat/completions'): Promise<Response> =>
      fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify({ ...JSON.parse(HELLO), model }) });
    assert.equal((await fetch(`${url}/v1/models`, { headers })).status, 200);
    assert.equal((await fetch(`${url}/api/status`, { headers })).status, 403);
    const other = await ask('large');
    assert.equal(other.status, 403);
    assert.deepEqual((await jsonOf(other)).error.param, 'model');
    const first = ask('tiny');
    const run = await chat.run();
    const second = await ask('tiny');
    assert.equal(second.status, 429);
    assert.equal(second.headers.get('retry-after'), '1');
    run.emit(SERVING);
    run.emit(ENDED);
    assert.equal((await first).status, 200);
    keys.set([]);
    keys.damaged();
    assert.equal((await ask('tiny')).status, 401);
  });

  it('answers 404 and 405 in JSON, with Allow', async () => {
    const { url } = await startApi();
    const missing = await fetch(`${url}/nothing`);
    assert.equal(missing.status, 404);
    assert.equal((await jsonOf(missing)).error.code, 'not_found');
    const wrong = await fetch(`${url}/v1/models`, { method: 'POST', headers: JSON_HEADERS, body: '{}' });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'GET, HEAD, OPTIONS');
  });

  it('answers a preflight of a configured page with the headers it asks for, and names it on every answer', async () => {
    const { url, chat } = await startApi({ allowedOrigins: ['https://chat.example'] });
    const origin = 'https://chat.example';
    const asked = 'authorization,content-type,x-stainless-retry-count';
    const preflight = await fetch(`${url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-headers'), asked);
    assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /POST/);
    chat.script = [SERVING, text('x'), ENDED];
    const post = { method: 'POST', headers: { ...JSON_HEADERS, origin } };
    const answers = await Promise.all([
      fetch(`${url}/v1/models`, { headers: { origin } }),
      fetch(`${url}/nothing`, { headers: { origin } }),
      fetch(`${url}/v1/chat/completions`, { ...post, body: 'no json' }),
      fetch(`${url}/v1/chat/completions`, { ...post, body: HELLO.replace('{', '{"stream":true,') }),
    ]);
    for (const answer of [preflight, ...answers]) {
      assert.equal(answer.headers.get('access-control-allow-origin'), origin, answer.url);
      assert.match(answer.headers.get('access-control-expose-headers') ?? '', /x-request-id, x-skein-node/);
      assert.match(answer.headers.get('vary') ?? '', /origin/i);
    }
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 404, 400, 200],
    );
  });

  it('tells about models, itself and past requests', async () => {
    const { url } = await startApi();
    const get = async (path: string): Promise<{ status: number; body: ReturnType<typeof JSON.parse> }> => {
      const response = await fetch(`${url}${path}`);
      assert.equal(response.headers.get('content-type'), 'application/json');
      return { status: response.status, body: await jsonOf(response) };
    };
    const list = (await get('/v1/models')).body;
    assert.ok(Number.isSafeInteger(list.data[0]?.created));
    assert.deepEqual(
      list.data.map(({ id, skein }: { id: string; skein: unknown }) => ({ id, skein })),
      [{ id: MODEL, skein: { nodes: [NODE, OTHER_NODE], context_tokens: 4_096, state: 'ready' } }],
    );
    assert.deepEqual((await get(`/v1/models/${encodeURIComponent(MODEL)}`)).body, list.data[0]);
    assert.equal((await get('/v1/models/nope')).status, 404);
    assert.deepEqual((await get('/api/status')).body, JSON.parse(JSON.stringify(STATUS.status())));
    assert.deepEqual((await get(`/api/requests/${RECORD.requestId}`)).body, RECORD);
    for (const id of ['nope', '0'.repeat(32)]) assert.equal((await get(`/api/requests/${id}`)).status, 404);
    assert.deepEqual(await get('/livez'), { status: 200, body: { alive: true } });
    assert.equal((await get('/')).body.name, 'skein');
    const head = await fetch(`${url}/v1/models`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
  });

  it('is ready when its node is and it does not drain', async () => {
    let ready = false;
    const readiness = (): { ready: boolean; reasons: string[] } => ({ ready, reasons: ready ? [] : ['no model'] });
    const { api, url } = await startApi({}, { ...STATUS, readiness });
    const ask = async (): Promise<unknown> => {
      const response = await fetch(`${url}/readyz`);
      return { status: response.status, ...(await jsonOf(response)) };
    };
    assert.deepEqual(await ask(), { status: 503, ready: false, reasons: ['no model'] });
    ready = true;
    assert.deepEqual(await ask(), { status: 200, ready: true, reasons: [] });
    await api.drain();
    assert.deepEqual(await ask(), { status: 503, ready: false, reasons: ['this node is shutting down'] });
    assert.equal((await fetch(`${url}/livez`)).status, 200);
  });

  it('listens on both loopback addresses with one port, where the machine has both', async () => {
    const { port } = await startApi();
    assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200);
    const probe = createServer();
    const hasIpv6 = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false)).listen(0, '::1', () => resolve(true));
    });
    probe.close();
    if (hasIpv6) assert.equal((await fetch(`http://[::1]:${port}/livez`)).status, 200);
  });

  it('names a port that is taken, and the way out', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    assert.ok(typeof address === 'object' && address !== null);
    await assert.rejects(startApi({ port: address.port }), (error: Error) => {
      assert.equal(error.name, 'ApiListenError');
      return error.message.includes(String(address.port)) && error.message.includes('--api-port');
    });
    taken.close();
    await once(taken, 'close');
  });

  it('is not started for the whole network without a key', async () => {
    await assert.rejects(startApi({ host: '0.0.0.0' }), /API key/);
    const { port } = await startApi({ host: '0.0.0.0', insecureNoAuth: true });
    const evil = await exchange(port, ['GET /livez HTTP/1.1', 'Host: evil.example', 'Connection: close']);
    assert.equal(evil.status, 421);
  });

  it('answers a mistake of its own with 500, a JSON error and a log entry without details', async () => {
    const { url, log } = await startApi({}, { ...STATUS, status: broken });
    const response = await fetch(`${url}/api/status`);
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /secret detail/);
    assert.ok(log.some((event) => event.type === 'internal-error'));
  });

  it('logs each request with its outcome and nothing that the client wrote', async () => {
    const { url, chat, logged, log } = await startApi();
    chat.script = [SERVING, text('hi'), ENDED];
    const entry = logged('request');
    await fetch(`${url}/v1/chat/completions?canary`, { method: 'POST', headers: JSON_HEADERS, body: HELLO });
    const { type, method, handler, status, node } = await entry;
    assert.deepEqual(
      { type, method, handler, status, node },
      { type: 'request', method: 'POST', handler: 'chat', status: 200, node: NODE },
    );
    assert.doesNotMatch(JSON.stringify(log), /canary|hello/);
  });

  it('never answers a client with 5xx for what it sent', async () => {
    const { url, chat } = await startApi();
    chat.script = [SERVING, text('hi'), ENDED];
    const field = fc.constantFrom('model', 'messages', 'stream', 'stop', 'n', 'tools', 'user', 'response_format');
    const almost = fc.dictionary(field, fc.jsonValue()).map((more) => ({ ...JSON.parse(HELLO), ...more }));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.jsonValue().map((body) => JSON.stringify(body)),
          almost.map((body) => JSON.stringify(body)),
          fc.string(),
        ),
        async (body) => {
          const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers: JSON_HEADERS, body });
          assert.ok(response.status < 500);
          await response.text();
        },
      ),
      { numRuns: 60 },
    );
  });
});
