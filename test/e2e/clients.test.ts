/** The clients that people use, on a node that has no model: a mesh must look like the service that each was written for. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { HumanMessage } from '@langchain/core/messages';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { embedMany, generateText, isStepCount, Output, streamText, tool } from 'ai';
import { Ollama } from 'ollama';
import { z } from 'zod';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { startMesh, stopAll } from './harness.ts';

const QUESTION = 'Where is the goose?';
const PLACE = z.object({ at: z.string() });
const BIRD = z.object({ bird: z.enum(['goose', 'swan']), count: z.int() });
const BIRDS: z.infer<typeof BIRD> = { bird: 'goose', count: 2 };
/** Names the models that there are. */
const UNKNOWN = /'other'.* fake\.$/;
const LOOK_SCHEMA = { type: 'object', properties: { at: { type: 'string' } }, required: ['at'] };

let upstream: Server;
let front: NodeProcess;

describe('on a node without models', function () {
  this.timeout(60_000);

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
  });

  after(async () => {
    await stopAll();
    upstream.closeAllConnections();
    upstream.close();
  });

  describe('the AI SDK', () => {
    it('generates and streams text', async () => {
      const model = provider().chatModel('fake');
      const { text, finishReason, usage } = await generateText({ model, prompt: QUESTION, maxRetries: 0 });
      assert.deepEqual([text, finishReason, usage.inputTokens, usage.outputTokens], ['Honk honk.', 'stop', 7, 2]);
      const streamed = streamText({ model, prompt: QUESTION, maxRetries: 0 });
      const pieces: string[] = [];
      for await (const piece of streamed.textStream) pieces.push(piece);
      assert.equal(pieces.join(''), 'Honk honk.');
      assert.deepEqual([await streamed.finishReason, (await streamed.usage).outputTokens], ['stop', 2]);
    });

    it('calls tools and goes on with what they gave, generated and streamed', async () => {
      const asked: string[] = [];
      const look = tool({
        inputSchema: PLACE,
        execute: async ({ at }) => {
          asked.push(at);
          return 'It swims.';
        },
      });
      const settings = { prompt: QUESTION, tools: { look }, stopWhen: isStepCount(3), maxRetries: 0 };
      const { text, steps } = await generateText({ model: provider().chatModel('fake'), ...settings });
      assert.match(text, /^told: .*It swims\./);
      assert.equal(steps.length, 2);
      assert.match(await streamText({ model: provider().chatModel('fake'), ...settings }).text, /^told: .*It swims\./);
      assert.deepEqual(asked, ['the pond', 'the pond']);
    });

    it('gets objects that fit a schema, generated and streamed', async () => {
      const settings = { prompt: QUESTION, output: Output.object({ schema: BIRD }), maxRetries: 0 };
      const model = provider().chatModel('fake');
      assert.deepEqual((await generateText({ model, ...settings })).output, BIRDS);
      const streamed = streamText({ model, ...settings });
      assert.deepEqual(await streamed.output, BIRDS);
      // Without the flag it asks for any JSON object, and warns on the console that it does.
      Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });
      assert.deepEqual((await generateText({ model: provider(false).chatModel('fake'), ...settings })).output, BIRDS);
    });

    it('gets an object that fits a schema behind calls of tools', async () => {
      const asked: string[] = [];
      const look = tool({
        inputSchema: PLACE,
        execute: async ({ at }) => {
          asked.push(at);
          return 'Two geese.';
        },
      });
      const settings = { prompt: QUESTION, output: Output.object({ schema: BIRD }), tools: { look }, maxRetries: 0 };
      const model = provider().chatModel('fake');
      const { output } = await generateText({ model, ...settings, stopWhen: isStepCount(3) });
      assert.deepEqual([output, asked], [BIRDS, ['the pond']]);
    });

    it('embeds many texts in order', async () => {
      const values = Array.from({ length: 100 }, (_, index) => String(index));
      const model = provider().embeddingModel('fake');
      const { embeddings, usage } = await embedMany({ model, values, maxRetries: 0 });
      assert.deepEqual(embeddings.map(ratio), values.map(Number));
      assert.ok(usage.tokens >= 0);
    });

    it('hears why there is no answer', async () => {
      const model = provider().chatModel('other');
      await assert.rejects(generateText({ model, prompt: QUESTION, maxRetries: 0 }), {
        statusCode: 404,
        message: UNKNOWN,
      });
    });
  });

  describe('LangChain', () => {
    it('invokes and streams', async () => {
      const message = await chat().invoke(QUESTION);
      assert.equal(message.text, 'Honk honk.');
      assert.partialDeepStrictEqual(message.usage_metadata, { input_tokens: 7, output_tokens: 2 });
      const pieces: string[] = [];
      for await (const piece of await chat().stream(QUESTION)) pieces.push(piece.text);
      assert.equal(pieces.join(''), 'Honk honk.');
    });

    it('calls tools and goes on with what they gave', async () => {
      const look = langchainTool(({ at }) => `It swims in ${at}.`, {
        name: 'look',
        description: 'Looks.',
        schema: PLACE,
      });
      const model = chat().bindTools([look]);
      const asked = new HumanMessage(QUESTION);
      const called = await model.invoke([asked]);
      const [call] = called.tool_calls ?? [];
      assert.ok(call);
      assert.deepEqual([call.name, call.args], ['look', { at: 'the pond' }]);
      const result = await look.invoke({ ...call, type: 'tool_call' });
      assert.equal((await model.invoke([asked, called, result])).text, 'told: It swims in the pond.');
    });

    it('gets objects that fit a schema, by a format or by a call', async () => {
      assert.deepEqual(await chat().withStructuredOutput(BIRD).invoke(QUESTION), BIRDS);
      const calling = chat().withStructuredOutput(PLACE, { method: 'functionCalling', name: 'look' });
      assert.deepEqual(await calling.invoke(QUESTION), { at: 'the pond' });
    });

    it('embeds documents in order', async () => {
      const configuration = { baseURL: `${front.api}/v1` };
      const embeddings = new OpenAIEmbeddings({ model: 'fake', apiKey: 'none', maxRetries: 0, configuration });
      assert.deepEqual((await embeddings.embedDocuments(['3', '1', '2'])).map(ratio), [3, 1, 2]);
      assert.equal(ratio(await embeddings.embedQuery('5')), 5);
    });
  });

  describe('Ollama’s client', () => {
    const messages = [{ role: 'user', content: QUESTION }];
    const tools = [{ type: 'function', function: { name: 'look', description: 'Looks.', parameters: LOOK_SCHEMA } }];

    it('finds the model in its lists', async () => {
      const { models } = await client().list();
      assert.deepEqual(
        models.map(({ name }) => name),
        ['fake:latest'],
      );
      assert.deepEqual((await client().ps()).models.map(({ name }) => name), ['fake:latest']); // prettier-ignore
      const shown = await client().show({ model: models[0]?.name ?? '' });
      assert.equal(new Map(Object.entries(shown.model_info)).get('skein.context_length'), 4_096);
      assert.match((await client().version()).version, /skein$/);
    });

    it('chats, streamed or not, under either name', async () => {
      const whole = await client().chat({ model: 'fake:latest', messages });
      assert.deepEqual([whole.message.content, whole.done_reason, whole.eval_count], ['Honk honk.', 'stop', 2]);
      const pieces: string[] = [];
      let last = '';
      for await (const { message, done_reason: reason } of await client().chat({
        model: 'fake',
        messages,
        stream: true,
      })) {
        pieces.push(message.content);
        last = reason;
      }
      assert.deepEqual([pieces.join(''), last], ['Honk honk.', 'stop']);
    });

    it('calls tools and goes on with what they gave, streamed or not', async () => {
      const { message } = await client().chat({ model: 'fake', messages, tools });
      const streamed: (typeof message)[] = [];
      for await (const part of await client().chat({ model: 'fake', messages, tools, stream: true }))
        streamed.push(part.message);
      const called = [message, ...streamed].flatMap(({ tool_calls: calls }) => calls ?? []);
      assert.deepEqual(
        called.map((call) => [call.function.name, call.function.arguments]),
        Array.from({ length: 2 }, () => ['look', { at: 'the pond' }]),
      );
      const result = { role: 'tool', tool_name: 'look', content: 'It swims.' };
      const last = await client().chat({ model: 'fake', messages: [...messages, message, result], tools });
      assert.equal(last.message.content, 'told: It swims.');
    });

    it('generates, by a schema and raw, and embeds', async () => {
      const format = z.toJSONSchema(BIRD);
      const formatted = await client().generate({ model: 'fake', prompt: QUESTION, format });
      assert.deepEqual(JSON.parse(formatted.response ?? ''), BIRDS);
      assert.equal((await client().generate({ model: 'fake', prompt: 'Once', raw: true })).response, ' upon a time');
      const pieces: string[] = [];
      for await (const { response } of await client().generate({ model: 'fake', prompt: QUESTION, stream: true }))
        pieces.push(response ?? '');
      assert.equal(pieces.join(''), 'Honk honk.');
      const { embeddings } = await client().embed({ model: 'fake', input: ['3', '1'] });
      assert.deepEqual(embeddings.map(ratio), [3, 1]);
      assert.equal(ratio((await client().embeddings({ model: 'fake', prompt: '2' })).embedding), 2);
    });

    it('hears why there is no answer, before a stream and for what is not here', async () => {
      await assert.rejects(client().chat({ model: 'other', messages, stream: true }), {
        status_code: 404,
        message: UNKNOWN,
      });
      const images = [{ role: 'user', content: QUESTION, images: ['aGk='] }];
      await assert.rejects(client().chat({ model: 'fake', messages: images }), { status_code: 400 });
      await assert.rejects(client().pull({ model: 'fake' }), /there is nothing here/);
    });
  });
});

