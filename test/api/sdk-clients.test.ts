/** The official clients of the Responses and the Messages API against our server, streamed and not, with calls. */
import assert from 'node:assert/strict';
import Anthropic, * as anthropic from '@anthropic-ai/sdk';
import OpenAI, { APIError, BadRequestError } from 'openai';
import { hashApiKey } from '../../src/api/key-record.ts';
import { KeyRing } from '../../src/api/key-ring.ts';
import { failure } from '../../src/errors.ts';
import type { ChatEvent } from '../../src/inference/chat.ts';
import { encodeToolCall } from '../../src/inference/tool-text.ts';
import { closeApis, ENDED, MODEL, SERVING, startApi, text, USAGE } from './fakes.ts';

const HELLO: readonly ChatEvent[] = [SERVING, text('Hel'), text('lo'), ENDED];
const CALLS: readonly ChatEvent[] = [
  SERVING,
  text('I look.'),
  text(`${encodeToolCall('look', '{"at":1}')}\n${encodeToolCall('look', '{}')}`),
  ENDED,
];
const CUT: readonly ChatEvent[] = [SERVING, text('Hel'), { type: 'ended', finishReason: 'length', usage: USAGE }];
const LOST: readonly ChatEvent[] = [
  SERVING,
  text('Hel'),
  { type: 'failed', failure: failure('stream-lost', 'it went away') },
];
const SCHEMA = { type: 'object' as const, properties: { at: { type: 'integer' } } };

function openaiOf(url: string): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
}

function anthropicOf(url: string, apiKey: string = 'none'): Anthropic {
  return new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });
}

/** Fields of one request, or the client's own. */
const PASSING = /^id$|_id$|^parsed/;

function simple(output: unknown): unknown {
  return JSON.parse(JSON.stringify(output, (key, value) => (PASSING.test(key) ? undefined : value)));
}

async function throws(asked: Promise<unknown>, type: string, status: number): Promise<void> {
  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof anthropic.APIError);
    assert.deepEqual([error.type, error.status], [type, status]);
    return true;
  });
}

describe('the openai client for responses', () => {
  const ASK = { model: MODEL, input: 'hello' };
  const TOOLS = [{ type: 'function' as const, name: 'look', parameters: SCHEMA, strict: false }];
  afterEach(closeApis);

  it('reads an answer in one piece, and one that its length cut', async () => {
    const { url, chat } = await startApi();
    chat.script = HELLO;
    const whole = await openaiOf(url).responses.create({ ...ASK, instructions: 'Be kind.', metadata: { a: 'b' } });
    assert.deepEqual([whole.output_text, whole.status, whole.error], ['Hello', 'completed', null]);
    assert.deepEqual([whole.usage?.total_tokens, whole.usage?.input_tokens_details.cached_tokens], [7, 1]);
    assert.deepEqual([whole.instructions, whole.metadata], ['Be kind.', { a: 'b' }]);
    chat.script = CUT;
    const cut = await openaiOf(url).responses.create(ASK);
    assert.deepEqual([cut.status, cut.incomplete_details], ['incomplete', { reason: 'max_output_tokens' }]);
  });

  it('reads a stream, and builds from it what comes in one piece', async () => {
    const { url, chat } = await startApi();
    for (const [script, tools] of [
      [HELLO, []],
      [CALLS, TOOLS],
      [CUT, []],
    ] as const) {
      chat.script = script;
      // eslint-disable-next-line no-await-in-loop
      const events = await Array.fromAsync(
        await openaiOf(url).responses.create({ ...ASK, tools: [...tools], stream: true }),
      );
      assert.deepEqual(
        events.map(({ sequence_number: sequence }) => sequence),
        events.map((_, index) => index),
      );
      // eslint-disable-next-line no-await-in-loop
      const whole = await openaiOf(url).responses.create({ ...ASK, tools: [...tools] });
      // eslint-disable-next-line no-await-in-loop
      const built = await openaiOf(url)
        .responses.stream({ ...ASK, tools: [...tools] })
        .finalResponse();
      const last = events.at(-1);
      assert.ok(last?.type === (script === CUT ? 'response.incomplete' : 'response.completed'));
      assert.deepEqual(simple(last.response.output), simple(whole.output));
      // The client takes the last state of a response that is completed, and of no other.
      if (script !== CUT) assert.deepEqual(simple(built.output), simple(whole.output));
    }
  });

  it('runs the functions that the model calls, and tells what came of them', async () => {
    const { url, chat } = await startApi();
    chat.script = CALLS;
    const { output, output_text: said } = await openaiOf(url).responses.create({
      ...ASK,
      tools: TOOLS,
      tool_choice: 'required',
    });
    assert.equal(said, 'I look.');
    const calls = output.filter((item) => item.type === 'function_call');
    assert.deepEqual(
      calls.map((call) => [call.name, call.arguments, call.status]),
      [
        ['look', '{"at":1}', 'completed'],
        ['look', '{}', 'completed'],
      ],
    );
    chat.script = HELLO;
    const results = calls.map((call) => ({
      type: 'function_call_output' as const,
      call_id: call.call_id,
      output: '7',
    }));
    const input = [{ role: 'user' as const, content: 'hello' }, ...output, ...results];
    assert.equal((await openaiOf(url).responses.create({ ...ASK, input, tools: TOOLS })).output_text, 'Hello');
    const { messages } = (await chat.run(1)).request.job;
    assert.deepEqual(
      messages.map(({ role, toolCalls, toolCallId }) => [role, toolCalls?.length, toolCallId]),
      [
        ['user', undefined, undefined],
        ['assistant', 2, undefined],
        ['tool', undefined, calls[0]?.call_id],
        ['tool', undefined, calls[1]?.call_id],
      ],
    );
  });

  it('parses an answer in a format', async () => {
    const { url, chat } = await startApi();
    chat.script = [SERVING, text('{"at":3}'), ENDED];
    const format = { type: 'json_schema' as const, name: 'place', schema: SCHEMA, strict: true };
    const { output_parsed: place } = await openaiOf(url).responses.parse({ ...ASK, text: { format } });
    assert.equal((await chat.run()).request.job.format?.type, 'json-schema');
    assert.deepEqual(place, { at: 3 });
  });

  it('waits while nothing comes, and reads the answer, or the failure, after that', async () => {
    const { url, chat } = await startApi({ limits: { quietMs: 5 } });
    for (const [index, script] of [HELLO, LOST.slice(-1)].entries()) {
      // The head comes with the first sign of life.
      // eslint-disable-next-line no-await-in-loop
      const stream = await openaiOf(url).responses.create({ ...ASK, stream: true });
      // eslint-disable-next-line no-await-in-loop
      const run = await chat.run(index);
      for (const event of script) run.emit(event);
      const events = Array.fromAsync(stream);
      // eslint-disable-next-line no-await-in-loop
      if (script === HELLO) assert.equal((await events).at(-1)?.type, 'response.completed');
      // eslint-disable-next-line no-await-in-loop
      else await assert.rejects(events, APIError);
    }
  });

  it('throws the class of a failure, and when a stream breaks off', async () => {
    const { url, chat } = await startApi();
    const bad = openaiOf(url).responses.create({ ...ASK, previous_response_id: 'resp_1' });
    await assert.rejects(bad, (error) => error instanceof BadRequestError && error.param === 'previous_response_id');
    chat.script = LOST;
    const types: string[] = [];
    const stream = await openaiOf(url).responses.create({ ...ASK, stream: true });
    await assert.rejects(
      async () => {
        for await (const { type } of stream) types.push(type);
      },
      (error) => error instanceof APIError && error.code === 'stream_lost',
    );
    assert.equal(types.at(-1), 'response.failed');
  });
});

