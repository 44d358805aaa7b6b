import assert from 'node:assert/strict';
import Anthropic, * as anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { failure } from '../../src/errors.ts';
import type { ChatEvent } from '../../src/inference/chat.ts';
import { closeApis, MODEL, SERVING, startApi, text } from './fakes.ts';
import { post, refusalOf } from './post.ts';

const ONE: readonly ChatEvent[] = [
  SERVING,
  text('x'),
  { type: 'ended', finishReason: 'length', usage: { promptTokens: 31, completionTokens: 1, cachedTokens: 30 } },
];
const MESSAGES = [{ role: 'user' as const, content: 'hello' }];
const SCHEMA = { type: 'object' as const, properties: { at: { type: 'integer' } } };

describe('the tokens of a request', () => {
  afterEach(closeApis);

  it('are those of its prompt, cached or not, for the price of one token', async () => {
    const { url, chat } = await startApi();
    chat.script = ONE;
    const client = new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
    const tools = [{ name: 'look', input_schema: SCHEMA }];
    const ask = { model: MODEL, messages: MESSAGES, system: 'Be kind.', tools };
    assert.deepEqual(await client.messages.countTokens(ask), { input_tokens: 31 });
    chat.script = [SERVING];
    const asked = client.messages.create({ ...ask, max_tokens: 50, stop_sequences: ['x'] });
    const { job } = (await chat.run(1)).request;
    const { job: counted } = (await chat.run(0)).request;
    // The same prompt, so that it is found cached.
    assert.deepEqual({ ...counted, sampling: undefined }, { ...job, sampling: undefined });
    assert.deepEqual([counted.sampling.maxTokens, counted.sampling.stop, counted.sampling.temperature], [1, [], 0]);
    (await chat.run(1)).emit({ type: 'failed', failure: failure('stalled', 'enough') });
    await assert.rejects(asked);
  });

  it('are told in the words of the Responses API too', async () => {
    const api = await startApi();
    api.chat.script = ONE;
    const client = new OpenAI({ baseURL: `${api.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const body = { model: MODEL, input: 'hello', instructions: 'Be kind.', stream: true };
    assert.deepEqual(await client.post('/responses/input_tokens', { body }), {
      object: 'response.input_tokens',
      input_tokens: 31,
    });
    assert.equal(await refusalOf(api, '/v1/responses/input_tokens', { model: MODEL }), 'invalid_request input');
  });

  it('are refused as the request would be', async () => {
    const api = await startApi();
    const client = new Anthropic({ baseURL: api.url, apiKey: 'none', maxRetries: 0 });
    const image = { type: 'image' as const, source: { type: 'url' as const, url: 'http://127.0.0.1/' } };
    await assert.rejects(
      client.messages.countTokens({ model: MODEL, messages: [{ role: 'user', content: [image] }] }),
      anthropic.BadRequestError,
    );
    api.chat.script = [{ type: 'failed', failure: failure('context-length-exceeded', 'it has 9999 tokens') }];
    await assert.rejects(client.messages.countTokens({ model: MODEL, messages: MESSAGES }), (error) => {
      assert.ok(error instanceof anthropic.BadRequestError);
      assert.match(error.message, /9999 tokens/);
      return true;
    });
    assert.equal((await post(api, '/v1/messages/count_tokens', { model: 'nope', messages: [] })).status, 400);
  });
});
