/** Ollama's routes over HTTP: what is asked of the mesh for each body, and what clients of Ollama see of the answer. */
import assert from 'node:assert/strict';
import { encodeScoredToken } from '../../src/inference/answer-lines.ts';
import type { Job } from '../../src/inference/engine.ts';
import { encodeToolCall } from '../../src/inference/tool-text.ts';
import { failure } from '../../src/errors.ts';
import { closeApis, ENDED, jsonOf, MODEL, SERVING, startApi, type TestApi, text } from './fakes.ts';
import { post, textErrorOf } from './post.ts';

const CHAT = '/api/chat';
const GENERATE = '/api/generate';
const SAID = { model: MODEL, messages: [{ role: 'user', content: 'hello' }] };
const TOOLS = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }];
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

type Json = ReturnType<typeof JSON.parse>;

async function linesOf(response: Response): Promise<Json[]> {
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  const lines = (await response.text()).split('\n');
  assert.equal(lines.pop(), '');
  return lines.map((line) => JSON.parse(line));
}

async function jobOf(api: TestApi, path: string, body: unknown): Promise<Job> {
  const response = await post(api, path, body);
  assert.equal(response.status, 200, await response.text());
  const run = api.chat.runs.at(-1);
  assert.ok(run);
  return run.request.job;
}

/** What was measured, checked and taken away. */
function withoutTimes({ created_at: created, ...last }: Json): Json {
  assert.match(created, TIME);
  const { total_duration: total, prompt_eval_duration: prompt, eval_duration: evaluation, ...rest } = last;
  for (const duration of [total, prompt, evaluation]) assert.ok(Number.isSafeInteger(duration) && duration >= 0);
  assert.ok(Math.abs(total - prompt - evaluation) <= 1);
  return rest;
}

const COUNTS = { load_duration: 0, prompt_eval_count: 5, eval_count: 2 };

function call(name: string, more: object = {}): object {
  return { ...more, function: { name, arguments: { a: 1 } } };
}

function result(content: string, more: object = {}): object {
  return { role: 'tool', content, ...more };
}

function withOptions(more: object): object {
  return { options: more };
}

