import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { parseModelId } from '../../src/ids.ts';
import type { Job } from '../../src/inference/engine.ts';
import type { UpstreamOptions } from '../../src/inference/upstream-options.ts';
import { createUpstreamEngine, type UpstreamEngine } from '../../src/inference/upstream.io.ts';
import { Recording } from '../contract/engine.contract.ts';
import { delta, DONE, FINISH, serve, stream, type TestServer } from './upstream-server.ts';

describe('the models that the upstream engine offers', () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  });

  async function server(routes: Readonly<Record<string, unknown>>, port = 0): Promise<TestServer> {
    const started = await serve(routes, port);
    closers.push(() => started.close());
    return started;
  }

  async function engineAt(baseUrl: string, more: Partial<UpstreamOptions> = {}): Promise<UpstreamEngine> {
    const engine = createUpstreamEngine({ name: 'test', baseUrl, ...more });
    closers.push(() => engine.close());
    await engine.refresh();
    return engine;
  }

  it('are ready, without a proof of their weights', async () => {
    const engine = await engineAt((await server({})).baseUrl, { slots: 7, contextTokens: 1_000 });
    assert.deepEqual(engine.models(), [
      { model: 'fake', state: 'ready', digest: '', contextTokens: 1_000, slots: 7, loadMs: 0 },
    ]);
  });

  const families = [
    {
      name: 'vLLM, which tells all in its list',
      routes: { 'GET /v1/models': { data: [{ id: 'm', max_model_len: 8_192 }] } },
      expected: { contextTokens: 8_192, slots: 4 },
      requests: ['GET /v1/models'],
    },
    {
      name: 'llama-server',
      routes: {
        'GET /v1/models': { data: [{ id: 'm', meta: { n_ctx_train: 131_072 } }] },
        'GET /props': { default_generation_settings: { n_ctx: 4_096 }, total_slots: 2 },
      },
      expected: { contextTokens: 4_096, slots: 2 },
      requests: ['GET /v1/models', 'GET /props'],
    },
    {
      name: 'LM Studio',
      routes: {
        'GET /v1/models': { data: [{ id: 'm' }, { id: 'embed' }] },
        'GET /api/v0/models': {
          data: [
            { id: 'm', type: 'llm', max_context_length: 9_000 },
            { id: 'embed', type: 'embeddings' },
          ],
        },
      },
      expected: { contextTokens: 9_000, slots: 4 },
      requests: ['GET /v1/models', 'GET /props', 'GET /api/v0/models'],
    },
    {
      name: 'Ollama',
      routes: {
        'GET /v1/models': { data: [{ id: 'm' }] },
        'GET /api/version': { version: '0.30.0' },
        'POST /api/show': { model_info: { 'general.architecture': 'x', 'x.context_length': 2_048 } },
      },
      expected: { contextTokens: 2_048, slots: 4 },
      requests: ['GET /v1/models', 'GET /props', 'GET /api/v0/models', 'GET /api/version', 'POST /api/show'],
    },
    {
      name: 'a server that tells nothing',
      routes: { 'GET /v1/models': { data: [{ id: 'm' }] } },
      expected: { contextTokens: 0, slots: 4 },
      requests: ['GET /v1/models', 'GET /props', 'GET /api/v0/models', 'GET /api/version'],
    },
  ];
  for (const { name, routes, expected, requests } of families)
    it(`have the limits of ${name}`, async () => {
      const started = await server(routes);
      const engine = await engineAt(started.baseUrl);
      const models = engine.models();
      assert.deepEqual(
        models
          .filter(({ model }) => model === 'm')
          .map(({ model, contextTokens, slots }) => ({ model, contextTokens, slots })),
        [{ model: 'm', ...expected }],
      );
      assert.deepEqual(started.requests, requests);
    });

  it('are those that the owner shares', async () => {
    const { baseUrl } = await server({ 'GET /v1/models': { data: [{ id: 'a' }, { id: 'b' }] } });
    const engine = await engineAt(baseUrl, { models: ['b', 'c'] });
    assert.deepEqual(
      engine.models().map(({ model }) => model),
      ['b'],
    );
    assert.equal((await new Recording(engine, job('a'), 9).failed()).failure.code, 'model-not-found');
  });

  it('keep the name that the upstream knows', async () => {
    const asked: unknown[] = [];
    const { baseUrl } = await server({
      'GET /v1/models': { data: [{ id: '/models/big goose.gguf' }] },
      'POST /v1/chat/completions': (response: ServerResponse) => {
        stream(response).end(delta('a') + FINISH + DONE);
      },
    });
    const engine = await engineAt(baseUrl);
    asked.push(engine.models()[0]?.model);
    await new Recording(engine, job('big-goose.gguf'), 9).ended();
    assert.deepEqual(asked, ['big-goose.gguf']);
  });

  it('are told when they change, and not when they do not', async () => {
    let list: unknown = { data: [{ id: 'a', max_model_len: 1_000 }] };
    const { baseUrl } = await server({
      'GET /v1/models': (response: ServerResponse) => {
        response.writeHead(200).end(JSON.stringify(list));
      },
    });
    let told = 0;
    const engine = await engineAt(baseUrl, { onModelsChanged: () => (told += 1) });
    assert.equal(told, 1);
    await engine.refresh();
    assert.equal(told, 1);
    list = { data: [] };
    await engine.refresh();
    assert.equal(told, 2);
    assert.deepEqual(engine.models(), []);
  });

  it('are failed while the list cannot be had, and ready again afterwards', async () => {
    const first = await server({});
    const { baseUrl, port } = first;
    const engine = await engineAt(baseUrl, { apiKey: 'sk-secret' });
    await first.close();
    closers.splice(0, 1);
    await engine.refresh();
    const [model] = engine.models();
    assert.equal(model?.state, 'failed');
    assert.match(model.problem ?? '', /test: GET http:\/\/127\.0\.0\.1:\d+\/v1\/models: connection/);
    assert.match(model.problem ?? '', /Start that server or correct its base url\.$/);
    assert.doesNotMatch(model.problem ?? '', /secret/);
    assert.equal((await new Recording(engine, job('fake'), 9).failed()).failure.code, 'upstream-unreachable');
    // The failed connection made the engine ask again; that answer must not be taken for the next one.
    await engine.refresh();
    await server({}, port);
    await engine.refresh();
    assert.equal(engine.models()[0]?.state, 'ready');
  });

  it('tell once that and why the list cannot be had, with the mend that fits, and once that it can be again', async () => {
    let status = 500;
    const { baseUrl } = await server({
      'GET /v1/models': (response: ServerResponse) => response.writeHead(status).end('{"data":[]}'),
    });
    const told: (string | undefined)[] = [];
    const engine = await engineAt(baseUrl, { onProblem: (problem) => told.push(problem) });
    await engine.refresh();
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /status 500\. Start that server or correct its base url\.$/);
    status = 401;
    await engine.refresh();
    assert.match(told[1] ?? '', /status 401\. Set the api key that it wants\.$/);
    status = 200;
    await engine.refresh();
    await engine.refresh();
    assert.deepEqual(told.slice(2), [undefined]);
  });

  it('are looked at again by themselves, before and after they fail', async () => {
    const first = await server({});
    let changed: (() => void) | undefined;
    const engine = await engineAt(first.baseUrl, {
      timeouts: { refreshMs: 20 },
      onModelsChanged: () => changed?.(),
    });
    await untilState('ready');
    await first.close();
    closers.splice(0, 1);
    await untilState('failed');
    await server({}, first.port);
    await untilState('ready');

    async function untilState(state: string): Promise<void> {
      while (engine.models()[0]?.state !== state)
        await new Promise<void>((resolve) => {
          changed = resolve;
        });
    }
  });

  for (const { name, answer, expected } of [
    { name: 'an endless list', answer: endless, expected: /more than 4194304 bytes/ },
    { name: 'HTML', answer: (response: ServerResponse) => void response.end('<html>'), expected: /no JSON/ },
    { name: 'another shape', answer: (response: ServerResponse) => void response.end('[]'), expected: /no list/ },
    {
      name: 'an error',
      answer: (response: ServerResponse) => void response.writeHead(500).end(),
      expected: /status 500/,
    },
    {
      name: 'a redirect',
      answer: (response: ServerResponse) => void response.writeHead(302, { location: '/x' }).end(),
      expected: /never followed/,
    },
  ])
    it(`survive ${name}`, async () => {
      let hostile = false;
      const { baseUrl } = await server({
        'GET /v1/models': (response: ServerResponse) => {
          if (hostile) answer(response);
          else response.end('{"data":[{"id":"fake"}]}');
        },
      });
      const engine = await engineAt(baseUrl);
      assert.equal(engine.models()[0]?.state, 'ready');
      hostile = true;
      await engine.refresh();
      assert.equal(engine.models()[0]?.state, 'failed');
      assert.match(engine.models()[0]?.problem ?? '', expected);
    });

  // The only answer that its limit ends: with the others a short limit would race against a slow machine.
  it('survive silence', async () => {
    const told: (string | undefined)[] = [];
    const { baseUrl } = await server({ 'GET /v1/models': () => {} });
    const engine = await engineAt(baseUrl, { timeouts: { listMs: 60 }, onProblem: (problem) => told.push(problem) });
    assert.deepEqual(engine.models(), []);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /no answer within 60 ms/);
  });

  it('cannot be had from a base url that is none', () => {
    assert.throws(
      () => createUpstreamEngine({ name: 'test', baseUrl: 'localhost:11434' }),
      /upstream test: the base url/,
    );
  });

  it('do not keep the engine from closing while they are asked for', async () => {
    let asked: (() => void) | undefined;
    const first = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const { baseUrl } = await server({ 'GET /v1/models': () => asked?.() });
    const engine = createUpstreamEngine({ name: 'test', baseUrl });
    await first;
    await engine.close();
    assert.deepEqual(engine.models(), []);
  });
});

/** Writes for as long as somebody reads. */
function endless(response: ServerResponse): void {
  const more = (): void => {
    while (!response.destroyed && !response.writableNeedDrain) response.write('x'.repeat(65_536));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}

function job(name: string): Job {
  const model = parseModelId(name);
  assert.ok(model !== undefined);
  return {
    model,
    messages: [{ role: 'user', content: 'hello' }],
    sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] },
  };
}
