/** Calls, vectors, scores and choices of somebody else's server, asked by the official client through another node. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI, { BadRequestError } from 'openai';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { startMesh, stopAll } from './harness.ts';

const ASK = { model: 'fake', messages: [{ role: 'user' as const, content: 'Where is the goose?' }] };
const TOOLS = [{ type: 'function' as const, function: { name: 'look', parameters: { type: 'object' } } }];

describe('a far node with an upstream', function () {
  this.timeout(60_000);
  let upstream: Server;
  let front: NodeProcess;
  let client: OpenAI;

  before(async () => {
    upstream = createServer((request, response) => {
      answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
    });
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    const { port } = upstream.address() as AddressInfo;
    const none = ['--no-default-model'];
    const [first] = await startMesh([none, [...none, '--upstream', `http://127.0.0.1:${port}/v1`]]);
    assert.ok(first);
    front = first;
    client = new OpenAI({ baseURL: `${front.api}/v1`, apiKey: 'none', maxRetries: 0 });
  });

  after(async () => {
    await stopAll();
    upstream.closeAllConnections();
    upstream.close();
  });

  it('calls functions, streamed or not, and reads what came of them', async () => {
    const whole = await client.chat.completions.create({ ...ASK, tools: TOOLS });
    const streamed = await client.chat.completions.stream({ ...ASK, tools: TOOLS }).finalChatCompletion();
    for (const { choices } of [whole, streamed]) {
      assert.equal(choices[0]?.finish_reason, 'tool_calls');
      const [call] = choices[0]?.message.tool_calls ?? [];
      assert.ok(call?.type === 'function');
      assert.deepEqual([call.function.name, call.function.arguments], ['look', '{"at":"the pond"}']);
      const messages = [
        ...ASK.messages,
        { role: 'assistant' as const, content: null, tool_calls: [call] },
        { role: 'tool' as const, tool_call_id: call.id, content: 'It swims.' },
      ];
      // eslint-disable-next-line no-await-in-loop
      const last = await client.chat.completions.create({ ...ASK, messages, tools: TOOLS });
      assert.equal(last.choices[0]?.message.content, `told by ${call.id}: It swims.`);
    }
  });

  it('calls functions as items of a response, streamed or not, and reads what came of them', async () => {
    const { model, messages: input } = ASK;
    const ask = { model, input, tools: [{ type: 'function' as const, name: 'look', parameters: {}, strict: false }] };
    const whole = await client.responses.create(ask);
    const streamed = await client.responses.stream(ask).finalResponse();
    for (const { output, status } of [whole, streamed]) {
      const [call] = output;
      assert.ok(call?.type === 'function_call' && status === 'completed');
      assert.deepEqual([call.name, call.arguments], ['look', '{"at":"the pond"}']);
      const result = { type: 'function_call_output' as const, call_id: call.call_id, output: 'It swims.' };
      // eslint-disable-next-line no-await-in-loop
      const last = await client.responses.create({ ...ask, input: [...input, call, result] });
      assert.equal(last.output_text, `told by ${call.call_id}: It swims.`);
      assert.deepEqual([last.usage?.input_tokens, last.usage?.output_tokens], [7, 2]);
    }
  });

  it('uses tools in blocks of a message, streamed or not, and reads what came of them', async () => {
    const anthropic = new Anthropic({ baseURL: front.api, apiKey: 'none', maxRetries: 0 });
    const ask = { ...ASK, max_tokens: 100, tools: [{ name: 'look', input_schema: { type: 'object' as const } }] };
    const whole = await anthropic.messages.create(ask);
    const streamed = await anthropic.messages.stream(ask).finalMessage();
    for (const { content, stop_reason: reason } of [whole, streamed]) {
      const [use] = content;
      assert.ok(use?.type === 'tool_use' && reason === 'tool_use');
      assert.deepEqual([use.name, use.input], ['look', { at: 'the pond' }]);
      const result = { type: 'tool_result' as const, tool_use_id: use.id, content: 'It swims.' };
      const messages = [
        ...ASK.messages,
        { role: 'assistant' as const, content },
        { role: 'user' as const, content: [result] },
      ];
      // eslint-disable-next-line no-await-in-loop
      const last = await anthropic.messages.create({ ...ask, messages });
      const [said] = last.content;
      assert.ok(said?.type === 'text' && last.stop_reason === 'end_turn');
      assert.equal(said.text, `told by ${use.id}: It swims.`);
    }
  });

  it('tells which stop sequence ended a message, streamed or not', async () => {
    const anthropic = new Anthropic({ baseURL: front.api, apiKey: 'none', maxRetries: 0 });
    const ask = { ...ASK, max_tokens: 100, stop_sequences: ['unheard', 'nk'] };
    for (const { content, stop_reason: reason, stop_sequence: sequence } of [
      await anthropic.messages.create(ask),
      await anthropic.messages.stream(ask).finalMessage(),
    ]) {
      const [said] = content;
      assert.ok(said?.type === 'text');
      assert.deepEqual([said.text, reason, sequence], ['Ho', 'stop_sequence', 'nk']);
    }
  });

  it('counts the tokens of a request where the model is, and lists the models for either client', async () => {
    const anthropic = new Anthropic({ baseURL: front.api, apiKey: 'none', maxRetries: 0 });
    assert.deepEqual(await anthropic.messages.countTokens(ASK), { input_tokens: 7 });
    const body = { model: 'fake', input: 'Where is the goose?' };
    const counted = { object: 'response.input_tokens', input_tokens: 7 };
    assert.deepEqual(await client.post('/responses/input_tokens', { body }), counted);
    const ids = [await Array.fromAsync(client.models.list()), await Array.fromAsync(anthropic.models.list())].map(
      (models) => models.map(({ id }) => id),
    );
    assert.deepEqual(ids, [['fake'], ['fake']]);
  });

  it('answers as often as asked, with one prompt counted', async () => {
    const { choices, usage } = await client.chat.completions.create({ ...ASK, n: 3 });
    assert.deepEqual(
      choices.map(({ message }) => message.content),
      ['Honk.', 'Honk.', 'Honk.'],
    );
    assert.deepEqual([usage?.prompt_tokens, usage?.completion_tokens], [7, 6]);
  });

  it('embeds hundreds of texts in order, goes on with a text, and ranks', async () => {
    const input = Array.from({ length: 200 }, (_, index) => String(index));
    const { data } = await client.embeddings.create({ model: 'fake', input });
    for (const [index, { embedding }] of data.entries()) {
      const [x = 0, y = 0] = embedding;
      assert.equal(Math.round((y / x) * 1_000) / 1_000, index);
    }
    const completion = await client.completions.create({ model: 'fake', prompt: 'Once' });
    assert.equal(completion.choices[0]?.text, ' upon a time');
    const ranked = await fetch(`${front.api}/v1/rerank`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'fake', query: 'q', documents: ['a', 'bbb', 'cc'] }),
    });
    const { results } = (await ranked.json()) as { results: { index: number }[] };
    assert.deepEqual(
      results.map(({ index }) => index),
      [1, 2, 0],
    );
  });

  it('names what cannot be done', async () => {
    await assert.rejects(client.embeddings.create({ model: 'fake', input: '1', dimensions: 7 }), (error) => {
      assert.ok(error instanceof BadRequestError);
      assert.equal(error.param, 'dimensions');
      return true;
    });
  });
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  const value = reply(request.url ?? '', text === '' ? {} : JSON.parse(text));
  if (typeof value === 'string') response.writeHead(200, { 'content-type': 'text/event-stream' }).end(value);
  else {
    response.writeHead(value === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value ?? { error: { message: 'not here' } }));
  }
}

function reply(url: string, body: ReturnType<typeof JSON.parse>): unknown {
  switch (url) {
    case '/v1/models':
      return { data: [{ id: 'fake', max_model_len: 4_096 }] };
    case '/v1/chat/completions':
      return chat(body);
    case '/v1/completions':
      return { choices: [{ text: ' upon a time', finish_reason: 'stop' }] };
    case '/v1/embeddings':
      return { data: body.input.map((one: string, index: number) => ({ index, embedding: [1, Number(one)] })) };
    case '/v1/rerank':
      return {
        results: body.documents.map((one: string, index: number) => ({ index, relevance_score: one.length })),
      };
    default:
      return undefined;
  }
}

/** Calls once where it may, and then tells what came of it. */
function chat({ tools, messages }: { tools?: unknown; messages: ReturnType<typeof JSON.parse>[] }): string {
  const last = messages.at(-1);
  const usage = { prompt_tokens: 7, completion_tokens: 2 };
  const event = (delta: object, reason: string | null): string =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: reason }], usage })}\n\n`;
  if (last.role === 'tool')
    return event({ content: `told by ${last.tool_call_id}: ${last.content}` }, 'stop') + 'data: [DONE]\n\n';
  if (tools === undefined) return `${event({ content: 'Honk.' }, 'stop')}data: [DONE]\n\n`;
  const head = { index: 0, id: 'theirs', type: 'function', function: { name: 'look', arguments: '' } };
  const pieces = ['{"at":', '"the pond"}'].map((one) => ({ index: 0, function: { arguments: one } }));
  const deltas = [head, ...pieces].map((call) => event({ tool_calls: [call] }, null)).join('');
  return `${deltas}${event({}, 'tool_calls')}data: [DONE]\n\n`;
}
