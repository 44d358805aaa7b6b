/** A conversation without any key goes back to the node that holds its beginning, and what is held is not read again. */
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { startMesh, stopAll } from './harness.ts';

const CONVERSATIONS = 4;
type Message = OpenAI.Chat.ChatCompletionMessageParam;

describe('the second turn of a conversation', function () {
  this.timeout(120_000);
  after(stopAll);

  it('goes to the node that answered the first, which finds the prompt in its cache, for every conversation', async () => {
    const [front] = await startMesh([['--no-default-model'], [], []]);
    assert.ok(front);
    const first = new Map<number, string>();
    for (let topic = 0; topic < CONVERSATIONS; topic += 1) {
      // One after the other: the second answers of all come after the first of all.
      // eslint-disable-next-line no-await-in-loop
      first.set(topic, (await ask(front, opening(topic))).node);
    }
    for (let topic = 0; topic < CONVERSATIONS; topic += 1) {
      // eslint-disable-next-line no-await-in-loop
      const { node, explained, cachedTokens, promptTokens } = await ask(front, [...opening(topic), ...next(topic)]);
      assert.equal(node, first.get(topic), `conversation ${topic}`);
      assert.match(explained, /goes first because it holds about 256 tokens of this prompt/);
      // All of the first turn is there.
      assert.ok(
        cachedTokens > promptTokens - 100 && cachedTokens < promptTokens,
        `${cachedTokens} of ${promptTokens} tokens`,
      );
    }
  });
});

function opening(topic: number): Message[] {
  return [{ role: 'user', content: `${topic} is a number. `.repeat(100) }];
}

function next(topic: number): Message[] {
  return [
    { role: 'assistant', content: 'It is.' },
    { role: 'user', content: `And ${topic + 1}?` },
  ];
}

async function ask({ api }: NodeProcess, messages: Message[]) {
  const client = new OpenAI({ baseURL: `${api}/v1`, apiKey: 'none', maxRetries: 0 });
  const { data, response } = await client.chat.completions
    .create({ model: 'skein-hello', temperature: 0, max_tokens: 4, messages })
    .withResponse();
  const node = response.headers.get('x-skein-node') ?? '';
  const requestId = response.headers.get('x-request-id') ?? '';
  assert.notEqual(node, '');
  const explained = await (await fetch(`${api}/api/requests/${requestId}`)).text();
  const { prompt_tokens: promptTokens = 0, prompt_tokens_details: details } = data.usage ?? {};
  return { node, explained, promptTokens, cachedTokens: details?.cached_tokens ?? 0 };
}
