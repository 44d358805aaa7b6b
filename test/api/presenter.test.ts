import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  ANSWER_LENGTH_MAX,
  type Asked,
  type Dialect,
  type ReadContext,
  type StreamWriter,
} from '../../src/api/dialect.ts';
import { OPENAI_CHAT } from '../../src/api/openai-chat.ts';
import { type Last, type Presenter, presenter } from '../../src/api/presenter.ts';
import { utf8 } from '../../src/bytes.ts';
import { failure } from '../../src/errors.ts';
import { Grammars } from '../../src/inference/answer-format.ts';
import { SseParser } from '../../src/inference/sse.ts';
import { encodeToolCall } from '../../src/inference/tool-text.ts';
import { MODEL, requestIdOf, USAGE } from './fakes.ts';

const CONTEXT: ReadContext = { sessionHeader: undefined, grammars: new Grammars(), models: () => [], nowMs: 0 };
const TOOLS = [{ type: 'function', function: { name: 'look' } }];
const HELLO = { model: MODEL, messages: [{ role: 'user', content: 'hello' }] };
const TIMES = { totalMs: 2, firstTextMs: 1 };

function askedOf(body: object, dialect: Dialect = OPENAI_CHAT): Asked {
  const reading = dialect.read({ ...HELLO, ...body }, CONTEXT);
  assert.ok(reading.type === 'asked', JSON.stringify(reading));
  return reading.asked;
}

function open(body: object): Presenter {
  const requestId = requestIdOf(1);
  return presenter({ asked: askedOf(body), head: { requestId, model: MODEL, createdMs: 0 }, runIds: [requestId] });
}

/** What the client gets of an answer of these pieces; the end is the last of it. */
function say(body: object, pieces: readonly string[]): { readonly sent: string; readonly last: Last } {
  const shown = open(body);
  let sent = '';
  for (const piece of pieces) {
    assert.equal(shown.text(0, piece), undefined);
    sent += shown.take();
  }
  assert.equal(shown.ended(0, { finishReason: 'stop', usage: USAGE }), undefined);
  const last = shown.finish(TIMES);
  return { sent: sent + shown.take(), last };
}

interface Message {
  content: string;
  readonly calls: { id: string; name: string; arguments: string }[];
  finish: string;
}

/** As a client puts the chunks of a stream together. */
function assembled(events: readonly { readonly data: string }[]): Message {
  const message: Message = { content: '', calls: [], finish: '' };
  assert.equal(events.at(-1)?.data, '[DONE]');
  for (const { data } of events.slice(0, -1)) {
    const [choice] = JSON.parse(data).choices;
    message.content += choice.delta.content ?? '';
    for (const { index, id, function: called } of choice.delta.tool_calls ?? []) {
      message.calls[index] ??= { id, name: called.name, arguments: '' };
      message.calls[index].arguments += called.arguments;
    }
    message.finish = choice.finish_reason ?? message.finish;
  }
  return message;
}

function eventsOf(...chunks: readonly Uint8Array[]): readonly { readonly data: string }[] {
  const parser = new SseParser(1_000_000);
  return chunks.flatMap((chunk) => {
    const parsed = parser.push(chunk);
    assert.ok(parsed.type === 'events');
    return parsed.events;
  });
}

describe('what leaves for the client', () => {
  it('says the same streamed and in one piece, whatever the pieces are', () => {
    const call = encodeToolCall('look', '{"at":"🪿"}');
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.boolean(), (pieces, calls) => {
        // A text that itself looks like a call is another matter.
        fc.pre(!pieces.join('').includes('<'));
        const all = calls ? [...pieces, call] : pieces;
        const streamed = assembled(eventsOf(utf8(say({ tools: TOOLS, stream: true }, all).sent)));
        const { last } = say({ tools: TOOLS }, all);
        assert.ok(last.type === 'json');
        const { message, finish_reason: finish } = JSON.parse(last.json).choices[0];
        assert.equal(streamed.content, message.content ?? '');
        assert.equal(streamed.finish, finish);
        const whole = (message.tool_calls ?? []).map((one: { id: string; function: object }) => ({
          id: one.id,
          ...one.function,
        }));
        assert.deepEqual(streamed.calls, whole);
      }),
    );
  });

  it('is the same stream however its bytes are cut', () => {
    const { sent } = say({ tools: TOOLS, stream: true }, ['gänse ', '🪿\n\ndata: x', encodeToolCall('look', '{}')]);
    const bytes = utf8(sent);
    const expected = eventsOf(bytes);
    assert.equal(assembled(expected).content, 'gänse 🪿\n\ndata: x');
    for (let edge = 0; edge <= bytes.length; edge += 1)
      assert.deepEqual(eventsOf(bytes.subarray(0, edge), bytes.subarray(edge)), expected);
  });

  it('is asked of a writer in the order in which it leaves, what opens a stream first', () => {
    let count = 0;
    const next = (): string => String((count += 1));
    const writer: StreamWriter = {
      contentType: '',
      opened: () => `o${next()}`,
      content: () => `c${next()}`,
      callBegan: () => `b${next()}`,
      callArguments: () => `a${next()}`,
      callEnded: () => `e${next()}`,
      jobEnded: () => `j${next()}`,
      closed: () => `l${next()}`,
      failed: () => `f${next()}`,
      keepAlive: () => '',
    };
    for (const [pieces, sent] of [
      [['x'], 'o1c2j3l4'],
      [[], 'o1j2l3'],
      [[encodeToolCall('look', '{}')], 'o1b2a3e4j5l6'],
    ] as const) {
      count = 0;
      const requestId = requestIdOf(1);
      const asked: Asked = { ...askedOf({ tools: TOOLS }), show: { type: 'stream', open: () => writer } };
      const shown = presenter({ asked, head: { requestId, model: MODEL, createdMs: 0 }, runIds: [requestId] });
      for (const piece of pieces) shown.text(0, piece);
      shown.ended(0, { finishReason: 'stop', usage: USAGE });
      shown.finish(TIMES);
      assert.equal(shown.take(), sent);
    }
  });

  it('is nothing of a reply until it is whole', () => {
    const shown = open({});
    shown.text(0, 'x');
    shown.fail(failure('stalled', 'silent'));
    assert.deepEqual([shown.take(), shown.pendingLength, shown.stream], ['', 0, undefined]);
  });

  it('is bounded, streamed or not', () => {
    for (const stream of [true, false]) {
      const shown = open({ stream });
      assert.equal(shown.text(0, 'a'.repeat(ANSWER_LENGTH_MAX)), undefined);
      assert.equal(shown.text(0, 'b')?.code, 'engine-failed');
    }
  });
});
