import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { anthropicReply, AnthropicStream } from '../../src/api/anthropic-answer.ts';
import { anthropicError } from '../../src/api/anthropic-error.ts';
import { ANTHROPIC_MESSAGES } from '../../src/api/anthropic-messages.ts';
import { type ParsedMessages, parseMessagesRequest } from '../../src/api/anthropic-request.ts';
import type { Answer, ReadContext } from '../../src/api/dialect.ts';
import { ERRORS, failure } from '../../src/errors.ts';
import { Grammars } from '../../src/inference/answer-format.ts';
import type { ChatMessage, ToolUse } from '../../src/inference/engine.ts';
import { LIMITS } from '../../src/params.ts';
import { MODEL, requestIdOf, USAGE } from './fakes.ts';

const USER = { role: 'user', content: 'hello' };
const HELLO = { model: 'tiny', max_tokens: 9, messages: [USER] };
const CONTEXT: ReadContext = { sessionHeader: undefined, grammars: new Grammars(), models: () => [], nowMs: 0 };
const TOOL = { name: 'look', input_schema: { type: 'object' } };
const USE = { type: 'tool_use', id: 't1', name: 'look', input: { a: 1 } };
const RESULT = { type: 'tool_result', tool_use_id: 't1', content: 'seen' };
const IMAGE = { type: 'image', source: { type: 'url', url: 'http://169.254.169.254/' } };
const HEAD = { requestId: requestIdOf(1), model: MODEL, createdMs: 1_700_000_000_999 };
const ANSWER: Answer = { content: 'Hello', tokens: [], calls: [], finish: 'stop', usage: USAGE };
const USAGE_BODY = { input_tokens: 4, cache_creation_input_tokens: 0, cache_read_input_tokens: 1, output_tokens: 2 };

function parse(body: object): ParsedMessages {
  const parsed = parseMessagesRequest({ ...body }, CONTEXT);
  assert.ok(parsed.type === 'messages', JSON.stringify(parsed));
  return parsed.messages;
}

function historyOf(messages: readonly unknown[], more: object = {}): readonly ChatMessage[] {
  return parse({ ...HELLO, messages, ...more }).job.messages;
}

/** The place that the message begins with. */
function why(body: object): string {
  const reading = ANTHROPIC_MESSAGES.read({ ...body }, CONTEXT);
  assert.ok(reading.type === 'refused', `accepted: ${JSON.stringify(body).slice(0, 200)}`);
  const { error } = ANTHROPIC_MESSAGES.failureBody(reading.failure) as { error: { type: string; message: string } };
  assert.equal(error.type, ERRORS[reading.failure.code].status === 404 ? 'not_found_error' : 'invalid_request_error');
  return error.message.split(': ', 1)[0] ?? '';
}

function blocks(...content: unknown[]): object {
  return { messages: [{ role: 'user', content }] };
}

function said(...content: unknown[]): object {
  return { messages: [{ role: 'assistant', content }, USER] };
}

