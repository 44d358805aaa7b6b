import assert from 'node:assert/strict';
import type { Answer } from '../../src/api/dialect.ts';
import { responseReply } from '../../src/api/responses-body.ts';
import { ResponsesStream } from '../../src/api/responses-stream.ts';
import { failure } from '../../src/errors.ts';
import { MODEL, requestIdOf, USAGE } from './fakes.ts';

const HEAD = { requestId: requestIdOf(1), model: MODEL, createdMs: 1_700_000_000_999 };
const INIT = { head: HEAD, settings: { store: false } };
const MESSAGE_ID = `msg_${requestIdOf(1)}0000`;
const TOKEN = { text: 'Hi', bytes: [72, 105], logprob: -1, top: [] };
const CALL = { index: 0, id: 'call_1', name: 'look' };
const ANSWER: Answer = { content: 'Hello', tokens: [], calls: [], finish: 'stop', usage: USAGE };

type Event = Record<string, unknown> & { readonly type: string; readonly sequence_number: number };

/** Fails where the framing is not the event's name, one line of data and a blank line, or the numbers have gaps. */
function eventsOf(text: string): readonly Event[] {
  assert.ok(text.endsWith('\n\n'));
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((event, index) => {
      const [, name, data = ''] = /^event: ([a-z_.]+)\ndata: ([^\n]*)$/.exec(event) ?? [];
      const parsed = JSON.parse(data) as Event;
      assert.deepEqual([parsed.type, parsed.sequence_number], [name, index]);
      return parsed;
    });
}

function typesOf(text: string): readonly string[] {
  return eventsOf(text).map(({ type }) => type.replace('response.', ''));
}

