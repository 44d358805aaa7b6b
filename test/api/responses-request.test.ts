import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { ReadContext, Reading } from '../../src/api/dialect.ts';
import { OPENAI_RESPONSES } from '../../src/api/openai-responses.ts';
import { parseResponsesRequest, type ParsedResponses } from '../../src/api/responses-request.ts';
import { ERRORS } from '../../src/errors.ts';
import { Grammars } from '../../src/inference/answer-format.ts';
import type { ChatMessage } from '../../src/inference/engine.ts';
import { LIMITS } from '../../src/params.ts';

const HELLO = { model: 'tiny', input: 'hello' };
const CONTEXT: ReadContext = { sessionHeader: undefined, grammars: new Grammars(), models: () => [], nowMs: 0 };
const TOOL = { type: 'function', name: 'look', parameters: { type: 'object' } };
const CALL = { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"a":1}' };

function parse(body: object): ParsedResponses {
  const parsed = parseResponsesRequest({ ...body }, CONTEXT);
  assert.ok(parsed.type === 'responses', JSON.stringify(parsed));
  return parsed.responses;
}

function messagesOf(input: unknown, more: object = {}): readonly ChatMessage[] {
  return parse({ ...HELLO, input, ...more }).job.messages;
}

/** As the client gets it: code and param. */
function why(body: object): string {
  const reading: Reading = OPENAI_RESPONSES.read({ ...body }, CONTEXT);
  assert.ok(reading.type === 'refused', `accepted: ${JSON.stringify(body).slice(0, 200)}`);
  const { error } = OPENAI_RESPONSES.failureBody(reading.failure) as { error: Record<string, unknown> };
  // Renamed in both places.
  if (error['param'] === 'text.format') assert.match(String(error['message']), /^text\.format: /);
  return `${String(error['code'])} ${String(error['param'])}`;
}

function item(more: object): object {
  return { input: [{ role: 'user', content: 'a' }, more] };
}