describe('the anthropic client', () => {
  const ASK = { model: MODEL, max_tokens: 100, messages: [{ role: 'user' as const, content: 'hello' }] };
  const TOOLS = [{ name: 'look', input_schema: SCHEMA }];
  afterEach(closeApis);

  it('reads an answer in one piece, and one that its length cut', async () => {
    const { url, chat } = await startApi();
    chat.script = HELLO;
    const whole = await anthropicOf(url).messages.create({ ...ASK, system: 'Be kind.' });
    assert.deepEqual(whole.content, [{ type: 'text', text: 'Hello', citations: null }]);
    assert.deepEqual([whole.stop_reason, whole.stop_sequence], ['end_turn', null]);
    // The client's own name for it.
    // eslint-disable-next-line no-underscore-dangle
    assert.match(whole._request_id ?? '', /^[0-9a-f]{32}$/);
    const { input_tokens: input, cache_read_input_tokens: cached, output_tokens: output } = whole.usage;
    assert.deepEqual([input, cached, output], [4, 1, 2]);
    chat.script = CUT;
    assert.equal((await anthropicOf(url).messages.create(ASK)).stop_reason, 'max_tokens');
  });

  it('reads a stream, and builds from it what comes in one piece', async () => {
    const { url, chat } = await startApi();
    for (const [script, tools] of [
      [HELLO, []],
      [CALLS, TOOLS],
      [CUT, []],
    ] as const) {
      chat.script = script;
      // eslint-disable-next-line no-await-in-loop
      const whole = await anthropicOf(url).messages.create({ ...ASK, tools: [...tools] });
      // eslint-disable-next-line no-await-in-loop
      const built = await anthropicOf(url)
        .messages.stream({ ...ASK, tools: [...tools] })
        .finalMessage();
      const seen = ({ content, stop_reason: reason, usage }: typeof whole): unknown[] => [
        content.map((block) =>
          block.type === 'text' ? block.text : block.type === 'tool_use' && [block.name, block.input],
        ),
        reason,
        usage,
      ];
      assert.deepEqual(seen(built), seen(whole));
    }
  });

  it('runs the tools that the model uses, and tells what came of them', async () => {
    const { url, chat } = await startApi();
    chat.script = CALLS;
    const { content, stop_reason: reason } = await anthropicOf(url).messages.create({
      ...ASK,
      tools: TOOLS,
      tool_choice: { type: 'any' },
    });
    assert.equal(reason, 'tool_use');
    const uses = content.filter((block) => block.type === 'tool_use');
    assert.deepEqual(
      uses.map(({ input }) => input),
      [{ at: 1 }, {}],
    );
    chat.script = HELLO;
    const results = uses.map(({ id }) => ({ type: 'tool_result' as const, tool_use_id: id, content: '7' }));
    const messages = [
      ...ASK.messages,
      { role: 'assistant' as const, content },
      { role: 'user' as const, content: [...results, { type: 'text' as const, text: 'And?' }] },
    ];
    await anthropicOf(url).messages.create({ ...ASK, messages, tools: TOOLS });
    const { job } = (await chat.run(1)).request;
    assert.deepEqual(
      job.messages.map(({ role, content: said, toolCalls, toolCallId }) => [role, said, toolCalls?.length, toolCallId]),
      [
        ['user', 'hello', undefined, undefined],
        ['assistant', 'I look.', 2, undefined],
        ['tool', '7', undefined, uses[0]?.id],
        ['tool', '7', undefined, uses[1]?.id],
        ['user', 'And?', undefined, undefined],
      ],
    );
  });

  it('waits while nothing comes, and reads the answer, or the failure, after that', async () => {
    const { url, chat } = await startApi({ limits: { quietMs: 5 } });
    for (const [index, script] of [HELLO, LOST.slice(-1)].entries()) {
      // The head comes with the first sign of life.
      // eslint-disable-next-line no-await-in-loop
      const stream = await anthropicOf(url).messages.create({ ...ASK, stream: true });
      // eslint-disable-next-line no-await-in-loop
      const run = await chat.run(index);
      for (const event of script) run.emit(event);
      const events = Array.fromAsync(stream);
      // eslint-disable-next-line no-await-in-loop
      if (script === HELLO) assert.equal((await events).at(-1)?.type, 'message_stop');
      // eslint-disable-next-line no-await-in-loop
      else await assert.rejects(events, anthropic.APIError);
    }
  });

  it('throws the class of each failure, with the type of its shape', async () => {
    const { url, chat } = await startApi();
    const client = anthropicOf(url);
    await throws(client.messages.create({ ...ASK, max_tokens: 0 }), 'invalid_request_error', 400);
    const failures = [
      ['model-not-found', 'not_found_error', 404],
      ['rate-limited', 'rate_limit_error', 429],
      ['no-node-available', 'overloaded_error', 503],
      ['engine-failed', 'api_error', 502],
    ] as const;
    for (const [code, type, status] of failures) {
      chat.script = [{ type: 'failed', failure: failure(code, 'so it is') }];
      // eslint-disable-next-line no-await-in-loop
      await throws(client.messages.create({ ...ASK, stream: true }), type, status);
    }
    await throws(client.messages.batches.list(), 'not_found_error', 404);
  });

  it('lists the models and finds one', async () => {
    const client = anthropicOf((await startApi()).url);
    const models = await Array.fromAsync(client.models.list());
    assert.deepEqual(
      models.map(({ id, type, display_name: name, max_input_tokens: tokens }) => [id, type, name, tokens]),
      [[MODEL, 'model', MODEL, 4_096]],
    );
    assert.ok(Date.parse(models[0]?.created_at ?? '') > 0);
    assert.deepEqual(simple(await client.models.retrieve(MODEL)), simple(models[0]));
    await throws(client.models.retrieve('nope'), 'not_found_error', 404);
  });

  it('runs tools with its own runner, which keeps the conversation itself when the node cannot', async () => {
    const { url, chat } = await startApi();
    const asked = anthropicOf(url).beta.messages.toolRunner({
      ...ASK,
      tools: TOOLS.map((tool) => ({ ...tool, type: 'custom', run: async () => '7', parse: (input: unknown) => input })),
    });
    chat.script = CALLS;
    const seen: string[] = [];
    for await (const { stop_reason: reason } of asked) {
      seen.push(String(reason));
      chat.script = HELLO;
    }
    assert.deepEqual(seen, ['tool_use', 'end_turn']);
    const { job } = (await chat.run(1)).request;
    assert.deepEqual(
      job.messages.map(({ role }) => role),
      ['user', 'assistant', 'tool', 'tool'],
    );
  });

  it('throws when a stream breaks off', async () => {
    const { url, chat } = await startApi();
    chat.script = LOST;
    const stream = anthropicOf(url).messages.stream(ASK);
    let answer = '';
    stream.on('text', (piece) => (answer += piece));
    await assert.rejects(
      stream.finalMessage(),
      (error) => error instanceof anthropic.APIError && error.type === 'api_error',
    );
    assert.equal(answer, 'Hel');
  });

  it('is let in with the right key only', async () => {
    const keys = new KeyRing({ hashes: [hashApiKey('sk-right')], isExposed: false });
    const { url, chat } = await startApi({ keys });
    chat.script = HELLO;
    await assert.rejects(anthropicOf(url, 'sk-wrong').messages.create(ASK), (error) => {
      assert.ok(error instanceof anthropic.AuthenticationError);
      assert.equal(error.type, 'authentication_error');
      return true;
    });
    assert.equal((await anthropicOf(url, 'sk-right').messages.create(ASK)).type, 'message');
  });
});