describe('a chat of Ollama', () => {
  afterEach(closeApis);

  it('streams lines where nothing else is said, and ends with counts and times', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text('Hi'), text(' there\n'), ENDED];
    const lines = await linesOf(await post(api, CHAT, SAID));
    assert.deepEqual(
      lines.slice(0, -1).map(({ created_at: created, ...line }) => (assert.match(created, TIME), line)),
      ['Hi', ' there\n'].map((content) => ({ model: MODEL, message: { role: 'assistant', content }, done: false })),
    );
    const message = { role: 'assistant', content: '' };
    assert.deepEqual(withoutTimes(lines.at(-1)), { model: MODEL, message, done: true, done_reason: 'stop', ...COUNTS });
  });

  it('is one object without a stream, and says when the length ended it', async () => {
    const api = await startApi();
    const { usage } = ENDED.type === 'ended' ? ENDED : assert.fail();
    api.chat.script = [SERVING, text('Hi'), { type: 'ended', finishReason: 'length', usage }];
    const message = { role: 'assistant', content: 'Hi' };
    const whole = withoutTimes(await jsonOf(await post(api, CHAT, { ...SAID, stream: false })));
    assert.deepEqual(whole, { model: MODEL, message, done: true, done_reason: 'length', ...COUNTS });
  });

  it('shows a call whole, its arguments as an object on one line, streamed or not', async () => {
    const api = await startApi();
    const written = encodeToolCall('look', '{\n"at": "the pond"\n}');
    api.chat.script = [SERVING, text('I look.'), ...written.split(/(?<=at)/).map((piece) => text(piece)), ENDED];
    const expected = { index: 0, name: 'look', arguments: { at: 'the pond' } };
    const whole = await jsonOf(await post(api, CHAT, { ...SAID, tools: TOOLS, stream: false }));
    assert.equal(whole.message.content, 'I look.');
    assert.deepEqual(whole.message.tool_calls[0].function, expected);
    assert.equal(whole.done_reason, 'stop');
    const lines = await linesOf(await post(api, CHAT, { ...SAID, tools: TOOLS }));
    assert.deepEqual(
      lines.map(({ message }) => [message.content, message.tool_calls?.[0].function]),
      [
        ['I look.', undefined],
        ['', expected],
        ['', undefined],
      ],
    );
    assert.deepEqual(api.chat.runs[0]?.request.job.toolUse?.choice, { type: 'auto' });
  });

  it('leaves out a call whose arguments the length cut, streamed or not', async () => {
    const api = await startApi();
    const { usage } = ENDED.type === 'ended' ? ENDED : assert.fail();
    const written = encodeToolCall('look', '{"at":"the pond"}');
    const end = written.indexOf('}');
    for (const [cut, shown] of [
      [end, 0],
      [end + 1, 1],
    ] as const) {
      // prettier-ignore
      api.chat.script = [SERVING, text(written.slice(0, cut)), { type: 'ended', finishReason: 'length', usage }];
      const whole = await jsonOf(await post(api, CHAT, { ...SAID, tools: TOOLS, stream: false }));
      assert.deepEqual([whole.message.tool_calls?.length ?? 0, whole.done_reason], [shown, 'length']);
      const lines = await linesOf(await post(api, CHAT, { ...SAID, tools: TOOLS }));
      assert.equal(lines.filter(({ message }) => message.tool_calls !== undefined).length, shown);
      assert.equal(lines.at(-1).done_reason, 'length');
    }
  });

  it('ties results to calls that have no ids, by name and then in their order', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, ENDED];
    const job = await jobOf(api, CHAT, {
      ...SAID,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Look and find.' },
        { role: 'assistant', content: '', tool_calls: [call('look'), call('find'), call('look', { id: 'mine' })] },
        result('found', { tool_name: 'find' }),
        result('seen'),
        result('seen again', { tool_call_id: 'mine' }),
        result('nobody asked'),
      ],
    });
    assert.deepEqual(
      job.messages.map(({ role, toolCalls, toolCallId }) => [role, toolCalls?.map(({ id }) => id), toolCallId]),
      [
        ['system', undefined, undefined],
        ['user', undefined, undefined],
        ['assistant', ['call_of_2_0', 'call_of_2_1', 'mine'], undefined],
        ['tool', undefined, 'call_of_2_1'],
        ['tool', undefined, 'call_of_2_0'],
        ['tool', undefined, 'mine'],
        ['tool', undefined, undefined],
      ],
    );
    assert.equal(job.messages[2]?.toolCalls?.[0]?.arguments, '{"a":1}');
  });

  it('ends with a line that says what broke it, or with the status where nothing was said', async () => {
    const api = await startApi();
    const broken = failure('engine-failed', 'it broke');
    api.chat.script = [SERVING, text('Hi'), { type: 'failed', failure: broken }];
    const lines = await linesOf(await post(api, CHAT, SAID));
    assert.deepEqual(lines.at(-1), { error: 'it broke' });
    api.chat.script = [{ type: 'failed', failure: broken }];
    assert.equal(await textErrorOf(api, CHAT, SAID), '502 it broke');
  });

  it('says nothing but spaces while it waits, with which JSON may begin', async () => {
    const api = await startApi({ limits: { quietMs: 5 } });
    const response = await post(api, CHAT, SAID);
    const run = await api.chat.run();
    run.emit(SERVING);
    run.emit(text('Hi'));
    run.emit(ENDED);
    const body = await response.text();
    assert.match(body, /^ +\{/);
    assert.ok(
      body
        .split('\n')
        .slice(0, -1)
        .every((line) => typeof JSON.parse(line) === 'object'),
    );
  });

  it('tells probabilities as a list', async () => {
    const api = await startApi();
    const line = encodeScoredToken({ text: 'Hi', bytes: [72, 105], logprob: -1, top: [{ bytes: [72], logprob: -2 }] });
    api.chat.script = [SERVING, text(line), ENDED];
    const logprobs = [
      { token: 'Hi', logprob: -1, bytes: [72, 105], top_logprobs: [{ token: 'H', logprob: -2, bytes: [72] }] },
    ];
    const asked = { ...SAID, logprobs: true, top_logprobs: 1 };
    assert.deepEqual((await jsonOf(await post(api, CHAT, { ...asked, stream: false }))).logprobs, logprobs);
    assert.deepEqual((await linesOf(await post(api, CHAT, asked)))[0].logprobs, logprobs);
    assert.equal(api.chat.runs[0]?.request.job.sampling.logprobs, 1);
  });
});

