/** Choices, calls and probabilities over HTTP, and what comes of any JSON at any route. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ROUTES } from '../../src/api/routes.ts';
import { failure } from '../../src/errors.ts';
import { encodeScoredToken } from '../../src/inference/answer-lines.ts';
import { encodeToolCall } from '../../src/inference/tool-text.ts';
import { closeApis, ENDED, jsonOf, MODEL, requestIdOf, SERVING, startApi, text } from './fakes.ts';
import { CHAT, choicesOf, COMPLETIONS, HELLO, post, refusalOf } from './post.ts';

const TOOLS = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }];

function allowed(mode: string, ...names: string[]): unknown {
  const tools = names.map((name) => ({ type: 'function', function: { name } }));
  return { type: 'allowed_tools', allowed_tools: { mode, tools } };
}

describe('several choices', () => {
  afterEach(closeApis);

  it('are runs of their own, whose chunks mix under their index and whose prompt counts once', async () => {
    const api = await startApi();
    const pending = post(api, CHAT, {
      ...HELLO,
      n: 3,
      seed: 7,
      stream: true,
      stream_options: { include_usage: true },
    });
    await api.chat.run(2);
    assert.equal(new Set(api.chat.runs.map(({ request }) => request.requestId)).size, 3);
    assert.deepEqual(
      api.chat.runs.map(({ request }) => request.job.sampling.seed),
      [7, 8, 9],
    );
    for (const run of api.chat.runs) assert.ok(run.granted > 0);
    const emit = (index: number, ...events: Parameters<(typeof api.chat.runs)[0]['emit']>[0][]): void => {
      for (const event of events) api.chat.runs[index]?.emit(event);
    };
    emit(2, SERVING, text('c'));
    emit(0, SERVING, text('a'));
    emit(2, ENDED);
    emit(1, SERVING, text('b'), ENDED);
    emit(0, text('A'), ENDED);
    const events = await choicesOf(await pending);
    const said = ['', '', ''];
    const finishes: number[] = [];
    for (const { choices } of events) {
      for (const { index, delta, finish_reason: reason } of choices) {
        said[index] += delta.content ?? '';
        if (reason !== null) finishes.push(index);
      }
    }
    assert.deepEqual(said, ['aA', 'b', 'c']);
    assert.deepEqual(finishes, [2, 1, 0]);
    assert.equal(new Set(events.map(({ id }) => id)).size, 1);
    assert.deepEqual([events.at(-1).usage.prompt_tokens, events.at(-1).usage.completion_tokens], [5, 6]);
  });

  it('come together where no stream is asked for', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text('x'), ENDED];
    const { choices, usage } = await jsonOf(await post(api, CHAT, { ...HELLO, n: 8 }));
    assert.deepEqual(
      choices.map(({ index, message }: { index: number; message: { content: string } }) => [index, message.content]),
      Array.from({ length: 8 }, (_, index) => [index, 'x']),
    );
    assert.equal(usage.total_tokens, 5 + 8 * 2);
  });

  it('fail together, and the others are cancelled', async () => {
    const api = await startApi();
    const pending = post(api, CHAT, { ...HELLO, n: 2 });
    const first = await api.chat.run(0);
    const second = await api.chat.run(1);
    first.emit(text('x'));
    second.emit({ type: 'failed', failure: failure('engine-failed', 'broken') });
    assert.equal((await pending).status, 502);
    assert.ok(first.cancelled);
  });

  it('are all cancelled when the client leaves, and count as that many requests', async () => {
    const api = await startApi({ limits: { chats: 3 } });
    const abort = new AbortController();
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ ...HELLO, n: 2 });
    const pending = fetch(api.url + CHAT, { method: 'POST', headers, body, signal: abort.signal });
    await api.chat.run(1);
    assert.equal((await post(api, CHAT, { ...HELLO, n: 2 })).status, 503);
    abort.abort();
    await assert.rejects(pending);
    for (const run of api.chat.runs) await run.untilCancelled();
    assert.equal(api.chat.runs.length, 2);
  });
});

describe('calls of functions', () => {
  afterEach(closeApis);

  it('are asked for in either form, and come in the same', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text('I look.'), text(encodeToolCall('look', '{"a":1}')), ENDED];
    const now = await jsonOf(await post(api, CHAT, { ...HELLO, tools: TOOLS, tool_choice: 'required' }));
    const id = `call_${requestIdOf(1).slice(0, 20)}0000`;
    assert.deepEqual(now.choices[0], {
      index: 0,
      message: {
        role: 'assistant',
        content: 'I look.',
        refusal: null,
        tool_calls: [{ id, type: 'function', function: { name: 'look', arguments: '{"a":1}' } }],
      },
      logprobs: null,
      finish_reason: 'tool_calls',
    });
    const { job } = (await api.chat.run()).request;
    assert.deepEqual(job.toolUse?.choice, { type: 'required' });
    const old = await jsonOf(
      await post(api, CHAT, { ...HELLO, functions: [{ name: 'look' }], function_call: { name: 'look' } }),
    );
    assert.deepEqual(old.choices[0].message.function_call, { name: 'look', arguments: '{"a":1}' });
    assert.equal(old.choices[0].finish_reason, 'function_call');
    const { toolUse } = (await api.chat.run(1)).request.job;
    assert.deepEqual([toolUse?.choice, toolUse?.parallel], [{ type: 'named', name: 'look' }, false]);
  });

  it('are a failure where the engine did not call as it had to', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, text('I would rather talk.'), ENDED];
    assert.equal((await post(api, CHAT, { ...HELLO, tools: TOOLS, tool_choice: 'required' })).status, 502);
    const streamed = await post(api, CHAT, { ...HELLO, tools: TOOLS, tool_choice: 'required', stream: true });
    const events = await choicesOf(streamed);
    assert.equal(events.at(-1).error.code, 'engine_failed');
    assert.ok(
      events.every(({ choices }) =>
        (choices ?? []).every((one: { finish_reason: unknown }) => one.finish_reason === null),
      ),
    );
  });

  it('are offered as the client chose', async () => {
    const api = await startApi();
    api.chat.script = [SERVING, ENDED];
    const two = [...TOOLS, { type: 'function', function: { name: 'find' } }];
    const cases: readonly (readonly [
      choice: unknown,
      names: readonly string[] | undefined,
      type: string | undefined,
    ])[] = [
      [undefined, ['look', 'find'], 'auto'],
      ['auto', ['look', 'find'], 'auto'],
      ['none', undefined, undefined],
      [{ type: 'function', function: { name: 'find' } }, ['look', 'find'], 'named'],
      [allowed('auto', 'find'), ['find'], 'auto'],
    ];
    for (const [choice, names, type] of cases) {
      await post(api, CHAT, { ...HELLO, tools: two, tool_choice: choice });
      const toolUse = api.chat.runs.at(-1)?.request.job.toolUse;
      assert.deepEqual([toolUse?.tools.map(({ name }) => name), toolUse?.choice.type], [names, type]);
    }
    const bad: readonly (readonly [more: object, expected: string])[] = [
      [{ tool_choice: { type: 'function', function: { name: 'other' } } }, 'tool_choice'],
      [{ tool_choice: allowed('auto', 'other') }, 'tool_choice'],
      [{ tool_choice: allowed('auto') }, 'tool_choice'],
      [{ tool_choice: allowed('none', 'look') }, 'tool_choice'],
      [{ tool_choice: 'sometimes' }, 'tool_choice'],
      [{ tools: [...TOOLS, ...TOOLS] }, 'tools[1].function.name'],
      [{ tools: [{ type: 'function', function: { name: 'a b' } }] }, 'tools[0].function.name'],
      [{ tools: [{ type: 'function', function: { name: 'a'.repeat(65) } }] }, 'tools[0].function.name'],
      [{ tools: [{ type: 'function', function: { name: 'a', parameters: [] } }] }, 'tools[0].function.parameters'],
      [{ tools: [{ type: 'function', function: { name: 'a', description: 7 } }] }, 'tools[0].function.description'],
      [{ tools: [{ type: 'function' }] }, 'tools[0].function'],
      [{ tools: [null] }, 'tools[0]'],
      [{ tools: Array.from({ length: 129 }, () => TOOLS[0]) }, 'tools'],
      [
        { tools: [{ type: 'function', function: { name: 'a', description: 'x'.repeat(262_145) } }] },
        'tools[0].function',
      ],
      [{ parallel_tool_calls: 'no' }, 'parallel_tool_calls'],
      [{ messages: [{ role: 'assistant', tool_calls: {} }] }, 'messages[0].tool_calls'],
      [{ messages: [{ role: 'assistant', tool_calls: [{}] }] }, 'messages[0].tool_calls[0].id'],
      [{ messages: [{ role: 'assistant', tool_calls: [{ id: 'a' }] }] }, 'messages[0].tool_calls[0].function'],
    ];
    for (const [more, param] of bad)
      assert.equal(await refusalOf(api, CHAT, { ...HELLO, tools: TOOLS, ...more }), `invalid_request ${param}`);
  });
});

describe('probabilities of tokens', () => {
  afterEach(closeApis);

  it('come with the text, streamed or not', async () => {
    const api = await startApi();
    const line = encodeScoredToken({ text: 'Hi', bytes: [72, 105], logprob: -1, top: [{ bytes: [72], logprob: -2 }] });
    api.chat.script = [SERVING, text(line.slice(0, 9), 0), text(line.slice(9)), ENDED];
    const whole = await jsonOf(await post(api, CHAT, { ...HELLO, logprobs: true, top_logprobs: 1 }));
    assert.equal((await api.chat.run()).request.job.sampling.logprobs, 1);
    assert.equal(whole.choices[0].message.content, 'Hi');
    const content = [
      { token: 'Hi', logprob: -1, bytes: [72, 105], top_logprobs: [{ token: 'H', logprob: -2, bytes: [72] }] },
    ];
    assert.deepEqual(whole.choices[0].logprobs, { content, refusal: null });
    const events = await choicesOf(await post(api, CHAT, { ...HELLO, logprobs: true, stream: true }));
    assert.deepEqual(events[1].choices[0].logprobs, { content, refusal: null });
    const old = await jsonOf(await post(api, COMPLETIONS, { model: MODEL, prompt: 'x', logprobs: 1 }));
    assert.deepEqual(old.choices[0].logprobs, {
      tokens: ['Hi'],
      token_logprobs: [-1],
      top_logprobs: [{ H: -2 }],
      text_offset: [0],
    });
  });
});

/** As the API of the route words it. */
function assertError(path: string, error: unknown): void {
  if (path.startsWith('/api/')) assert.equal(typeof error, 'string');
  else {
    const keys = path.startsWith('/v1/messages') ? ['type', 'message'] : ['message', 'type', 'param', 'code'];
    assert.deepEqual(Object.keys(error ?? {}), keys);
  }
}

