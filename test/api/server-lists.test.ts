/** Completions of texts, embeddings and rerank over HTTP. */
import assert from 'node:assert/strict';
import { encodeScore, encodeVector } from '../../src/inference/answer-lines.ts';
import { closeApis, ENDED, jsonOf, MODEL, SERVING, startApi, text } from './fakes.ts';
import { choicesOf, COMPLETIONS, post, refusalOf } from './post.ts';

const EMBEDDINGS = '/v1/embeddings';
const RERANK = '/v1/rerank';

describe('completions of texts', () => {
  afterEach(closeApis);

  it('take one text or several, and several choices of each', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text(' upon'), ENDED];
    for (const prompt of ['Once', ['Once']]) {
      const body = await jsonOf(await post(api, COMPLETIONS, { model: MODEL, prompt, echo: true }));
      assert.equal(body.object, 'text_completion');
      assert.deepEqual(body.choices, [{ index: 0, text: 'Once upon', logprobs: null, finish_reason: 'stop' }]);
    }
    const { job } = (await api.chat.run()).request;
    assert.deepEqual(
      [job.task, job.messages, job.sampling.maxTokens],
      [{ type: 'completion', prompt: 'Once' }, [], 16],
    );
    const several = await jsonOf(
      await post(api, COMPLETIONS, { model: MODEL, prompt: ['a', 'b'], n: 2, max_tokens: 3 }),
    );
    assert.deepEqual(
      api.chat.runs.slice(2).map(({ request }) => request.job.task),
      ['a', 'a', 'b', 'b'].map((prompt) => ({ type: 'completion', prompt })),
    );
    assert.equal(several.choices.length, 4);
    assert.equal(several.usage.prompt_tokens, 10);
  });

  it('stream, the prompt first where it was asked for', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text(' upon'), ENDED];
    const events = await choicesOf(
      await post(api, COMPLETIONS, {
        model: MODEL,
        prompt: 'Once',
        echo: true,
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    assert.deepEqual(
      events.map(({ choices }) => choices[0]),
      [
        { index: 0, text: 'Once', logprobs: null, finish_reason: null },
        { index: 0, text: ' upon', logprobs: null, finish_reason: null },
        { index: 0, text: '', logprobs: null, finish_reason: 'stop' },
        undefined,
      ],
    );
  });

  it('refuse what they cannot do, by name', async () => {
    const api = await startApi();
    const cases: readonly (readonly [more: object, expected: string])[] = [
      [{ prompt: undefined }, 'invalid_request prompt'],
      [{ prompt: null }, 'invalid_request prompt'],
      [{ prompt: '' }, 'invalid_request prompt'],
      [{ prompt: [] }, 'invalid_request prompt'],
      [{ prompt: [1, 2] }, 'unsupported_feature prompt'],
      [{ prompt: [[1, 2]] }, 'unsupported_feature prompt'],
      [{ prompt: Array.from({ length: 9 }, () => 'x') }, 'invalid_request prompt'],
      [{ prompt: ['a', 'b', 'c'], n: 3 }, 'invalid_request n'],
      [{ suffix: '.' }, 'unsupported_feature suffix'],
      [{ best_of: 2 }, 'unsupported_feature best_of'],
      [{ echo: true, logprobs: 0 }, 'unsupported_feature echo'],
      [{ logprobs: 6 }, 'invalid_request logprobs'],
      [{ logprobs: true }, 'invalid_request logprobs'],
      [{ max_tokens: 0 }, 'invalid_request max_tokens'],
      [{ logit_bias: { a: 1 } }, 'invalid_request logit_bias'],
      [{ logit_bias: { '1': 101 } }, 'invalid_request logit_bias'],
      [{ logit_bias: { '2147483648': 1 } }, 'invalid_request logit_bias'],
      [
        { logit_bias: Object.fromEntries(Array.from({ length: 1_025 }, (_, id) => [id, 1])) },
        'invalid_request logit_bias',
      ],
      [{ repeat_penalty: 0 }, 'invalid_request repeat_penalty'],
    ];
    for (const [more, expected] of cases)
      assert.equal(
        await refusalOf(api, COMPLETIONS, { model: MODEL, prompt: 'x', ...more }),
        expected,
        JSON.stringify(more),
      );
    assert.equal(api.chat.runs.length, 0);
  });
});

