import assert from 'node:assert/strict';
import { chatReply } from '../../src/api/chat-reply.ts';
import { chatStream } from '../../src/api/chat-stream.ts';
import type { Answer } from '../../src/api/dialect.ts';
import { errorBody, errorStatus, retryAfterSeconds } from '../../src/api/error-body.ts';
import { failure } from '../../src/errors.ts';
import { MODEL, requestIdOf, USAGE } from './fakes.ts';

const HEAD = { requestId: requestIdOf(1), model: MODEL, createdMs: 1_700_000_000_999 };
const OPTIONS = { choices: 1, includeUsage: false, oldForm: false };
const TIMES = { totalMs: 2, firstTextMs: 1 };
const TOKEN = { text: 'Hi', bytes: [72, 105], logprob: -1, top: [{ bytes: [0xe2, 0x82], logprob: -1e9 }] };
const ANSWER: Answer = { content: 'Hello', tokens: [], calls: [], finish: 'stop', usage: USAGE };
const BASE = {
  id: `chatcmpl-${requestIdOf(1)}`,
  object: 'chat.completion.chunk',
  created: 1_700_000_000,
  model: MODEL,
};
const USAGE_BODY = {
  prompt_tokens: 5,
  completion_tokens: 2,
  total_tokens: 7,
  prompt_tokens_details: { cached_tokens: 1 },
};

/** The data of each event; fails where the framing is not exactly `data: ...` and a blank line. */
function eventsOf(text: string): unknown[] {
  assert.ok(text.endsWith('\n\n'));
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((event) => {
      assert.match(event, /^data: [^\n]*$/);
      return event === 'data: [DONE]' ? 'DONE' : JSON.parse(event.slice(6));
    });
}

function deltasOf(text: string): unknown[] {
  return eventsOf(text).map((event) => {
    const { choices } = event as { choices: { index: number; delta: object; finish_reason: string | null }[] };
    return choices[0];
  });
}

describe('a streamed answer', () => {
  it('is a role, the text, one reason to finish and one end', () => {
    const stream = chatStream(HEAD, OPTIONS);
    const end = { finish: 'stop', usage: USAGE } as const;
    const texts = stream.content(0, 'Hel', []) + stream.content(0, 'lo "\n\u2028😀', []);
    const all = stream.opened() + texts + stream.jobEnded(0, end) + stream.closed([end], TIMES);
    assert.deepEqual(eventsOf(all), [
      { ...BASE, choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] },
      { ...BASE, choices: [{ index: 0, delta: { content: 'Hel' }, finish_reason: null }] },
      { ...BASE, choices: [{ index: 0, delta: { content: 'lo "\n\u2028😀' }, finish_reason: null }] },
      { ...BASE, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      'DONE',
    ]);
  });

  it('says the usage in a last chunk without choices, when asked', () => {
    const stream = chatStream(HEAD, { ...OPTIONS, includeUsage: true });
    const end = { finish: 'length', usage: USAGE } as const;
    assert.ok(!stream.content(0, 'x', []).includes('usage'));
    assert.deepEqual(eventsOf(stream.jobEnded(0, end) + stream.closed([end], TIMES)), [
      { ...BASE, choices: [{ index: 0, delta: {}, finish_reason: 'length' }] },
      { ...BASE, choices: [], usage: USAGE_BODY },
      'DONE',
    ]);
  });

  it('counts the prompt of several choices once, and tells them apart by their index', () => {
    const stream = chatStream(HEAD, { ...OPTIONS, choices: 3, includeUsage: true });
    const ends = [1, 2, 3].map(
      (completionTokens) => ({ finish: 'stop', usage: { ...USAGE, completionTokens } }) as const,
    );
    const usage = { ...USAGE_BODY, completion_tokens: 6, total_tokens: 11 };
    assert.deepEqual(eventsOf(stream.closed(ends, TIMES))[0], { ...BASE, choices: [], usage });
    assert.deepEqual(
      deltasOf(stream.opened()),
      [0, 1, 2].map((index) => ({ index, delta: { role: 'assistant', content: '' }, finish_reason: null })),
    );
    assert.deepEqual(deltasOf(stream.content(2, 'x', [])), [
      { index: 2, delta: { content: 'x' }, finish_reason: null },
    ]);
  });

  it('brings a call with index, id, type and name first, then its arguments as pieces of a string', () => {
    const stream = chatStream(HEAD, OPTIONS);
    const all =
      stream.callBegan(0, { index: 1, id: 'call_1', name: 'f' }) +
      stream.callArguments(0, 1, '{"a"') +
      stream.callArguments(0, 1, ':1}') +
      stream.callEnded(0, 1) +
      stream.jobEnded(0, { finish: 'tool_calls', usage: USAGE });
    const head = { index: 1, id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } };
    assert.deepEqual(deltasOf(all), [
      { index: 0, delta: { tool_calls: [head] }, finish_reason: null },
      { index: 0, delta: { tool_calls: [{ index: 1, function: { arguments: '{"a"' } }] }, finish_reason: null },
      { index: 0, delta: { tool_calls: [{ index: 1, function: { arguments: ':1}' } }] }, finish_reason: null },
      { index: 0, delta: {}, finish_reason: 'tool_calls' },
    ]);
  });

  it('brings a call in the older form to those who asked in it', () => {
    const stream = chatStream(HEAD, { ...OPTIONS, oldForm: true });
    const all =
      stream.callBegan(0, { index: 0, id: 'call_1', name: 'f' }) +
      stream.callArguments(0, 0, '{}') +
      stream.jobEnded(0, { finish: 'tool_calls', usage: USAGE });
    assert.deepEqual(deltasOf(all), [
      { index: 0, delta: { function_call: { name: 'f', arguments: '' } }, finish_reason: null },
      { index: 0, delta: { function_call: { arguments: '{}' } }, finish_reason: null },
      { index: 0, delta: {}, finish_reason: 'function_call' },
    ]);
  });

  it('tells probabilities beside their text, finite ones', () => {
    const [choice] = deltasOf(chatStream(HEAD, OPTIONS).content(0, 'Hi', [TOKEN]));
    const other = { token: '\ufffd', logprob: -9_999, bytes: [0xe2, 0x82] };
    const content = [{ token: 'Hi', logprob: -1, bytes: [72, 105], top_logprobs: [other] }];
    const logprobs = { content, refusal: null };
    assert.deepEqual(choice, { index: 0, delta: { content: 'Hi' }, logprobs, finish_reason: null });
  });

  it('breaks off with an error and never with a reason to finish', () => {
    const reason = failure('stream-lost', 'the serving node went away');
    const all = chatStream(HEAD, { ...OPTIONS, includeUsage: true }).failed(reason);
    assert.deepEqual(eventsOf(all), [
      { error: { message: 'the serving node went away', type: 'server_error', param: null, code: 'stream_lost' } },
      'DONE',
    ]);
  });

  it('has a comment for quiet times that no parser mistakes for an event', () => {
    const comment = chatStream(HEAD, OPTIONS).keepAlive();
    assert.match(comment, /^: [^\n]+\n\n$/);
    assert.doesNotMatch(comment, /ping|data/);
  });
});