describe('a request for a message', () => {
  it('has the defaults of Anthropic', () => {
    assert.deepEqual(parse(HELLO), {
      job: {
        model: 'tiny',
        messages: [USER],
        sampling: { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], maxTokens: 9 },
      },
      stream: false,
      sessionKey: '',
    });
  });

  it('reads every field of sampling, and ignores what only tunes', () => {
    const { job, stream, sessionKey } = parse({
      ...HELLO,
      temperature: 0,
      top_p: 0.5,
      top_k: 40,
      stop_sequences: ['a', 'b'],
      stream: true,
      metadata: { user_id: 'u' },
      thinking: { type: 'enabled', budget_tokens: 1_024 },
      service_tier: 'auto',
      context_management: { edits: [{ type: 'clear_thinking_20251015' }] },
      system: null,
      tools: [],
      output_config: { effort: 'low' },
      container: null,
      mcp_servers: [],
    });
    const { temperature, topP, topK, stop } = job.sampling;
    assert.deepEqual([temperature, topP, topK, stop, stream, sessionKey], [0, 0.5, 40, ['a', 'b'], true, 'u']);
  });

  it('reads messages of every kind that clients send', () => {
    const call = { id: 't1', name: 'look', arguments: '{"a":1}' };
    const cases: readonly (readonly [messages: readonly unknown[], expected: readonly ChatMessage[]])[] = [
      [
        [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'a', cache_control: { type: 'ephemeral' } },
              { type: 'text', text: 'b' },
            ],
          },
        ],
        [{ role: 'user', content: 'a\nb' }],
      ],
      [
        [USER, { role: 'system', content: 'Be kind.' }],
        [
          { role: 'user', content: 'hello' },
          { role: 'system', content: 'Be kind.' },
        ],
      ],
      [
        [
          USER,
          {
            role: 'assistant',
            content: [{ type: 'thinking', thinking: 'hm', signature: '' }, { type: 'text', text: 'a' }, USE],
          },
          { role: 'user', content: [RESULT] },
        ],
        [
          { role: 'user', content: 'hello' },
          { role: 'assistant', content: 'a', toolCalls: [call] },
          { role: 'tool', content: 'seen', toolCallId: 't1' },
        ],
      ],
      [
        [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'x' },
              RESULT,
              { ...RESULT, content: [{ type: 'text', text: 'y' }], is_error: true },
              { type: 'text', text: 'z' },
            ],
          },
        ],
        [
          { role: 'user', content: 'x' },
          { role: 'tool', content: 'seen', toolCallId: 't1' },
          { role: 'tool', content: 'Error: y', toolCallId: 't1' },
          { role: 'user', content: 'z' },
        ],
      ],
      [
        [{ role: 'user', content: [{ ...RESULT, content: undefined }] }],
        [{ role: 'tool', content: '', toolCallId: 't1' }],
      ],
      [[{ role: 'user', content: 'x\ud800' }], [{ role: 'user', content: 'x\ufffd' }]],
    ];
    for (const [messages, expected] of cases) assert.deepEqual(historyOf(messages), expected);
    for (const system of ['Be kind.', [{ type: 'text', text: 'Be kind.' }]])
      assert.deepEqual(historyOf([USER], { system })[0], { role: 'system', content: 'Be kind.' });
    assert.deepEqual(historyOf([USER], { system: '' }), [USER]);
  });

  it('names the place at fault', () => {
    const cases: readonly (readonly [more: object, expected: string])[] = [
      [{ max_tokens: undefined }, 'max_tokens'],
      [{ max_tokens: null }, 'max_tokens'],
      [{ max_tokens: 0 }, 'max_tokens'],
      [{ model: undefined }, 'model'],
      [{ temperature: 1.01 }, 'temperature'],
      [{ top_p: -0.1 }, 'top_p'],
      [{ stop_sequences: 'x' }, 'stop_sequences'],
      [{ stop_sequences: ['x', 3] }, 'stop_sequences[1]'],
      [{ stop_sequences: ['é'.repeat(129)] }, 'stop_sequences'],
      [{ stop_sequences: Array(17).fill('x') }, 'stop_sequences'],
      [{ messages: [] }, 'messages'],
      [{ messages: 'x' }, 'messages'],
      [{ messages: [7] }, 'messages[0]'],
      [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role'],
      [{ messages: [USER, { role: 'assistant', content: 'I' }] }, 'messages'],
      [{ messages: [{ role: 'user' }] }, 'messages[0].content[0].text'],
      [{ system: 7 }, 'system'],
      [{ system: [IMAGE] }, 'system[0]'],
      [blocks(), 'messages[0].content'],
      [blocks(IMAGE), 'messages[0].content[0]'],
      [blocks({ type: 'text', text: 'a' }, { type: 'document' }), 'messages[0].content[1]'],
      [blocks(7), 'messages[0].content[0]'],
      [blocks({ type: 'text', text: 7 }), 'messages[0].content[0].text'],
      [blocks(RESULT, { ...RESULT, tool_use_id: 7 }), 'messages[0].content[1].tool_use_id'],
      [blocks({ ...RESULT, content: [IMAGE] }), 'messages[0].content[0].content[0]'],
      [said(IMAGE), 'messages[0].content[0]'],
      [said({ ...USE, id: 'x'.repeat(LIMITS.toolCallIdCharacters + 1) }), 'messages[0].content[0].id'],
      [said({ ...USE, name: 'a b' }), 'messages[0].content[0].name'],
      [said({ ...USE, input: 7 }), 'messages[0].content[0].input'],
      [said(...Array.from({ length: LIMITS.toolCalls + 1 }, () => USE)), 'messages[0].content'],
      [blocks(...Array.from({ length: LIMITS.messages + 1 }, () => RESULT)), 'messages'],
      [{ messages: Array.from({ length: LIMITS.messages + 1 }, () => USER) }, 'messages'],
      [{ container: 'c' }, 'container'],
      [{ mcp_servers: [{}] }, 'mcp_servers'],
      [{ thread: { type: 'create' } }, 'thread'],
      [{ thread: { type: 'continue', previous_message_id: 'msg_1' } }, 'thread'],
      [{ tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, 'tools[0].type'],
      [{ tools: [{ name: 'a b' }] }, 'tools[0].name'],
      [{ tools: [{ name: 'a', input_schema: 7 }] }, 'tools[0].input_schema'],
      [{ tools: [TOOL], tool_choice: 'auto' }, 'tool_choice'],
      [{ tools: [TOOL], tool_choice: { type: 'tool', name: 'other' } }, 'tool_choice'],
      [{ tools: [TOOL], tool_choice: { type: 'auto', disable_parallel_tool_use: 1 } }, 'tool_choice'],
      [{ tool_choice: { type: 'any' } }, 'tool_choice'],
      [{ output_config: { format: { type: 'yaml' } } }, 'output_config.format'],
    ];
    for (const [more, expected] of cases)
      assert.equal(why({ ...HELLO, ...more }), expected, JSON.stringify(more).slice(0, 200));
  });

  it('offers tools as the client chose', () => {
    const cases: readonly (readonly [choice: unknown, expected: Partial<ToolUse> | undefined])[] = [
      [undefined, { choice: { type: 'auto' }, parallel: true }],
      [{ type: 'auto' }, { choice: { type: 'auto' }, parallel: true }],
      [
        { type: 'auto', disable_parallel_tool_use: true },
        { choice: { type: 'auto' }, parallel: false },
      ],
      [{ type: 'any' }, { choice: { type: 'required' }, parallel: true }],
      [
        { type: 'tool', name: 'look', disable_parallel_tool_use: true },
        { choice: { type: 'named', name: 'look' }, parallel: false },
      ],
      [{ type: 'none' }, undefined],
    ];
    for (const [choice, expected] of cases) {
      const { toolUse } = parse({
        ...HELLO,
        tools: [{ ...TOOL, type: 'custom', description: 'looks' }],
        tool_choice: choice,
      }).job;
      const tools = [{ name: 'look', description: 'looks', parameters: '{"type":"object"}' }];
      assert.deepEqual(toolUse, expected === undefined ? undefined : { tools, ...expected });
    }
  });

  it('reads the format of the answer, under either name', () => {
    const format = { type: 'json_schema', schema: { type: 'object' } };
    for (const more of [{ output_config: { format } }, { output_format: format }])
      assert.equal(parse({ ...HELLO, ...more }).job.format?.type, 'json-schema');
  });

  it('answers any JSON with a job or a client error', () => {
    const names = [
      'messages',
      'system',
      'tools',
      'tool_choice',
      'stop_sequences',
      'output_config',
      'metadata',
      'max_tokens',
    ];
    const some = fc.dictionary(fc.constantFrom(...names), fc.jsonValue());
    fc.assert(
      fc.property(some, (more) => {
        const parsed = parseMessagesRequest({ ...HELLO, ...more }, CONTEXT);
        if (parsed.type === 'refused') assert.ok(ERRORS[parsed.failure.code].status < 500);
      }),
      { numRuns: 500 },
    );
  });
});