describe('embeddings', () => {
  afterEach(closeApis);

  it('come in order from several runs, as numbers or as bytes', async () => {
    const api = await startApi();
    const input = Array.from({ length: 130 }, (_, index) => `text ${index}`);
    for (const format of [undefined, 'base64']) {
      const from = api.chat.runs.length;
      const pending = post(api, EMBEDDINGS, { model: MODEL, input, encoding_format: format, dimensions: null });
      await api.chat.run(from + 2);
      for (const run of api.chat.runs.slice(from).toReversed()) {
        const { task } = run.request.job;
        assert.ok(task?.type === 'embedding' && task.inputs.length <= 64);
        run.emit(SERVING);
        for (const one of task.inputs) run.emit(text(encodeVector(Float32Array.of(Number(one.slice(5)), 0.5), 3)));
        run.emit(ENDED);
      }
      const { data, usage, object, model } = await jsonOf(await pending);
      assert.deepEqual([object, model, data.length], ['list', MODEL, 130]);
      for (const [index, one] of data.entries()) {
        const bytes = format === 'base64' ? new Uint8Array(Buffer.from(one.embedding, 'base64')) : undefined;
        const vector = bytes === undefined ? one.embedding : [...new Float32Array(bytes.buffer)];
        assert.deepEqual([one.object, one.index, vector], ['embedding', index, [index, 0.5]]);
      }
      assert.deepEqual(usage, { prompt_tokens: 390, total_tokens: 390 });
    }
  });

  it('starts no more runs than may be at once, and the rest as they end', async () => {
    const api = await startApi();
    const pending = post(api, EMBEDDINGS, { model: MODEL, input: Array.from({ length: 64 * 10 }, () => 'x') });
    await api.chat.run(7);
    assert.equal(api.chat.runs.length, 8);
    for (let index = 0; index < 10; index += 1) {
      const run = await api.chat.run(index);
      for (let line = 0; line < 64; line += 1) run.emit(text(encodeVector(Float32Array.of(1), 1)));
      run.emit(ENDED);
    }
    assert.equal((await jsonOf(await pending)).data.length, 640);
  });

  it('refuse other dimensions than the model has, before or after', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text(encodeVector(Float32Array.of(1, 0), 1)), ENDED];
    assert.equal(
      await refusalOf(api, EMBEDDINGS, { model: MODEL, input: 'x', dimensions: 3 }),
      'unsupported_feature dimensions',
    );
    assert.equal((await post(api, EMBEDDINGS, { model: MODEL, input: 'x', dimensions: 2 })).status, 200);
    const cases: readonly (readonly [more: object, expected: string])[] = [
      [{ input: undefined }, 'invalid_request input'],
      [{ input: [] }, 'invalid_request input'],
      [{ input: [''] }, 'invalid_request input[0]'],
      [{ input: ['a', {}] }, 'invalid_request input[1]'],
      [{ input: [1] }, 'unsupported_feature input'],
      [{ input: [[1]] }, 'unsupported_feature input'],
      [{ input: Array.from({ length: 2_049 }, () => 'x') }, 'invalid_request input'],
      [{ encoding_format: 'int8' }, 'invalid_request encoding_format'],
      [{ dimensions: 0 }, 'invalid_request dimensions'],
    ];
    for (const [more, expected] of cases)
      assert.equal(await refusalOf(api, EMBEDDINGS, { model: MODEL, input: 'x', ...more }), expected);
  });

  it('are a failure where the engine gave too few, too many, or none', async () => {
    const api = await startApi();
    const line = encodeVector(Float32Array.of(1, 0), 1);
    for (const lines of [
      [],
      [line, line, line],
      ['{}\n'],
      [line, line.slice(0, 5)],
      [line, encodeVector(Float32Array.of(1), 1)],
    ]) {
      api.chat.script = [SERVING, ...lines.map((one) => text(one)), ENDED];
      assert.equal((await post(api, EMBEDDINGS, { model: MODEL, input: ['a', 'b'] })).status, 502);
    }
  });
});

describe('rerank', () => {
  afterEach(closeApis);

  it('has the best first, ties in their order, with the documents where asked', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, ...[0.1, 0.9, 0.9, -2].map((score) => text(encodeScore(score, 4))), ENDED];
    const documents = ['a', { text: 'b' }, 'c', 'd'];
    const all = await jsonOf(await post(api, RERANK, { model: MODEL, query: 'q', documents }));
    assert.deepEqual(
      all.results.map(({ index }: { index: number }) => index),
      [1, 2, 0, 3],
    );
    assert.deepEqual(all.usage, { prompt_tokens: 16, total_tokens: 16 });
    const best = await jsonOf(
      await post(api, RERANK, { model: MODEL, query: 'q', documents, top_n: 1, return_documents: true }),
    );
    assert.deepEqual(best.results, [{ index: 1, relevance_score: 0.9, document: { text: 'b' } }]);
    const { task } = (await api.chat.run()).request.job;
    assert.deepEqual(task, { type: 'rerank', query: 'q', documents: ['a', 'b', 'c', 'd'] });
    for (const [more, expected] of [
      [{ query: '' }, 'query'],
      [{ documents: [] }, 'documents'],
      [{ documents: 'a' }, 'documents'],
      [{ documents: [{}] }, 'documents[0]'],
      [{ documents: Array.from({ length: 1_025 }, () => 'x') }, 'documents'],
      [{ top_n: 0 }, 'top_n'],
    ] as const)
      assert.equal(
        await refusalOf(api, RERANK, { model: MODEL, query: 'q', documents, ...more }),
        `invalid_request ${expected}`,
      );
  });
});
