import assert from 'node:assert/strict';
import { chatReply, REPLY_LENGTH_MAX, ReplyText } from '../../src/api/chat-reply.ts';
import { chatStream, KEEP_ALIVE_COMMENT } from '../../src/api/chat-stream.ts';
import { errorBody, errorStatus, retryAfterSeconds } from '../../src/api/error-body.ts';
import { failure } from '../../src/errors.ts';
import { MODEL, requestIdOf, USAGE } from './fakes.ts';

const HEAD = { requestId: requestIdOf(1), model: MODEL, createdS: 1_700_000_000, includeUsage: false };
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

describe('a streamed answer', () => {
  it('is a role, the text, one reason to finish and one end', () => {
    const stream = chatStream(HEAD);
    const all = stream.role() + stream.text('Hel') + stream.text('lo "\n\u2028😀') + stream.ended('stop', USAGE);
    assert.deepEqual(eventsOf(all), [
      { ...BASE, choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] },
      { ...BASE, choices: [{ index: 0, delta: { content: 'Hel' }, finish_reason: null }] },
      { ...BASE, choices: [{ index: 0, delta: { content: 'lo "\n\u2028😀' }, finish_reason: null }] },
      { ...BASE, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      'DONE',
    ]);
  });

  it('says the usage in a last chunk without choices, when asked', () => {
    const stream = chatStream({ ...HEAD, includeUsage: true });
    assert.ok(!stream.text('x').includes('usage'));
    assert.deepEqual(eventsOf(stream.ended('length', USAGE)), [
      { ...BASE, choices: [{ index: 0, delta: {}, finish_reason: 'length' }] },
      { ...BASE, choices: [], usage: USAGE_BODY },
      'DONE',
    ]);
  });

  it('breaks off with an error and never with a reason to finish', () => {
    const reason = failure('stream-lost', 'the serving node went away');
    const all = chatStream({ ...HEAD, includeUsage: true }).failed(reason);
    assert.deepEqual(eventsOf(all), [
      { error: { message: 'the serving node went away', type: 'server_error', param: null, code: 'stream_lost' } },
      'DONE',
    ]);
  });

  it('has a comment for quiet times that no parser mistakes for an event', () => {
    assert.match(KEEP_ALIVE_COMMENT, /^: [^\n]+\n\n$/);
    assert.doesNotMatch(KEEP_ALIVE_COMMENT, /ping|data/);
  });
});

describe('an answer in one piece', () => {
  it('is a chat.completion with one choice and the usage', () => {
    assert.deepEqual(chatReply(HEAD, { text: 'Hello', finishReason: 'length', usage: USAGE }), {
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

  it('is bounded', () => {
    const reply = new ReplyText();
    assert.ok(reply.add('a'.repeat(REPLY_LENGTH_MAX - 1)));
    assert.ok(reply.add('b'));
    assert.ok(!reply.add('c'));
    assert.ok(reply.whole().endsWith('ab'));
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