/** Fails where the framing is not the event's name, one line of data and a blank line. */
function eventsOf(text: string): unknown[] {
  assert.ok(text.endsWith('\n\n'));
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((event) => {
      const [, name, data = ''] = /^event: ([a-z_]+)\ndata: ([^\n]*)$/.exec(event) ?? [];
      const parsed = JSON.parse(data);
      assert.equal(parsed.type, name);
      return parsed;
    });
}

describe('the end of a message', () => {
  for (const { name, end, reason, sequence } of [
    { name: 'is its turn', end: { finish: 'stop' }, reason: 'end_turn', sequence: null },
    { name: 'is its length', end: { finish: 'length' }, reason: 'max_tokens', sequence: null },
    { name: 'is a call', end: { finish: 'tool_calls' }, reason: 'tool_use', sequence: null },
    {
      name: "is the client's stop sequence",
      end: { finish: 'stop', stopSequence: 'END' },
      reason: 'stop_sequence',
      sequence: 'END',
    },
  ] as const)
    it(`${name}, whole and streamed`, () => {
      const whole = anthropicReply(HEAD, { ...ANSWER, ...end });
      assert.deepEqual([whole.stop_reason, whole.stop_sequence], [reason, sequence]);
      const stream = new AnthropicStream(HEAD).jobEnded(0, { ...end, usage: USAGE });
      const delta = { stop_reason: reason, stop_sequence: sequence };
      assert.deepEqual(eventsOf(stream).at(-1), { type: 'message_delta', delta, usage: USAGE_BODY });
    });
});

