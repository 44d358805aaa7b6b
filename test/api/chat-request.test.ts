import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type ChatParse, parseChatRequest, type ParsedChat } from '../../src/api/chat-request.ts';
import { parseBody } from '../../src/api/request-body.ts';
import { ERRORS, type Failure } from '../../src/errors.ts';
import { Grammars } from '../../src/inference/answer-format.ts';
import { LIMITS } from '../../src/params.ts';

const HELLO = { model: 'tiny', messages: [{ role: 'user', content: 'hello' }] };

function parseText(text: string, sessionHeader?: string): ChatParse {
  const parsed = parseBody(text);
  if (parsed.type === 'refused') return parsed;
  return parseChatRequest(parsed.body, { sessionHeader, grammars: new Grammars() });
}

function parse(body: unknown, sessionHeader?: string): ParsedChat {
  const parsed = parseText(JSON.stringify(body), sessionHeader);
  assert.ok(parsed.type === 'chat', JSON.stringify(parsed));
  return parsed.chat;
}

function refusal(body: unknown): Failure {
  const parsed = parseText(typeof body === 'string' ? body : JSON.stringify(body));
  assert.ok(parsed.type === 'refused', `accepted: ${JSON.stringify(body).slice(0, 200)}`);
  return parsed.failure;
}

/** Code and param, for tables. */
function why(body: unknown): string {
  const { code, param } = refusal(body);
  return param === undefined ? code : `${code} ${param}`;
}

function many(count: number): unknown {
  return { model: 'tiny', messages: Array.from({ length: count }, () => ({ role: 'user', content: '' })) };
}

function asked(schema: unknown, more: object = {}): object {
  return { type: 'json_schema', json_schema: { name: 'a', schema, ...more } };
}