describe('an answer in one piece', () => {
  it('is a chat.completion with one choice and the usage', () => {
    const answer: Answer = { ...ANSWER, finish: 'length' };
    assert.deepEqual(chatReply(HEAD, [answer], { oldForm: false, logprobs: false }), {
      ...BASE,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello', refusal: null },
          logprobs: null,
          finish_reason: 'length',
        },
      ],
      usage: USAGE_BODY,
    });
  });

  it('has the calls, and no content where nothing was said', () => {
    const calls = [{ id: 'call_1', name: 'f', arguments: '{}' }];
    const answers: Answer[] = [
      { ...ANSWER, content: '', calls, finish: 'tool_calls' },
      { ...ANSWER, calls, finish: 'tool_calls' },
    ];
    const tools = [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }];
    const { choices, usage } = chatReply(HEAD, answers, { oldForm: false, logprobs: false });
    assert.deepEqual(
      choices.map(({ message }) => message),
      [
        { role: 'assistant', content: null, refusal: null, tool_calls: tools },
        { role: 'assistant', content: 'Hello', refusal: null, tool_calls: tools },
      ],
    );
    assert.equal(usage.total_tokens, 9);
    const old = chatReply(HEAD, answers.slice(0, 1), { oldForm: true, logprobs: false });
    assert.deepEqual(old.choices[0]?.message.function_call, { name: 'f', arguments: '{}' });
    assert.equal(old.choices[0]?.finish_reason, 'function_call');
  });

  it('has the probabilities of its tokens', () => {
    const answer: Answer = { ...ANSWER, tokens: [TOKEN] };
    const { choices } = chatReply(HEAD, [answer], { oldForm: false, logprobs: true });
    assert.equal(choices[0]?.logprobs?.content[0]?.token, 'Hi');
  });
});

describe('a failure on the wire', () => {
  it('has the fields that SDKs read, and the status of the registry', () => {
    const reason = failure('invalid-request', 'temperature: too hot', { param: 'temperature' });
    assert.deepEqual(errorBody(reason), {
      error: {
        message: 'temperature: too hot',
        type: 'invalid_request_error',
        param: 'temperature',
        code: 'invalid_request',
      },
    });
    assert.equal(errorStatus(reason), 400);
  });

  it('rounds Retry-After up to whole seconds', () => {
    const cases: readonly (readonly [ms: number, expected: string])[] = [
      [0, '1'],
      [1, '1'],
      [1_000, '1'],
      [1_001, '2'],
    ];
    for (const [retryAfterMs, expected] of cases)
      assert.equal(retryAfterSeconds(failure('busy', 'full', { retryAfterMs })), expected);
    assert.equal(retryAfterSeconds(failure('busy', 'full')), undefined);
  });
});