function provider(supportsStructuredOutputs: boolean = true): ReturnType<typeof createOpenAICompatible> {
  const baseURL = `${front.api}/v1`;
  return createOpenAICompatible({ name: 'skein', baseURL, includeUsage: true, supportsStructuredOutputs });
}

function chat(): ChatOpenAI {
  return new ChatOpenAI({
    model: 'fake',
    apiKey: 'none',
    maxRetries: 0,
    configuration: { baseURL: `${front.api}/v1` },
  });
}

function client(): Ollama {
  return new Ollama({ host: front.api });
}

/** Of the vectors of this upstream: the number that was embedded. */
function ratio([x = 0, y = 0]: readonly number[]): number {
  return Math.round((y / x) * 1_000) / 1_000;
}

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
      return chatReply(body);
    case '/v1/completions':
      return { choices: [{ text: ' upon a time', finish_reason: 'stop' }] };
    case '/v1/embeddings':
      return { data: body.input.map((one: string, index: number) => ({ index, embedding: [1, Number(one)] })) };
    default:
      return undefined;
  }
}

/** Calls once where it may, and then tells what came of it; answers by the schema where there is one. */
function chatReply({ tools, messages, response_format: format }: ReturnType<typeof JSON.parse>): string {
  const last = messages.at(-1);
  if (last.role === 'tool' && format === undefined) return events([{ content: `told: ${last.content}` }], 'stop');
  if (format !== undefined && (tools === undefined || last.role === 'tool'))
    return events([{ content: JSON.stringify(BIRDS) }], 'stop');
  if (tools === undefined) return events([{ content: 'Honk' }, { content: ' honk.' }], 'stop');
  const head = { index: 0, id: 'theirs', type: 'function', function: { name: 'look', arguments: '' } };
  const pieces = ['{"at":', '"the pond"}'].map((one) => ({ index: 0, function: { arguments: one } }));
  return events(
    [head, ...pieces].map((call) => ({ tool_calls: [call] })),
    'tool_calls',
  );
}

function events(deltas: readonly object[], reason: string): string {
  const usage = { prompt_tokens: 7, completion_tokens: 2 };
  const all = [...deltas.map((delta) => [delta, null] as const), [{}, reason] as const];
  const lines = all.map(
    ([delta, finish]) =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }], usage })}\n\n`,
  );
  return `${lines.join('')}data: [DONE]\n\n`;
}
