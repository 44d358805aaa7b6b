/** Lists, details and vectors as clients of Ollama ask for them, and the names under which they do. */
import assert from 'node:assert/strict';
import type { ModelOffer } from '../../src/api/models.ts';
import { isKnown, modelNamed, taggedName } from '../../src/api/ollama-names.ts';
import { type ModelId, parseModelId } from '../../src/ids.ts';
import { encodeVector } from '../../src/inference/answer-lines.ts';
import { closeApis, ENDED, jsonOf, MODEL, NODE, SERVING, startApi, STATUS, text } from './fakes.ts';
import { post, textErrorOf } from './post.ts';

const CHAT = '/api/chat';
const SAID = { model: MODEL, messages: [{ role: 'user', content: 'hello' }] };
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

type Json = ReturnType<typeof JSON.parse>;

function offer(model: ModelId): ModelOffer {
  return { model, node: NODE, state: 'on-disk', contextTokens: 0 };
}

describe('vectors of Ollama', () => {
  afterEach(closeApis);

  it('come in order, for one text or several, and one alone in the older form', async () => {
    const api = await startApi();
    const [one, two] = [encodeVector(Float32Array.of(1, 0), 3), encodeVector(Float32Array.of(0, 1), 4)];
    api.chat.script = [SERVING, text(one + two, 2), ENDED];
    const { total_duration: total, ...body } = await jsonOf(
      await post(api, '/api/embed', { model: MODEL, input: ['a', 'b'], truncate: true, dimensions: 2 }),
    );
    assert.ok(Number.isSafeInteger(total));
    assert.deepEqual(body, { model: MODEL, embeddings: [[1, 0], [0, 1]], load_duration: 0, prompt_eval_count: 7 }); // prettier-ignore
    api.chat.script = [SERVING, text(one), ENDED];
    assert.deepEqual((await jsonOf(await post(api, '/api/embed', { model: MODEL, input: 'a' }))).embeddings, [[1, 0]]);
    assert.deepEqual(await jsonOf(await post(api, '/api/embeddings', { model: MODEL, prompt: 'a' })), {
      embedding: [1, 0],
    });
  });

  it('are none for no text, and refused for what cannot be embedded', async () => {
    const api = await startApi();
    for (const input of [undefined, '', []])
      assert.deepEqual((await jsonOf(await post(api, '/api/embed', { model: MODEL, input }))).embeddings, []);
    assert.deepEqual(await jsonOf(await post(api, '/api/embeddings', { model: MODEL })), { embedding: [] });
    assert.match(await textErrorOf(api, '/api/embed', { model: MODEL, input: ['a', ''] }), /^400 input\[1\]: /);
    assert.match(await textErrorOf(api, '/api/embed', { model: MODEL, input: [1, 2] }), /^400 input: token ids/);
    assert.match(await textErrorOf(api, '/api/embeddings', { model: MODEL, prompt: ['a'] }), /^400 prompt: /);
    api.chat.script = [SERVING, text(encodeVector(Float32Array.of(1, 0), 3)), ENDED];
    const tooFew = { model: MODEL, input: 'a', dimensions: 1 };
    assert.match(await textErrorOf(api, '/api/embed', tooFew), /^400 dimensions: this model gives 2/);
  });
});

describe('models, for clients of Ollama', () => {
  afterEach(closeApis);

  const bare = parseModelId('tiny') ?? assert.fail();
  it('have a tag in lists, and are found with it and without', async () => {
    const tagged = parseModelId('both:latest') ?? assert.fail();
    const both = parseModelId('both') ?? assert.fail();
    const offers = [MODEL, bare, both, tagged].map((model) => offer(model));
    const names = new Set(offers.map(({ model }) => model));
    assert.deepEqual(
      [...names].map((model) => taggedName(model, names)),
      ['org/tiny:Q4', 'tiny:latest', 'both', 'both:latest'],
    );
    const cases: readonly (readonly [name: string, model: string | undefined, known: boolean])[] = [
      ['tiny', 'tiny', true],
      ['tiny:latest', 'tiny', true],
      ['both', 'both', true],
      ['both:latest', 'both:latest', true],
      ['org/tiny:Q4', 'org/tiny:Q4', true],
      ['org/tiny', 'org/tiny', false],
      ['other:latest', 'other:latest', false],
      ['no name', undefined, false],
      ['', undefined, false],
    ];
    for (const [name, expected, known] of cases) {
      const model = modelNamed(name, offers);
      assert.equal(model, expected, name);
      assert.equal(model !== undefined && isKnown(model, offers), known);
    }
    assert.equal(modelNamed('only', [offer(parseModelId('only:latest') ?? assert.fail())]), 'only:latest');
    const api = await startApi({}, { ...STATUS, models: () => [offer(bare)] });
    api.chat.script = [SERVING, text('Hi'), ENDED];
    const answer = await jsonOf(await post(api, CHAT, { ...SAID, model: 'tiny:latest', stream: false }));
    assert.equal(answer.model, 'tiny:latest');
    assert.equal(api.chat.runs[0]?.request.job.model, 'tiny');
  });

  it('are listed, those that are ready as running, and shown with their length', async () => {
    const api = await startApi({}, { ...STATUS, models: () => [...STATUS.models(), offer(bare)] });
    const tags = await jsonOf(await fetch(`${api.url}/api/tags`));
    assert.deepEqual(
      tags.models.map(({ name, model, digest, modified_at: modified }: Json) => {
        assert.match(digest, /^[0-9a-f]{64}$/);
        assert.match(modified, TIME);
        assert.equal(name, model);
        return name;
      }),
      ['org/tiny:Q4', 'tiny:latest'],
    );
    const running = await jsonOf(await fetch(`${api.url}/api/ps`));
    assert.deepEqual(
      running.models.map(({ name, context_length: length }: Json) => [name, length]),
      [['org/tiny:Q4', 4_096]],
    );
    for (const body of [{ model: MODEL }, { name: MODEL }]) {
      const shown = await jsonOf(await post(api, '/api/show', body));
      assert.equal(shown.model_info['skein.context_length'], 4_096);
      assert.deepEqual(shown.capabilities, ['completion', 'tools']);
    }
    assert.deepEqual((await jsonOf(await post(api, '/api/show', { model: 'tiny' }))).model_info, {
      'general.architecture': 'skein',
      'general.basename': 'tiny',
    });
    assert.match(await textErrorOf(api, '/api/show', { model: 'other' }), /^404 no such model/);
    assert.match(await textErrorOf(api, '/api/show', {}), /^404 no such model/);
    const { version } = await jsonOf(await fetch(`${api.url}/api/version`));
    assert.match(version, /^0\.\d+\.\d+-skein$/);
  });

  it('answer every refusal under /api/ as a text, but for our own routes', async () => {
    const api = await startApi();
    for (const path of ['/api/pull', '/api/version/x', '/api/statusx', '/api/'])
      assert.match(await textErrorOf(api, path, {}), /^404 there is nothing here/);
    const plain = { method: 'POST', body: '{}' };
    const unlabelled = await fetch(api.url + CHAT, plain);
    assert.equal(unlabelled.status, 415);
    assert.equal(typeof (await jsonOf(unlabelled)).error, 'string');
    for (const path of ['/api/status', '/api/requests/x', '/v1/pull'])
      assert.equal(typeof (await jsonOf(await post(api, path, {}))).error.message, 'string');
  });
});
