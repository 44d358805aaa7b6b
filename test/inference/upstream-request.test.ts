import assert from 'node:assert/strict';
import { parseModelId } from '../../src/ids.ts';
import type { ChatMessage, Job, Sampling } from '../../src/inference/engine.ts';
import { answerRequest, chatBody, parseUpstreamUrl } from '../../src/inference/upstream-request.ts';

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
      repeatPenalty: 1.1,
      logitBias: [{ token: 5, bias: -100 }],
      logprobs: 0,
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
      repeat_penalty: 1.1,
      repetition_penalty: 1.1,
      logit_bias: { '5': -100 },
      logprobs: true,
      top_logprobs: 1,
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

  it('offers functions, and tells of calls and their results, as OpenAI has them', () => {
    const messages: ChatMessage[] = [
      { role: 'assistant', content: '', toolCalls: [{ id: 'a', name: 'look', arguments: '{}' }] },
      { role: 'tool', content: 'nothing', toolCallId: 'a' },
    ];
    const tools = [{ name: 'look', description: 'Looks.', parameters: '{"type":"object"}' }];
    const named = body({ messages, toolUse: { tools, choice: { type: 'named', name: 'look' }, parallel: false } });
    const call = { id: 'a', type: 'function', function: { name: 'look', arguments: '{}' } };
    assert.deepEqual(named['messages'], [
      { role: 'assistant', content: '', tool_calls: [call] },
      { role: 'tool', content: 'nothing', tool_call_id: 'a' },
    ]);
    const described = { name: 'look', description: 'Looks.', parameters: { type: 'object' } };
    assert.deepEqual(named['tools'], [{ type: 'function', function: described }]);
    assert.deepEqual(named['tool_choice'], { type: 'function', function: { name: 'look' } });
    assert.equal(named['parallel_tool_calls'], false);
    const auto = body({ toolUse: { tools, choice: { type: 'auto' }, parallel: true } });
    assert.equal(auto['tool_choice'], 'auto');
    assert.ok(!('parallel_tool_calls' in auto));
  });

  it('goes on with a text from where it is', () => {
    const task = { type: 'completion', prompt: 'Once' } as const;
    const job = jobOf({
      task,
      resume: { tokens: 1, tokenIds: [], text: ' upon' },
      sampling: { maxTokens: 3, logprobs: 2 },
    });
    const { path, body: text } = answerRequest(job, 'their-name');
    assert.equal(path, '/completions');
    assert.deepEqual(JSON.parse(text), {
      model: 'their-name',
      prompt: 'Once upon',
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0,
      max_tokens: 2,
      logprobs: 2,
    });
  });

  it('continues nothing where no text has left yet', () => {
    const continued = body({ resume: { tokens: 1, tokenIds: [], text: '' } });
    assert.deepEqual(continued['messages'], [{ role: 'user', content: 'hello' }]);
    assert.ok(!('continue_final_message' in continued));
  });
});

type More = Partial<Omit<Job, 'sampling'>> & { readonly sampling?: Partial<Sampling> };

function jobOf(more: More): Job {
  const model = parseModelId('our-name');
  assert.ok(model !== undefined);
  return {
    model,
    messages: [{ role: 'user', content: 'hello' }],
    ...more,
    sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], ...more.sampling },
  };
}

function body(more: More): Record<string, unknown> {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  return JSON.parse(chatBody(jobOf(more), 'their-name')) as Record<string, unknown>;
}