describe('a request for a response', () => {
  it('has the defaults of OpenAI, and says them again', () => {
    const { job, stream, sessionKey, settings } = parse(HELLO);
    assert.deepEqual(job, {
      model: 'tiny',
      messages: [{ role: 'user', content: 'hello' }],
      sampling: { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] },
    });
    assert.deepEqual([stream, sessionKey], [false, '']);
    assert.deepEqual(settings, {
      background: false,
      instructions: null,
      max_output_tokens: null,
      metadata: {},
      parallel_tool_calls: true,
      previous_response_id: null,
      prompt_cache_key: null,
      reasoning: { effort: null, summary: null },
      service_tier: 'default',
      store: false,
      temperature: 1,
      text: { format: { type: 'text' } },
      tool_choice: 'auto',
      tools: [],
      top_logprobs: 0,
      top_p: 1,
      truncation: 'disabled',
      user: null,
    });
  });

  it('takes null for absent, and ignores what only tunes', () => {
    const names =
      'instructions max_output_tokens metadata parallel_tool_calls previous_response_id conversation prompt background ' +
      'reasoning service_tier store stream stream_options temperature text tool_choice tools top_p top_logprobs truncation ' +
      'user include prompt_cache_key n';
    const nulls = Object.fromEntries(names.split(' ').map((name) => [name, null]));
    assert.deepEqual(parse({ ...nulls, ...HELLO }), parse(HELLO));
    const tunes = {
      reasoning: { effort: 'high', summary: 'auto' },
      store: true,
      truncation: 'auto',
      service_tier: 'flex',
      include: ['reasoning.encrypted_content'],
      stream_options: { include_obfuscation: false },
      background: false,
      tools: [],
      text: { verbosity: 'low' },
      safety_identifier: 'x',
      max_tool_calls: 3,
      n: 1,
    };
    assert.deepEqual(parse({ ...HELLO, ...tunes }), parse(HELLO));
  });

  it('reads items of every kind that clients send', () => {
    const cases: readonly (readonly [input: unknown, expected: readonly ChatMessage[]])[] = [
      ['', [{ role: 'user', content: '' }]],
      [[{ role: 'user', content: 'a' }], [{ role: 'user', content: 'a' }]],
      [[{ type: 'message', role: 'developer', content: 'a' }], [{ role: 'system', content: 'a' }]],
      [
        [{ role: 'user', content: [{ type: 'input_text', text: 'a' }, { type: 'input_text', text: 'b' }] }], // prettier-ignore
        [{ role: 'user', content: 'a\nb' }],
      ],
      [
        [{ type: 'message', role: 'assistant', id: 'msg_1', status: 'completed', content: [{ type: 'output_text', text: 'a', annotations: [] }] }, CALL], // prettier-ignore
        [{ role: 'assistant', content: 'a', toolCalls: [{ id: 'c1', name: 'look', arguments: '{"a":1}' }] }],
      ],
      [
        [CALL, { type: 'reasoning', summary: [] }, { ...CALL, call_id: 'c2', arguments: 'broken {' }],
        [
          {
            role: 'assistant',
            content: '',
            toolCalls: [
              { id: 'c1', name: 'look', arguments: '{"a":1}' },
              { id: 'c2', name: 'look', arguments: 'broken {' },
            ],
          },
        ],
      ],
      [
        [{ type: 'function_call_output', call_id: 'c1', output: 'x' }],
        [{ role: 'tool', content: 'x', toolCallId: 'c1' }],
      ],
      [
        [{ type: 'function_call_output', call_id: 'c1', output: [{ type: 'input_text', text: 'x\ud800' }] }],
        [{ role: 'tool', content: 'x\ufffd', toolCallId: 'c1' }],
      ],
    ];
    for (const [input, expected] of cases) assert.deepEqual(messagesOf(input), expected);
    assert.deepEqual(messagesOf('a', { instructions: 'Be kind.' }), [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'a' },
    ]);
  });

  it('names the field at fault, as the client calls it', () => {
    const cases: readonly (readonly [more: object, expected: string])[] = [
      [{ model: 7 }, 'invalid_request model'],
      [{ model: 'no such\n' }, 'model_not_found model'],
      [{ input: undefined }, 'invalid_request input'],
      [{ input: [] }, 'invalid_request input'],
      [{ input: 7 }, 'invalid_request input'],
      [{ input: [{ type: 'reasoning' }] }, 'invalid_request input'],
      [item({ role: 'nobody', content: 'a' }), 'invalid_request input[1].role'],
      [item({ role: 'constructor', content: 'a' }), 'invalid_request input[1].role'],
      [item({ role: 'user' }), 'invalid_request input[1].content'],
      [item({ role: 'user', content: [{ type: 'input_image' }] }), 'unsupported_feature input[1].content[0]'],
      [item({ role: 'user', content: [{ type: 'input_text' }] }), 'invalid_request input[1].content[0].text'],
      [item({ type: 'item_reference', id: 'x' }), 'unsupported_feature input[1].type'],
      [item({ type: 'web_search_call' }), 'unsupported_feature input[1].type'],
      [item({ type: 7 }), 'unsupported_feature input[1].type'],
      [item({ ...CALL, call_id: undefined }), 'invalid_request input[1].call_id'],
      [item({ ...CALL, call_id: 'x'.repeat(LIMITS.toolCallIdCharacters + 1) }), 'invalid_request input[1].call_id'],
      [item({ ...CALL, name: 'a b' }), 'invalid_request input[1].name'],
      [item({ ...CALL, arguments: 7 }), 'invalid_request input[1].arguments'],
      [item({ type: 'function_call_output', output: 'x' }), 'invalid_request input[1].call_id'],
      [item({ type: 'function_call_output', call_id: 'c', output: 7 }), 'invalid_request input[1].output'],
      [
        { input: Array.from({ length: LIMITS.toolCalls + 1 }, () => CALL) },
        `invalid_request input[${LIMITS.toolCalls}]`,
      ],
      [
        { input: Array.from({ length: LIMITS.messages + 1 }, () => ({ role: 'user', content: '' })) },
        'invalid_request input',
      ],
      [
        { instructions: 'x', input: Array.from({ length: LIMITS.messages }, () => ({ role: 'user', content: '' })) },
        'invalid_request input',
      ],
      [{ instructions: ['x'] }, 'invalid_request instructions'],
      [{ previous_response_id: 'resp_1' }, 'unsupported_feature previous_response_id'],
      [{ conversation: { id: 'c' } }, 'unsupported_feature conversation'],
      [{ background: true }, 'unsupported_feature background'],
      [{ prompt: { id: 'p' } }, 'unsupported_feature prompt'],
      [{ n: 2 }, 'unsupported_feature n'],
      [{ max_output_tokens: 0 }, 'invalid_request max_output_tokens'],
      [{ temperature: 2.1 }, 'invalid_request temperature'],
      [{ top_logprobs: 21 }, 'invalid_request top_logprobs'],
      [{ metadata: { a: 7 } }, 'invalid_request metadata.a'],
      [{ metadata: { a: 'x'.repeat(513) } }, 'invalid_request metadata.a'],
      [
        { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [index, ''])) },
        'invalid_request metadata',
      ],
      [{ tools: [{ type: 'web_search' }] }, 'unsupported_feature tools[0].type'],
      [{ tools: [{ type: 'function', name: 'a b' }] }, 'invalid_request tools[0].name'],
      [{ tools: [{ ...TOOL, parameters: [] }] }, 'invalid_request tools[0].parameters'],
      [{ tools: [TOOL], tool_choice: { type: 'function', name: 'other' } }, 'invalid_request tool_choice'],
      [{ tools: [TOOL], tool_choice: { type: 'web_search_preview' } }, 'invalid_request tool_choice'],
      [{ tool_choice: 'required' }, 'invalid_request tool_choice'],
      [{ tools: [TOOL], parallel_tool_calls: 'no' }, 'invalid_request parallel_tool_calls'],
      [{ text: { format: { type: 'yaml' } } }, 'invalid_request text.format'],
      [{ text: { format: { type: 'json_schema', name: 'a b', schema: {} } } }, 'invalid_request text.format'],
      [
        { text: { format: { type: 'json_schema', name: 'a', schema: { type: 'nothing' } } } },
        'invalid_request text.format',
      ],
    ];
    for (const [more, expected] of cases)
      assert.equal(why({ ...HELLO, ...more }), expected, JSON.stringify(more).slice(0, 200));
  });

  it('keeps its limits from the other side', () => {
    const input = Array.from({ length: LIMITS.messages }, () => ({ role: 'user', content: '' }));
    assert.equal(messagesOf(input).length, LIMITS.messages);
    assert.equal(
      messagesOf(Array.from({ length: LIMITS.toolCalls }, () => CALL))[0]?.toolCalls?.length,
      LIMITS.toolCalls,
    );
    const pairs = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`k${index}`, 'x'.repeat(512)]));
    assert.deepEqual(parse({ ...HELLO, metadata: pairs }).settings['metadata'], pairs);
    assert.equal(parse({ ...HELLO, max_output_tokens: 1 }).job.sampling.maxTokens, 1);
  });

  it('offers functions as the client chose, and says what was understood', () => {
    const tools = [TOOL, { type: 'function', name: 'find', description: 'finds', parameters: null, strict: true }];
    const cases: readonly (readonly [choice: unknown, names: readonly string[] | undefined, said: unknown])[] = [
      [undefined, ['look', 'find'], 'auto'],
      ['auto', ['look', 'find'], 'auto'],
      ['none', undefined, 'none'],
      ['required', ['look', 'find'], 'required'],
      [{ type: 'function', name: 'find' }, ['look', 'find'], { type: 'function', name: 'find' }],
      [{ type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'find' }] }, ['find'], 'required'],
    ];
    for (const [choice, names, said] of cases) {
      const { job, settings } = parse({ ...HELLO, tools, tool_choice: choice, parallel_tool_calls: false });
      assert.deepEqual(
        job.toolUse?.tools.map(({ name }) => name),
        names,
      );
      assert.deepEqual([settings['tool_choice'], settings['parallel_tool_calls']], [said, false]);
      assert.equal(job.toolUse?.parallel ?? false, false);
    }
    const { settings } = parse({ ...HELLO, tools: [TOOL] });
    assert.deepEqual(settings['tools'], [{ ...TOOL, description: null, strict: false }]);
  });

  it('reads the format, the probabilities and the hints', () => {
    const schema = { properties: { a: { type: 'integer' } }, type: 'object' };
    const format = { type: 'json_schema', name: 'place', schema, strict: true };
    const { job, settings } = parse({ ...HELLO, text: { format } });
    assert.deepEqual(job.format, { type: 'json-schema', name: 'place', schema: JSON.stringify(schema), strict: true });
    assert.deepEqual(settings['text'], { format });
    assert.deepEqual(parse({ ...HELLO, text: { format: { type: 'json_object' } } }).job.format, {
      type: 'json-object',
    });
    assert.equal(parse({ ...HELLO, top_logprobs: 3 }).job.sampling.logprobs, 3);
    assert.equal(parse({ ...HELLO, include: ['message.output_text.logprobs'] }).job.sampling.logprobs, 0);
    assert.equal(parse({ ...HELLO, prompt_cache_key: 'k', user: 'u' }).sessionKey, 'k');
  });

  it('answers any JSON with a job or a client error', () => {
    const names = ['input', 'instructions', 'tools', 'tool_choice', 'text', 'include', 'metadata', 'top_logprobs'];
    const some = fc.dictionary(fc.constantFrom(...names), fc.jsonValue());
    fc.assert(
      fc.property(some, (more) => {
        const parsed = parseResponsesRequest({ ...HELLO, ...more }, CONTEXT);
        if (parsed.type === 'refused') assert.ok(ERRORS[parsed.failure.code].status < 500);
      }),
      { numRuns: 500 },
    );
  });
});
