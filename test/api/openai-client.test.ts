/** The official client against our server: what it cannot read, most programs cannot read. */
import assert from 'node:assert/strict';
import OpenAI, { APIError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError } from 'openai';
import { failure } from '../../src/errors.ts';
import { encodeVector } from '../../src/inference/answer-lines.ts';
import { encodeToolCall } from '../../src/inference/tool-text.ts';
import { closeApis, ENDED, MODEL, SERVING, startApi, text } from './fakes.ts';

const ASK = { model: MODEL, messages: [{ role: 'user' as const, content: 'hello' }] };

function clientOf(url: string, apiKey: string = 'none'): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
}

describe('the openai client', () => {
  afterEach(closeApis);

  it('reads an answer in one piece, with its request id', async () => {
    const { url, chat } = await startApi();
    chat.script = [SERVING, text('Hel'), text('lo'), ENDED];
    const reply = await clientOf(url).chat.completions.create(ASK);
    assert.equal(reply.choices[0]?.message.content, 'Hello');
    assert.equal(reply.usage?.total_tokens, 7);
    // The client's own name for it.
    // eslint-disable-next-line no-underscore-dangle
    assert.match(reply._request_id ?? '', /^[0-9a-f]{32}$/);
  });

  it('reads a stream', async () => {
    const { url, chat } = await startApi();
    chat.script = [SERVING, text('Hel'), text('lo'), ENDED];
    const stream = await clientOf(url).chat.completions.create({
      ...ASK,
      stream: true,
      stream_options: { include_usage: true },
    });
    let answer = '';
    const reasons: unknown[] = [];
    let usage: unknown;
    for await (const chunk of stream) {
      answer += chunk.choices[0]?.delta.content ?? '';
      if (chunk.choices[0]?.finish_reason) reasons.push(chunk.choices[0].finish_reason);
      usage = chunk.usage ?? usage;
    }
    assert.equal(answer, 'Hello');
    assert.deepEqual(reasons, ['stop']);
    assert.ok(usage);
  });

  it('assembles a stream into a whole completion', async () => {
    const { url, chat } = await startApi();
    chat.script = [SERVING, text('Hel'), text('lo'), ENDED];
    const completion = await clientOf(url).chat.completions.stream(ASK).finalChatCompletion();
    assert.equal(completion.choices[0]?.message.content, 'Hello');
    assert.equal(completion.choices[0]?.message.role, 'assistant');
  });

  it('runs the functions that the model calls, streamed or not', async () => {
    const { url, chat } = await startApi();
    chat.script = [
      SERVING,
      text('I look.'),
      text(`${encodeToolCall('look', '{"at":1}')}\n${encodeToolCall('look', '{}')}`),
      ENDED,
    ];
    const tools = [{ type: 'function' as const, function: { name: 'look', parameters: { type: 'object' } } }];
    const reply = await clientOf(url).chat.completions.create({ ...ASK, tools, tool_choice: 'required' });
    const streamed = await clientOf(url)
      .chat.completions.stream({ ...ASK, tools })
      .finalChatCompletion();
    for (const { message, finish_reason: reason } of [reply.choices[0], streamed.choices[0]].filter(
      (one) => one !== undefined,
    )) {
      assert.equal(reason, 'tool_calls');
      assert.equal(message.content, 'I look.');
      const calls = (message.tool_calls ?? []).filter((call) => call.type === 'function');
      assert.deepEqual(
        calls.map((call) => call.function.arguments),
        ['{"at":1}', '{}'],
      );
      assert.equal(new Set(calls.map(({ id }) => id)).size, 2);
    }
  });

  it('asks for vectors as bytes and gets numbers', async () => {
    const { url, chat } = await startApi();
    chat.script = [SERVING, text(encodeVector(Float32Array.of(0.5, -0.25), 3)), ENDED];
    const { data, usage } = await clientOf(url).embeddings.create({ model: MODEL, input: 'hello' });
    assert.deepEqual([...(data[0]?.embedding ?? [])], [0.5, -0.25]);
    assert.equal(usage.prompt_tokens, 3);
  });

  it('goes on with a text', async () => {
    const { url, chat } = await startApi();
    chat.script = [SERVING, text(' upon'), text(' a time'), ENDED];
    const reply = await clientOf(url).completions.create({ model: MODEL, prompt: 'Once' });
    assert.equal(reply.choices[0]?.text, ' upon a time');
    let streamed = '';
    const stream = await clientOf(url).completions.create({ model: MODEL, prompt: 'Once', stream: true });
    for await (const chunk of stream) streamed += chunk.choices[0]?.text ?? '';
    assert.equal(streamed, ' upon a time');
  });

  it('lists models and finds one whose name has a slash', async () => {
    const { url } = await startApi();
    const names: string[] = [];
    for await (const model of clientOf(url).models.list()) names.push(model.id);
    assert.deepEqual(names, [MODEL]);
    assert.equal((await clientOf(url).models.retrieve(MODEL)).id, MODEL);
    await assert.rejects(clientOf(url).models.retrieve('nope'), NotFoundError);
  });

  it('throws the class of each failure', async () => {
    const { url, chat } = await startApi();
    const client = clientOf(url);
    const bad = client.chat.completions.create({ ...ASK, temperature: 9 });
    await assert.rejects(bad, (error) => error instanceof BadRequestError && error.param === 'temperature');
    chat.script = [{ type: 'failed', failure: failure('model-not-found', 'there is only x', { param: 'model' }) }];
    const unknown = client.chat.completions.create({ ...ASK, stream: true });
    await assert.rejects(unknown, (error) => error instanceof NotFoundError && error.code === 'model_not_found');
    chat.script = [{ type: 'failed', failure: failure('no-node-available', 'nobody is there') }];
    await assert.rejects(client.chat.completions.create(ASK), InternalServerError);
  });

  it('throws when a stream breaks off', async () => {
    const { url, chat } = await startApi();
    chat.script = [SERVING, text('Hel'), { type: 'failed', failure: failure('stream-lost', 'it went away') }];
    const stream = await clientOf(url).chat.completions.create({ ...ASK, stream: true });
    let answer = '';
    await assert.rejects(
      async () => {
        for await (const chunk of stream) answer += chunk.choices[0]?.delta.content ?? '';
      },
      (error) => error instanceof APIError && error.code === 'stream_lost',
    );
    assert.equal(answer, 'Hel');
  });

  it('is let in with the right key only', async () => {
    const { url } = await startApi({ keys: ['sk-right'] });
    await assert.rejects(clientOf(url, 'sk-wrong').models.list(), AuthenticationError);
    assert.equal((await clientOf(url, 'sk-right').models.list()).data.length, 1);
  });

  it('frees the run when the program breaks out of the stream', async () => {
    const { url, chat } = await startApi();
    const pending = clientOf(url).chat.completions.create({ ...ASK, stream: true });
    const run = await chat.run();
    run.emit(SERVING);
    run.emit(text('Hel'));
    for await (const chunk of await pending) if (chunk.choices[0]?.delta.content === 'Hel') break;
    await run.untilCancelled();
  });
});