describe('a streamed message', () => {
  it('is a start, blocks of text and tools, one reason and a stop', () => {
    const stream = new AnthropicStream(HEAD);
    const all =
      stream.opened() +
      stream.content(0, 'Hel') +
      stream.content(0, 'lo "\n') +
      stream.callBegan(0, { index: 0, id: 'call_1', name: 'look' }) +
      stream.callArguments(0, 0, '{"a"') +
      stream.callArguments(0, 0, ':1}') +
      stream.callEnded() +
      stream.jobEnded(0, { finish: 'tool_calls', usage: USAGE }) +
      stream.closed();
    const nothing = { input_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 };
    assert.deepEqual(eventsOf(all), [
      {
        type: 'message_start',
        message: {
          id: `msg_${requestIdOf(1)}`,
          type: 'message',
          role: 'assistant',
          model: MODEL,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: nothing,
        },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'lo "\n' } },
      { type: 'content_block_stop', index: 0 },
      {
        type: 'content_block_start',
        index: 1,
        content_block: { type: 'tool_use', id: 'toolu_1', name: 'look', input: {} },
      },
      { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"a"' } },
      { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: ':1}' } },
      { type: 'content_block_stop', index: 1 },
      { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: USAGE_BODY },
      { type: 'message_stop' },
    ]);
  });

  it('closes a call that its length cut', () => {
    const stream = new AnthropicStream(HEAD);
    const all =
      stream.callBegan(0, { index: 0, id: 'call_1', name: 'look' }) +
      stream.callArguments(0, 0, '{"a"') +
      stream.jobEnded(0, { finish: 'length', usage: USAGE });
    assert.deepEqual(eventsOf(all).slice(-2), [
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'max_tokens', stop_sequence: null }, usage: USAGE_BODY },
    ]);
  });

  it('breaks off with an error, and pings in quiet times', () => {
    const stream = new AnthropicStream(HEAD);
    assert.deepEqual(eventsOf(stream.keepAlive()), [{ type: 'ping' }]);
    assert.deepEqual(eventsOf(stream.failed(failure('stream-lost', 'it went away'))), [
      { type: 'error', error: { type: 'api_error', message: 'it went away' } },
    ]);
  });
});

describe('a message in one piece', () => {
  it('has its blocks, its reason and its usage', () => {
    const call = { id: 'call_1', name: 'look', arguments: '{"a":1}' };
    const use = { type: 'tool_use', id: 'toolu_1', name: 'look', input: { a: 1 } };
    const block = { type: 'text', text: 'Hello', citations: null };
    const cases: readonly (readonly [answer: Partial<Answer>, content: unknown, reason: string])[] = [
      [{}, [block], 'end_turn'],
      [{ finish: 'length' }, [block], 'max_tokens'],
      [{ content: '' }, [], 'end_turn'],
      [{ calls: [call], finish: 'tool_calls' }, [block, use], 'tool_use'],
      // The second one was cut.
      [{ content: '', calls: [call, { ...call, arguments: '{"a":' }], finish: 'length' }, [use], 'max_tokens'],
    ];
    for (const [more, content, reason] of cases) {
      assert.deepEqual(anthropicReply(HEAD, { ...ANSWER, ...more }), {
        id: `msg_${requestIdOf(1)}`,
        type: 'message',
        role: 'assistant',
        model: MODEL,
        content,
        stop_reason: reason,
        stop_sequence: null,
        usage: USAGE_BODY,
      });
    }
  });
});

describe('a failure for clients of Anthropic', () => {
  it('has the type that follows from its status', () => {
    const cases: readonly (readonly [code: keyof typeof ERRORS, type: string])[] = [
      ['invalid-json', 'invalid_request_error'],
      ['unauthorized', 'authentication_error'],
      ['forbidden', 'permission_error'],
      ['model-not-found', 'not_found_error'],
      ['body-too-large', 'request_too_large'],
      ['unsupported-media-type', 'invalid_request_error'],
      ['rate-limited', 'rate_limit_error'],
      ['internal', 'api_error'],
      ['engine-failed', 'api_error'],
      ['busy', 'overloaded_error'],
      ['stalled', 'timeout_error'],
    ];
    for (const [code, type] of cases)
      assert.deepEqual(anthropicError(failure(code, 'so it is')), {
        type: 'error',
        error: { type, message: 'so it is' },
      });
  });
});