describe('any JSON at any route', () => {
  afterEach(closeApis);

  it('is answered, or is the client’s mistake with an error object', async () => {
    const api = await startApi();
    // Fits no list of data, so that such requests may also fail for what the engine said.
    api.chat.script = [SERVING, text('x'), ENDED];
    const names =
      'messages prompt input query documents tools tool_choice functions n logprobs logit_bias stream echo ' +
      'instructions text include metadata system stop_sequences output_config thinking max_tokens max_output_tokens ' +
      'options format raw think images name';
    const itemNames = 'type role content text id call_id tool_use_id name arguments input output is_error';
    const words = 'message function_call function_call_output reasoning text tool_use tool_result user assistant look';
    const word = fc.constantFrom(...words.split(' '));
    const item = fc.dictionary(fc.constantFrom(...itemNames.split(' ')), fc.oneof(word, fc.jsonValue({ maxDepth: 2 })));
    const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.array(item), fc.array(item.map((content) => ({ role: 'user', content: [content] })))); // prettier-ignore
    const some = fc.dictionary(fc.constantFrom(...names.split(' ')), value, { maxKeys: 5 });
    const right = { ...HELLO, prompt: 'x', input: 'x', query: 'x', documents: ['x'], max_tokens: 9 };
    const body = fc.oneof(
      fc.jsonValue(),
      some.map((more) => ({ ...right, ...more })),
    );
    const route = fc.constantFrom(...ROUTES.filter(({ method }) => method === 'POST').map(({ path }) => path));
    await fc.assert(
      fc.asyncProperty(route, body, async (path, asked) => {
        const response = await post(api, path, asked);
        const answer = await response.text();
        if (response.status === 200) return;
        assertError(path, JSON.parse(answer).error);
        const isEngine = response.status === 502;
        assert.ok(response.status < 500 || isEngine, `${response.status} ${answer}`);
      }),
      { numRuns: 600 },
    );
    assert.ok(api.log.every(({ type }) => type === 'request'));
  });
});