describe('a chat completion request', () => {
  it('has the defaults of OpenAI', () => {
    assert.deepEqual(parse(HELLO), {
      job: {
        model: 'tiny',
        messages: [{ role: 'user', content: 'hello' }],
        sampling: { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] },
      },
      sessionKey: '',
      stream: false,
      includeUsage: false,
      choices: 1,
      oldForm: false,
    });
  });

  it('takes null for absent, everywhere', () => {
    const names =
      'stream stream_options temperature top_p top_k min_p frequency_penalty presence_penalty seed stop max_tokens ' +
      'max_completion_tokens n user prompt_cache_key tools tool_choice functions function_call response_format logprobs ' +
      'top_logprobs modalities store metadata logit_bias parallel_tool_calls reasoning_effort service_tier audio';
    const nulls = Object.fromEntries(names.split(' ').map((name) => [name, null]));
    const messages = [{ role: 'user', content: 'hello', name: null, tool_calls: null, refusal: null }];
    assert.deepEqual(parse({ ...nulls, model: 'tiny', messages }), parse(HELLO));
  });

  it('ignores what it does not know and what only tunes', () => {
    const unknown = {
      ...HELLO,
      messages: [{ role: 'user', content: 'hello', id: 7, cache_control: { type: 'ephemeral' } }],
      store: true,
      metadata: { a: 'b' },
      logit_bias: {},
      repeat_penalty: 1,
      parallel_tool_calls: true,
      tools: [],
      tool_choice: 'auto',
      response_format: { type: 'text' },
      logprobs: false,
      top_logprobs: 0,
      n: 1,
      keep_alive: '5m',
      options: { num_ctx: 4096 },
      stream_options: 'nonsense without stream',
    };
    assert.deepEqual(parse(unknown), parse(HELLO));
  });

  it('reads every sampling field', () => {
    const chat = parse({
      ...HELLO,
      temperature: 0,
      top_p: 0.5,
      top_k: 40,
      min_p: 0.1,
      seed: 42,
      frequency_penalty: -2,
      presence_penalty: 2,
      stop: ['a', 'b'],
      max_tokens: 10,
    });
    assert.deepEqual(chat.job.sampling, {
      temperature: 0,
      topP: 0.5,
      topK: 40,
      minP: 0.1,
      seed: 42,
      frequencyPenalty: -2,
      presencePenalty: 2,
      stop: ['a', 'b'],
      maxTokens: 10,
    });
  });

  it('knows both names of the token limit, and the newer one wins', () => {
    assert.equal(parse({ ...HELLO, max_tokens: 5 }).job.sampling.maxTokens, 5);
    assert.equal(parse({ ...HELLO, max_completion_tokens: 6 }).job.sampling.maxTokens, 6);
    assert.equal(parse({ ...HELLO, max_tokens: 5, max_completion_tokens: 6 }).job.sampling.maxTokens, 6);
  });

  it('takes stop as a text or a list, and drops empty ones', () => {
    assert.deepEqual(parse({ ...HELLO, stop: 'END' }).job.sampling.stop, ['END']);
    assert.deepEqual(parse({ ...HELLO, stop: ['', 'END'] }).job.sampling.stop, ['END']);
    assert.deepEqual(parse({ ...HELLO, stop: Array(LIMITS.stopSequences).fill('x') }).job.sampling.stop.length, 16);
    assert.deepEqual(parse({ ...HELLO, stop: 'é'.repeat(128) }).job.sampling.stop, ['é'.repeat(128)]);
    assert.equal(why({ ...HELLO, stop: 'é'.repeat(129) }), 'invalid-request stop');
    assert.equal(why({ ...HELLO, stop: Array(17).fill('x') }), 'invalid-request stop');
    assert.equal(why({ ...HELLO, stop: ['x', 3] }), 'invalid-request stop[1]');
  });

  it('takes 0 and -1 as no top_k, and brings any seed to 32 bits', () => {
    for (const top_k of [0, -1]) assert.equal(parse({ ...HELLO, top_k }).job.sampling.topK, undefined);
    const seeds: readonly (readonly [number, number])[] = [
      [0, 0],
      [-1, 4_294_967_295],
      [4_294_967_296, 0],
      [2 ** 60, 0],
      [4_294_967_295, 4_294_967_295],
    ];
    for (const [seed, expected] of seeds) assert.equal(parse({ ...HELLO, seed }).job.sampling.seed, expected);
    assert.equal(why({ ...HELLO, seed: 1.5 }), 'invalid-request seed');
  });

  it('reads messages of every kind that clients send', () => {
    const messages = [
      { role: 'developer', content: 'be brief' },
      { role: 'user', content: 'one' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'two' },
          { type: 'text', text: 'three' },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', content: [{ type: 'text', text: 'result' }], tool_call_id: 'a' },
      { role: 'assistant' },
      { role: 'assistant', function_call: { name: 'f', arguments: '' } },
      { role: 'function', name: 'f', content: 'old style' },
      { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] },
      { role: 'user', content: '', tool_calls: 'mean nothing here', tool_call_id: 'neither' },
    ];
    assert.deepEqual(parse({ model: 'tiny', messages }).job.messages, [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'one' },
      { role: 'user', content: 'two\nthree' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'a', name: 'f', arguments: '{}' }] },
      { role: 'tool', content: 'result', toolCallId: 'a' },
      { role: 'assistant', content: '' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'call_of_6', name: 'f', arguments: '{}' }] },
      { role: 'tool', name: 'f', content: 'old style', toolCallId: 'call_of_6' },
      { role: 'assistant', content: 'no' },
      { role: 'user', content: '' },
    ]);
  });

  it('names the field at fault', () => {
    const user = { role: 'user', content: 'x' };
    const cases: readonly (readonly [body: unknown, expected: string])[] = [
      ['{', 'invalid-json'],
      ['', 'invalid-json'],
      ['[]', 'invalid-request'],
      ['null', 'invalid-request'],
      ['"text"', 'invalid-request'],
      [{ messages: [user] }, 'invalid-request model'],
      [{ model: 7, messages: [user] }, 'invalid-request model'],
      [{ model: '', messages: [user] }, 'model-not-found model'],
      [{ model: '../etc/passwd', messages: [user] }, 'model-not-found model'],
      [{ model: 'tiny' }, 'invalid-request messages'],
      [{ model: 'tiny', messages: [] }, 'invalid-request messages'],
      [{ model: 'tiny', messages: 'hello' }, 'invalid-request messages'],
      [{ model: 'tiny', messages: [user, null] }, 'invalid-request messages[1]'],
      [{ model: 'tiny', messages: [user, {}] }, 'invalid-request messages[1].role'],
      [{ model: 'tiny', messages: [{ role: 'root', content: 'x' }] }, 'invalid-request messages[0].role'],
      [{ model: 'tiny', messages: [{ role: 'user' }] }, 'invalid-request messages[0].content'],
      [{ model: 'tiny', messages: [{ role: 'user', content: null }] }, 'invalid-request messages[0].content'],
      [{ model: 'tiny', messages: [{ role: 'user', content: 5 }] }, 'invalid-request messages[0].content'],
      [{ model: 'tiny', messages: [{ role: 'user', content: ['x'] }] }, 'invalid-request messages[0].content[0]'],
      [
        { model: 'tiny', messages: [{ role: 'user', content: [{ type: 'text' }] }] },
        'invalid-request messages[0].content[0].text',
      ],
      [{ model: 'tiny', messages: [{ ...user, name: 7 }] }, 'invalid-request messages[0].name'],
      [{ ...HELLO, stream: 'yes' }, 'invalid-request stream'],
      [{ ...HELLO, stream: true, stream_options: 'x' }, 'invalid-request stream_options'],
      [
        { ...HELLO, stream: true, stream_options: { include_usage: 1 } },
        'invalid-request stream_options.include_usage',
      ],
    ];
    for (const [body, expected] of cases) assert.equal(why(body), expected, JSON.stringify(body));
  });

  it('keeps the ranges, on both sides', () => {
    const cases: readonly (readonly [name: string, inside: readonly number[], outside: readonly unknown[]])[] = [
      ['temperature', [0, 2], [-0.01, 2.01, '1']],
      ['top_p', [0, 1], [-0.01, 1.01]],
      ['min_p', [0, 1], [-0.01, 1.01]],
      ['top_k', [-1, 1_000], [-2, 1.5]],
      ['frequency_penalty', [-2, 2], [-2.01, 2.01]],
      ['presence_penalty', [-2, 2], [-2.01, 2.01]],
      ['max_tokens', [1, LIMITS.answerTokens], [0, -1, 1.5, LIMITS.answerTokens + 1]],
      ['max_completion_tokens', [1, LIMITS.answerTokens], [0, -1, 1.5, LIMITS.answerTokens + 1]],
      ['n', [1], [0, -1, 1.5]],
    ];
    for (const [name, inside, outside] of cases) {
      for (const value of inside) parse({ ...HELLO, [name]: value });
      for (const value of outside) {
        const { code, param } = refusal({ ...HELLO, [name]: value });
        assert.ok(ERRORS[code].status === 400 && param === name, `${name} ${String(value)}`);
      }
    }
    assert.equal(parse(many(LIMITS.messages)).job.messages.length, LIMITS.messages);
    assert.equal(why(many(LIMITS.messages + 1)), 'invalid-request messages');
  });

  it('refuses numbers that JSON can write and a double cannot hold', () => {
    const body = '{"model":"tiny","messages":[{"role":"user","content":"x"}],"temperature":1e999}';
    assert.equal(why(body), 'invalid-request temperature');
    assert.equal(why(body.replace('temperature', 'seed')), 'invalid-request seed');
  });

  it('reads the format of the answer', () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'string' } },
      required: ['a'],
      additionalProperties: false,
    };
    const text = JSON.stringify(schema);
    for (const [format, expected] of [
      [{ type: 'text' }, undefined],
      [null, undefined],
      [{ type: 'json_object' }, { type: 'json-object' }],
      [{ type: 'json_object', schema: null }, { type: 'json-object' }],
      [
        { type: 'json_object', schema },
        { type: 'json-schema', name: 'answer', schema: text, strict: false },
      ],
      [
        { type: 'json_schema', json_schema: { name: 'a_B-9', strict: true, schema, description: 'x' } },
        { type: 'json-schema', name: 'a_B-9', schema: text, strict: true },
      ],
      [
        { type: 'json_schema', json_schema: { schema, strict: null } },
        { type: 'json-schema', name: 'answer', schema: text, strict: false },
      ],
    ] as const)
      assert.deepEqual(parse({ ...HELLO, response_format: format }).job.format, expected, JSON.stringify(format));
  });

  it('refuses a format that it cannot give, and says where and why', () => {
    const tooLong = { enum: ['x'.repeat(LIMITS.schemaBytes)] };
    for (const [format, message] of [
      ['text', /expected an object with a type/],
      [{}, /type: expected one of text/],
      [{ type: 'xml' }, /type: expected one of text/],
      [{ type: 'json_schema' }, /json_schema: expected an object/],
      [asked(undefined), /json_schema.schema: expected an object/],
      [asked([]), /json_schema.schema: expected an object/],
      [asked({}, { name: 'a b' }), /json_schema.name/],
      [asked({}, { name: 'x'.repeat(65) }), /json_schema.name/],
      [asked({}, { strict: 'yes' }), /json_schema.strict/],
      [asked(tooLong), /at most 65536 bytes/],
      [
        asked({ type: 'object', properties: { a: { not: {} } } }),
        /the schema at #\/properties\/a\/not is not supported/,
      ],
      [asked({ $ref: '#' }), /the schema at # refers to itself/],
      [{ type: 'json_object', schema: { uniqueItems: true } }, /the schema at #\/uniqueItems/],
    ] as const) {
      const parsed = parseText(JSON.stringify({ ...HELLO, response_format: format }));
      assert.ok(parsed.type === 'refused', JSON.stringify(format));
      assert.equal(parsed.failure.code, 'invalid-request');
      assert.equal(parsed.failure.param, 'response_format');
      assert.match(parsed.failure.message, message);
    }
    const infinite = JSON.stringify({ ...HELLO, response_format: asked({ enum: ['big'] }) }).replace('"big"', '1e999');
    const parsed = parseText(infinite);
    assert.match(parsed.type === 'refused' ? parsed.failure.message : '', /too large/);
  });

  it('refuses what would change the shape of the answer', () => {
    const tool = { type: 'function', function: { name: 'f' } };
    const image = { type: 'image_url', image_url: { url: 'http://169.254.169.254/' } };
    const cases: readonly (readonly [body: object, expected: string])[] = [
      [{ n: 9 }, 'invalid-request n'],
      [{ tools: [{ type: 'web_search' }] }, 'unsupported-feature tools[0].type'],
      [{ tools: {} }, 'invalid-request tools'],
      [{ tool_choice: 'required' }, 'invalid-request tool_choice'],
      [{ tool_choice: { type: 'function', function: { name: 'f' } } }, 'invalid-request tool_choice'],
      [{ function_call: { name: 'f' } }, 'invalid-request function_call'],
      [{ json_schema: { type: 'object' } }, 'unsupported-feature json_schema'],
      [{ grammar: 'root ::= "a"' }, 'unsupported-feature grammar'],
      [{ guided_json: { type: 'object' } }, 'unsupported-feature guided_json'],
      [{ top_logprobs: 5 }, 'invalid-request top_logprobs'],
      [{ logprobs: 3 }, 'invalid-request logprobs'],
      [{ modalities: ['text', 'audio'] }, 'unsupported-feature modalities'],
      [{ messages: [{ role: 'user', content: [image] }] }, 'unsupported-feature messages[0].content[0]'],
      [
        { messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] },
        'unsupported-feature messages[0].content[0]',
      ],
      [{ messages: [{ role: 'user', content: [{ type: 'toString' }] }] }, 'unsupported-feature messages[0].content[0]'],
    ];
    for (const [more, expected] of cases) assert.equal(why({ ...HELLO, ...more }), expected, JSON.stringify(more));
    parse({ ...HELLO, tools: [tool], tool_choice: 'none' });
    const { job: both } = parse({ ...HELLO, tools: [tool], response_format: { type: 'json_object' } });
    assert.ok(both.toolUse?.choice.type === 'auto' && both.format?.type === 'json-object');
    // Where a call must come there is no text that the format could be for.
    for (const choice of ['required', { type: 'function', function: { name: 'f' } }]) {
      const { job } = parse({
        ...HELLO,
        response_format: asked({ type: 'object' }),
        tools: [tool],
        tool_choice: choice,
      });
      assert.ok(job.toolUse !== undefined && job.format === undefined);
    }
    const { job: free } = parse({
      ...HELLO,
      response_format: asked({ type: 'object' }),
      tools: [tool],
      tool_choice: 'none',
    });
    assert.ok(free.toolUse === undefined && free.format !== undefined);
    parse({ ...HELLO, modalities: ['text'] });
    parse({ ...HELLO, grammar: '' });
  });

  it('asks for the usage of a stream only where a stream is asked for', () => {
    const options = { stream_options: { include_usage: true } };
    assert.equal(parse({ ...HELLO, stream: true, ...options }).includeUsage, true);
    assert.equal(parse({ ...HELLO, stream: true }).includeUsage, false);
    assert.equal(parse({ ...HELLO, ...options }).includeUsage, false);
  });

  it('takes the session from the header, the cache key or the user, in that order, and bounds it', () => {
    const hints = { user: 'u', prompt_cache_key: 'c' };
    assert.equal(parse({ ...HELLO, ...hints }, 'h').sessionKey, 'h');
    assert.equal(parse({ ...HELLO, ...hints }).sessionKey, 'c');
    assert.equal(parse({ ...HELLO, user: 'u' }).sessionKey, 'u');
    assert.equal(parse({ ...HELLO, user: 7, prompt_cache_key: '' }, '').sessionKey, '');
    assert.equal(parse({ ...HELLO, user: 'u'.repeat(129) }).sessionKey, 'u'.repeat(128));
    assert.ok(parse({ ...HELLO, user: 'x' + '😀'.repeat(100) }).sessionKey.isWellFormed());
  });

  it('makes lone surrogates well-formed', () => {
    const body = String.raw`{"model":"tiny","stop":"\ud83d","messages":[{"role":"user","name":"\udc00","content":"a\ud83d"},{"role":"user","content":[{"type":"text","text":"\ude00b"}]}]}`;
    const parsed = parseText(body);
    assert.ok(parsed.type === 'chat');
    const [first, second] = parsed.chat.job.messages;
    assert.deepEqual(first, { role: 'user', name: '\ufffd', content: 'a\ufffd' });
    assert.equal(second?.content, '\ufffdb');
    assert.deepEqual(parsed.chat.job.sampling.stop, ['\ufffd']);
  });

  it('is not impressed by __proto__', () => {
    const body =
      '{"__proto__":{"stream":true,"tools":[1]},"constructor":{"prototype":{"x":1}},"model":"tiny","messages":[{"__proto__":{"name":"evil"},"role":"user","content":"hello"}]}';
    const parsed = parseText(body);
    assert.ok(parsed.type === 'chat');
    assert.deepEqual(parsed.chat, parse(HELLO));
    assert.equal(Reflect.get({}, 'x'), undefined);
  });

  it('answers any JSON with a job or a client error', () => {
    const field = fc.constantFrom(
      ...'model messages stream stop n tools tool_choice functions seed temperature user stream_options logit_bias'.split(
        ' ',
      ),
    );
    const almost = fc.dictionary(field, fc.jsonValue()).map((more) => ({ ...HELLO, ...more }));
    const message = fc.record({
      role: fc.constantFrom('user', 'tool', 'assistant', 'function', 'x'),
      content: fc.jsonValue(),
      name: fc.jsonValue(),
      tool_calls: fc.oneof(fc.jsonValue(), fc.array(fc.record({ id: fc.string(), function: fc.jsonValue() }))),
    });
    const messages = fc.array(fc.oneof(message, fc.jsonValue())).map((list) => ({ model: 'tiny', messages: list }));
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), almost, messages), (body) => {
        const parsed = parseText(JSON.stringify(body));
        if (parsed.type === 'refused') assert.ok(ERRORS[parsed.failure.code].status < 500);
        else assert.ok(parsed.chat.job.messages.every(({ content }) => content.isWellFormed()));
      }),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.string(), (text) => void parseText(text)));
  });
});