describe('a streamed response', () => {
  it('is created, said piece by piece, and whole at its end', () => {
    const stream = new ResponsesStream(INIT);
    const end = { finish: 'stop', usage: USAGE } as const;
    const all =
      stream.opened() +
      stream.content(0, 'Hel', []) +
      stream.content(0, 'lo "\n', []) +
      stream.jobEnded(0, end) +
      stream.closed([end]);
    const events = eventsOf(all);
    const place = { item_id: MESSAGE_ID, output_index: 0, content_index: 0 };
    assert.deepEqual(typesOf(all), [
      'created',
      'in_progress',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'completed',
    ]);
    assert.deepEqual(events[4], {
      type: 'response.output_text.delta',
      ...place,
      delta: 'Hel',
      logprobs: [],
      sequence_number: 4,
    });
    assert.deepEqual(events[6], {
      type: 'response.output_text.done',
      ...place,
      text: 'Hello "\n',
      logprobs: [],
      sequence_number: 6,
    });
    const { response: first } = events[0] as unknown as { response: Record<string, unknown> };
    assert.deepEqual([first['status'], first['output'], first['usage']], ['in_progress', [], null]);
    assert.deepEqual(events.at(-1)?.['response'], responseReply(INIT, { ...ANSWER, content: 'Hello "\n' }));
  });

  it('has each call as an item of its own, as the whole response has', () => {
    const stream = new ResponsesStream(INIT);
    const end = { finish: 'tool_calls', usage: USAGE } as const;
    const all =
      stream.opened() +
      stream.content(0, 'Hello', []) +
      stream.callBegan(0, CALL) +
      stream.callArguments(0, 0, '{"a"') +
      stream.callArguments(0, 0, ':1}') +
      stream.callEnded() +
      stream.callBegan(0, { ...CALL, index: 1, id: 'call_2' }) +
      stream.callArguments(0, 1, '{}') +
      stream.callEnded() +
      stream.jobEnded(0, end) +
      stream.closed([end]);
    assert.deepEqual(typesOf(all).slice(5, 13), [
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'output_item.added',
      'function_call_arguments.delta',
      'function_call_arguments.delta',
      'function_call_arguments.done',
      'output_item.done',
    ]);
    const events = eventsOf(all);
    const { arguments: whole, name, output_index: index } = events[11] as Event;
    assert.deepEqual([whole, name, index], ['{"a":1}', 'look', 1]);
    const calls = [
      { id: 'call_1', name: 'look', arguments: '{"a":1}' },
      { id: 'call_2', name: 'look', arguments: '{}' },
    ];
    assert.deepEqual(events.at(-1)?.['response'], responseReply(INIT, { ...ANSWER, calls, finish: 'tool_calls' }));
  });

  it('says what its length cut: the text, or a call in its middle', () => {
    const end = { finish: 'length', usage: USAGE } as const;
    const text = new ResponsesStream(INIT);
    const cutText = text.opened() + text.content(0, 'Hello', []) + text.jobEnded(0, end) + text.closed([end]);
    const expected = responseReply(INIT, { ...ANSWER, finish: 'length' });
    assert.deepEqual(eventsOf(cutText).at(-1)?.['response'], expected);
    assert.deepEqual([expected.status, expected.incomplete_details], ['incomplete', { reason: 'max_output_tokens' }]);
    assert.deepEqual(
      expected.output.map(({ status }) => status),
      ['incomplete'],
    );
    const call = new ResponsesStream(INIT);
    const cutCall =
      call.opened() +
      call.callBegan(0, CALL) +
      call.callArguments(0, 0, '{"a"') +
      call.jobEnded(0, end) +
      call.closed([end]);
    assert.ok(!typesOf(cutCall).includes('function_call_arguments.done'));
    const calls = [{ id: 'call_1', name: 'look', arguments: '{"a"' }];
    const whole = responseReply(INIT, { ...ANSWER, content: '', calls, finish: 'length' });
    assert.deepEqual(eventsOf(cutCall).at(-1)?.['response'], whole);
    assert.deepEqual(
      whole.output.map(({ status }) => status),
      ['incomplete'],
    );
  });

  it('has an empty message where nothing came', () => {
    const stream = new ResponsesStream(INIT);
    const end = { finish: 'stop', usage: USAGE } as const;
    const events = eventsOf(stream.opened() + stream.jobEnded(0, end) + stream.closed([end]));
    const whole = responseReply(INIT, { ...ANSWER, content: '' });
    assert.deepEqual(events.at(-1)?.['response'], whole);
    assert.equal(whole.output.length, 1);
  });

  it('tells probabilities beside their text', () => {
    const stream = new ResponsesStream(INIT);
    const end = { finish: 'stop', usage: USAGE } as const;
    const events = eventsOf(
      stream.opened() + stream.content(0, 'Hi', [TOKEN]) + stream.jobEnded(0, end) + stream.closed([end]),
    );
    const logprobs = [{ token: 'Hi', logprob: -1, bytes: [72, 105], top_logprobs: [] }];
    assert.deepEqual(events[4]?.['logprobs'], logprobs);
    assert.deepEqual(events[5]?.['logprobs'], logprobs);
  });

  it('breaks off with a failed response and an error in both forms', () => {
    const reason = failure('stream-lost', 'it went away');
    const stream = new ResponsesStream(INIT);
    const [lost, error] = eventsOf(stream.opened() + stream.content(0, 'x', []) + stream.failed(reason)).slice(-2);
    assert.equal(lost?.type, 'response.failed');
    const { response } = lost as unknown as { response: Record<string, unknown> };
    assert.deepEqual(
      [response['status'], response['error']],
      ['failed', { code: 'server_error', message: 'it went away' }],
    );
    const nested = { message: 'it went away', type: 'server_error', param: null, code: 'stream_lost' };
    const { type, sequence_number: _number, ...fields } = error ?? { type: '', sequence_number: 0 };
    assert.equal(type, 'error');
    assert.deepEqual(fields, { code: 'stream_lost', message: 'it went away', param: null, error: nested });
    // Only comments may have gone out before.
    assert.deepEqual(typesOf(new ResponsesStream(INIT).failed(reason)), ['error']);
    assert.match(new ResponsesStream(INIT).keepAlive(), /^: [^\n]+\n\n$/);
  });
});

describe('a response in one piece', () => {
  it('has its message, its usage and what was asked', () => {
    assert.deepEqual(responseReply(INIT, ANSWER), {
      id: `resp_${requestIdOf(1)}`,
      object: 'response',
      created_at: 1_700_000_000,
      status: 'completed',
      error: null,
      incomplete_details: null,
      model: MODEL,
      output: [
        {
          id: MESSAGE_ID,
          type: 'message',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'Hello', annotations: [], logprobs: [] }],
        },
      ],
      usage: {
        input_tokens: 5,
        input_tokens_details: { cached_tokens: 1 },
        output_tokens: 2,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 7,
      },
      store: false,
    });
  });
});