describe('options of Ollama', () => {
  afterEach(closeApis);

  const DEFAULTS = { temperature: 0.8, topP: 0.9, frequencyPenalty: 0, presencePenalty: 0, stop: [] };
  const cases: readonly (readonly [options: unknown, sampling: object])[] = [
    [undefined, {}],
    [null, {}],
    [{}, {}],
    [{ num_ctx: 4_096, mirostat: 2, num_gpu: 'all' }, {}],
    [
      { temperature: 0, top_p: 1, top_k: 40, min_p: 0.1 },
      { temperature: 0, topP: 1, topK: 40, minP: 0.1 },
    ],
    [{ top_k: 0 }, {}],
    [{ seed: 7 }, { seed: 7 }],
    [{ seed: 0 }, { seed: 0 }],
    [{ seed: -1 }, {}],
    [{ stop: 'a' }, { stop: ['a'] }],
    [{ stop: ['a', ''] }, { stop: ['a'] }],
    [{ num_predict: 1 }, { maxTokens: 1 }],
    [{ num_predict: 1_048_576 }, { maxTokens: 1_048_576 }],
    [{ num_predict: 0 }, {}],
    [{ num_predict: -1 }, {}],
    [{ num_predict: -2 }, {}],
    [
      { repeat_penalty: 1.5, presence_penalty: 1, frequency_penalty: -1 },
      { repeatPenalty: 1.5, presencePenalty: 1, frequencyPenalty: -1 },
    ],
  ];
  it('become what the engine is told, with the defaults of Ollama', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, ENDED];
    for (const [options, sampling] of cases) {
      const job = await jobOf(api, CHAT, { ...SAID, options, keep_alive: '5m', think: false, truncate: true });
      assert.deepEqual(job.sampling, { ...DEFAULTS, ...sampling }, JSON.stringify(options));
    }
  });

  it('and formats, tools and messages are refused by name', async () => {
    const api = await startApi();
    const bad: readonly (readonly [more: object, expected: RegExp])[] = [
      [withOptions([]), /^400 options: /],
      [withOptions({ temperature: 'hot' }), /^400 options\.temperature: /],
      [withOptions({ num_predict: -3 }), /^400 options\.num_predict: /],
      [withOptions({ num_predict: 1_048_577 }), /^400 options\.num_predict: /],
      [withOptions({ stop: Array.from({ length: 17 }, () => 'x') }), /^400 options\.stop: at most 16, got 17$/],
      [{ stream: 'yes' }, /^400 stream: /],
      [{ think: true }, /^400 think: /],
      [{ think: 'high' }, /^400 think: /],
      [{ images: ['aGk='] }, /^400 images: /],
      [{ messages: [{ role: 'user', content: 'x', images: ['aGk='] }] }, /^400 messages\[0\]\.images: /],
      [{ messages: [{ role: 'robot', content: 'x' }] }, /^400 messages\[0\]\.role: /],
      [{ messages: [{ role: 'user', content: 7 }] }, /^400 messages\[0\]\.content: /],
      [{ messages: [{ role: 'assistant', tool_calls: [{}] }] }, /^400 messages\[0\]\.tool_calls\[0\]\.function: /],
      [{ format: 'xml' }, /^400 format: expected "json" or a JSON schema$/],
      [{ format: { type: 'array', uniqueItems: true } }, /^400 format: the schema at /],
      [{ tools: [{ type: 'function' }] }, /^400 tools\[0\]\.function: /],
      [{ model: 'no such name' }, /^404 no such model: there is org\/tiny:Q4$/],
      [{ model: undefined }, /^400 model: /],
    ];
    for (const [more, expected] of bad) assert.match(await textErrorOf(api, CHAT, { ...SAID, ...more }), expected);
    assert.equal(api.chat.runs.length, 0);
  });

  it('take "json" and schemas as a format, and nothing for none', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text('{}'), ENDED];
    const schema = { type: 'object' };
    const formats: readonly (readonly [format: unknown, expected: unknown])[] = [
      [undefined, undefined],
      [null, undefined],
      ['', undefined],
      ['json', { type: 'json-object' }],
      [schema, { type: 'json-schema', name: 'answer', schema: JSON.stringify(schema), strict: false }],
    ];
    for (const [format, expected] of formats)
      assert.deepEqual((await jobOf(api, CHAT, { ...SAID, format })).format, expected);
  });
});

