import assert from 'node:assert/strict';
import { parseModelId } from '../../src/ids.ts';
import type { AnswerFormat, Job, ChatMessage, Sampling } from '../../src/inference/engine.ts';
import { chatBody, parseUpstreamUrl } from '../../src/inference/upstream-request.ts';

describe('the base url of an upstream', () => {
  it('gives origin, api path and root path', () => {
    for (const { text, expected } of [
      { text: 'http://127.0.0.1:11434/v1', expected: ['http://127.0.0.1:11434', '/v1', ''] },
      { text: 'http://127.0.0.1:11434/v1/', expected: ['http://127.0.0.1:11434', '/v1', ''] },
      { text: 'https://gpu.lan/llm/v1', expected: ['https://gpu.lan', '/llm/v1', '/llm'] },
      { text: 'http://[::1]:8000', expected: ['http://[::1]:8000', '', ''] },
    ]) {
      const parsed = parseUpstreamUrl(text);
      assert.ok(parsed.type === 'url', text);
      assert.deepEqual([parsed.url.origin, parsed.url.apiPath, parsed.url.rootPath], expected);
    }
  });

  it('is refused where it is none, or holds what does not belong there', () => {
    const long = `http://a/${'x'.repeat(2_048)}`;
    for (const text of ['', 'localhost', 'ftp://a/v1', 'http://me:pw@a/v1', 'http://a/v1?k=1', 'http://a/v1#x', long])
      assert.equal(parseUpstreamUrl(text).type, 'invalid', text);
  });
});

describe('the request to an upstream', () => {
  it('leaves out what equals the defaults', () => {
    assert.deepEqual(body({}), {
      model: 'their-name',
      messages: [{ role: 'user', content: 'hello' }],
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0,
    });
  });

  it('asks for a format as the servers know it', () => {
    const schema = { type: 'object', properties: { a: {} } };
    for (const [format, expected] of [
      [{ type: 'text' }, undefined],
      [{ type: 'json-object' }, { type: 'json_object' }],
      [
        { type: 'json-schema', name: 'plan', schema: JSON.stringify(schema), strict: true },
        { type: 'json_schema', json_schema: { name: 'plan', strict: true, schema } },
      ],
    ] as const)
      assert.deepEqual(body({ format })['response_format'], expected);
  });

  it('names every option as the servers know it', () => {
    const sampling = {
      temperature: 0.7,
      topP: 0.9,
      topK: 40,
      minP: 0.05,
      seed: 7,
      frequencyPenalty: 0.1,
      presencePenalty: -0.1,
      stop: ['x'],
      maxTokens: 9,
    };
    const {
      messages: _messages,
      model: _model,
      stream: _stream,
      stream_options: _options,
      ...rest
    } = body({ sampling });
    assert.deepEqual(rest, {
      temperature: 0.7,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.05,
      seed: 7,
      frequency_penalty: 0.1,
      presence_penalty: -0.1,
      stop: ['x'],
      max_tokens: 9,
    });
  });

  it('continues an answer as a trailing assistant message, for what is left of maxTokens', () => {
    const continued = body({ resume: { tokens: 3, tokenIds: [], text: 'The goo' }, sampling: { maxTokens: 10 } });
    assert.deepEqual(continued['messages'], [
      { role: 'user', content: 'hello' },
      { role: 'assistant', content: 'The goo' },
    ]);
    assert.equal(continued['continue_final_message'], true);
    assert.equal(continued['add_generation_prompt'], false);
    assert.equal(continued['max_tokens'], 7);
  });

  it('joins an answer that the client itself had begun', () => {
    const messages: ChatMessage[] = [
      { role: 'user', content: 'hello' },
      { role: 'assistant', content: 'Sure: ' },
    ];
    const continued = body({ messages, resume: { tokens: 1, tokenIds: [], text: 'honk' } });
    assert.deepEqual(continued['messages'], [messages[0], { role: 'assistant', content: 'Sure: honk' }]);
  });

  it('continues nothing where no text has left yet', () => {
    const continued = body({ resume: { tokens: 1, tokenIds: [], text: '' } });
    assert.deepEqual(continued['messages'], [{ role: 'user', content: 'hello' }]);
    assert.ok(!('continue_final_message' in continued));
  });
});

function body(more: {
  messages?: readonly ChatMessage[];
  sampling?: Partial<Sampling>;
  resume?: NonNullable<Job['resume']>;
  format?: AnswerFormat;
}): Record<string, unknown> {
  const model = parseModelId('our-name');
  assert.ok(model !== undefined);
  const job: Job = {
    model,
    messages: more.messages ?? [{ role: 'user', content: 'hello' }],
    sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], ...more.sampling },
    ...(more.format === undefined ? {} : { format: more.format }),
    ...(more.resume === undefined ? {} : { resume: more.resume }),
  };
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  return JSON.parse(chatBody(job, 'their-name')) as Record<string, unknown>;
}