describe('a prompt of Ollama', () => {
  afterEach(closeApis);

  it('is answered as `response`, after the system text or raw', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text(' upon'), ENDED];
    const asked = { model: MODEL, prompt: 'Once' };
    const lines = await linesOf(await post(api, GENERATE, asked));
    assert.deepEqual([lines[0].response, lines[0].done, lines[0].message], [' upon', false, undefined]);
    assert.deepEqual(withoutTimes(lines.at(-1)), {
      model: MODEL,
      response: '',
      done: true,
      done_reason: 'stop',
      ...COUNTS,
    });
    assert.equal((await jsonOf(await post(api, GENERATE, { ...asked, stream: false }))).response, ' upon');
    assert.deepEqual((await jobOf(api, GENERATE, asked)).messages, [{ role: 'user', content: 'Once' }]);
    assert.deepEqual((await jobOf(api, GENERATE, { ...asked, system: 'Be brief.' })).messages, [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Once' },
    ]);
    const raw = await jobOf(api, GENERATE, { ...asked, raw: true });
    assert.deepEqual([raw.task, raw.messages], [{ type: 'completion', prompt: 'Once' }, []]);
    assert.deepEqual((await jobOf(api, GENERATE, { ...asked, format: 'json' })).format, { type: 'json-object' });
  });

  it('is refused with what would make it another prompt', async () => {
    const api = await startApi();
    const bad: readonly (readonly [more: object, expected: RegExp])[] = [
      [{ template: '{{ .Prompt }}' }, /^400 template: /],
      [{ suffix: 'the end' }, /^400 suffix: /],
      [{ context: [1, 2, 3] }, /^400 context: /],
      [{ images: ['aGk='] }, /^400 images: /],
      [{ raw: true, system: 'x' }, /^400 raw: /],
      [{ raw: true, format: 'json' }, /^400 raw: /],
      [{ prompt: 7 }, /^400 prompt: /],
    ];
    for (const [more, expected] of bad)
      assert.match(await textErrorOf(api, GENERATE, { model: MODEL, prompt: 'x', ...more }), expected);
    api.chat.script = [SERVING, ENDED];
    // What clients send to say "no".
    await jobOf(api, GENERATE, { model: MODEL, prompt: 'x', template: '', suffix: '', context: [], images: [] });
  });

  it('that is empty only asks for the model, which must exist', async () => {
    const api = await startApi();
    const loaded = { model: MODEL, done: true, done_reason: 'load' };
    const loadedOf = async (path: string, asked: object): Promise<unknown> => {
      const { created_at: at, ...body } = await jsonOf(await post(api, path, { model: MODEL, ...asked }));
      assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000);
      return body;
    };
    const message = { role: 'assistant', content: '' };
    for (const prompt of [undefined, null, ''])
      assert.deepEqual(await loadedOf(GENERATE, { prompt }), { ...loaded, response: '' });
    for (const messages of [undefined, null, []])
      assert.deepEqual(await loadedOf(CHAT, { messages }), { ...loaded, message });
    for (const path of [CHAT, GENERATE, '/api/embed', '/api/embeddings'])
      assert.match(await textErrorOf(api, path, { model: 'other', input: '' }), /^404 no such model/);
    assert.equal(api.chat.runs.length, 0);
  });
});
