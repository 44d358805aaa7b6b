import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type AnswerEnd, answerReader, callId, type Ended } from '../../src/api/answer-parts.ts';
import { type Answer } from '../../src/api/dialect.ts';
import { AnswerCollector } from '../../src/api/presenter.ts';
import { encodeScoredToken } from '../../src/inference/answer-lines.ts';
import type { FinishReason, Job, RunEnd, Sampling, ToolUse } from '../../src/inference/engine.ts';
import { encodeToolCall } from '../../src/inference/tool-text.ts';
import { MODEL, requestIdOf, USAGE } from './fakes.ts';

const TOOLS = ['look', 'find'].map((name) => ({ name, parameters: '{}' }));
const AUTO: ToolUse = { tools: TOOLS, choice: { type: 'auto' }, parallel: true };
const ID = requestIdOf(0xabc);
const END: AnswerEnd = { finish: 'stop', usage: USAGE };

function jobOf(toolUse?: ToolUse, sampling: Partial<Sampling> = {}): Job {
  return {
    model: MODEL,
    messages: [],
    sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], ...sampling },
    ...(toolUse === undefined ? {} : { toolUse }),
  };
}

/** The whole answer, or the words of its failure. */
function read(job: Job, pieces: readonly string[], finishReason: FinishReason = 'stop'): Answer | string {
  const collector = new AnswerCollector();
  const reader = answerReader(job, ID, collector);
  for (const piece of pieces) {
    const broken = reader.push(piece);
    if (broken !== undefined) return broken.message;
  }
  const ended: Ended = reader.end({ finishReason, usage: USAGE });
  return ended.type === 'failed' ? ended.failure.message : collector.answer(ended.end);
}

/** Of an answer that may be stopped by "a" or "b". */
function endOf(end: Partial<RunEnd>): Ended {
  const reader = answerReader(jobOf(undefined, { stop: ['a', 'b'] }), ID, new AnswerCollector());
  return reader.end({ finishReason: 'stop', usage: USAGE, ...end });
}

function cut(text: string, cuts: readonly number[]): string[] {
  const edges = [0, ...cuts.toSorted((left, right) => left - right), text.length];
  return edges.slice(1).map((edge, index) => text.slice(edges[index], edge));
}

function lineOf(text: string): string {
  return encodeScoredToken({ text, bytes: [...Buffer.from(text)], logprob: -0.5, top: [] });
}

describe('the parts of an answer', () => {
  it('are its text, where it is nothing else', () => {
    const answer = read(jobOf(), ['Hel', '', 'lo <tool_call>']);
    assert.deepEqual(answer, { ...END, content: 'Hello <tool_call>', tokens: [], calls: [] });
    assert.equal((read(jobOf(), ['x'], 'length') as Answer).finish, 'length');
  });

  it('end with the stop string that the engine names, and only with one that the client gave', () => {
    assert.deepEqual(endOf({ stopIndex: 1 }), {
      type: 'ended',
      end: { finish: 'stop', usage: USAGE, stopSequence: 'b' },
    });
    for (const end of [{}, { stopIndex: 2 }, { stopIndex: 0, finishReason: 'length' }] as const)
      assert.ok(!JSON.stringify(endOf(end)).includes('stopSequence'));
  });

  it('are text and calls, the same however the pieces come', () => {
    const text = `Let me see.\n${encodeToolCall('look', '{"at": "}"}')}\n${encodeToolCall('find', '{}')}`;
    const calls = [
      { id: callId(ID, 0), name: 'look', arguments: '{"at": "}"}' },
      { id: callId(ID, 1), name: 'find', arguments: '{}' },
    ];
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 10 }), (cuts) => {
        const answer = read(jobOf(AUTO), cut(text, cuts));
        assert.ok(typeof answer === 'object', JSON.stringify(answer));
        assert.deepEqual(answer.calls, calls);
        assert.equal(answer.content.trimEnd(), 'Let me see.');
        assert.equal(answer.finish, 'tool_calls');
      }),
    );
  });

  it('have call ids of 24 hex digits that are those of the request and its place', () => {
    assert.match(callId(ID, 0), /^call_[0-9a-f]{24}$/);
    assert.notEqual(callId(ID, 0), callId(ID, 1));
    assert.equal(callId(ID, 7), callId(ID, 7));
  });

  it('are a failure where a call is none, is not offered, is one too many or is missing', () => {
    const named: ToolUse = { ...AUTO, choice: { type: 'named', name: 'find' } };
    const look = encodeToolCall('look', '{}');
    const cases: readonly (readonly [toolUse: ToolUse, text: string, expected: RegExp])[] = [
      [AUTO, '<tool_call>\nlook()', /is none/],
      [AUTO, encodeToolCall('other', '{}'), /is none/],
      [AUTO, `${look} and now?`, /is none/],
      [AUTO, look.slice(0, -3), /in the middle/],
      [named, look, /another function/],
      [{ ...AUTO, parallel: false }, `${look}\n${look}`, /more than one/],
      [{ ...AUTO, choice: { type: 'required' } }, 'No.', /called no function/],
      [named, '', /called no function/],
    ];
    for (const [toolUse, text, expected] of cases) {
      const answer = read(jobOf(toolUse), [text]);
      assert.ok(typeof answer === 'string', text);
      assert.match(answer, expected);
    }
  });

  it('may end in the middle of a call where the length ended them', () => {
    const answer = read(jobOf(AUTO), ['<tool_call>\n{"name": "look", "arguments": {"a'], 'length');
    assert.ok(typeof answer === 'object');
    assert.deepEqual([answer.finish, answer.calls[0]?.arguments], ['length', '{"a']);
  });

  it('have the probabilities of what is said, and none of calls', () => {
    const lines = [lineOf('I '), lineOf('look.'), lineOf('<tool_'), lineOf('call>')].join('');
    const rest = lineOf(encodeToolCall('look', '{}').slice('<tool_call>'.length));
    for (const pieces of [[lines + rest], (lines + rest).split('')]) {
      const answer = read(jobOf(AUTO, { logprobs: 0 }), pieces);
      assert.ok(typeof answer === 'object');
      assert.equal(answer.content, 'I look.');
      assert.deepEqual(
        answer.tokens.map((token) => token.text),
        ['I ', 'look.'],
      );
      assert.equal(answer.calls.length, 1);
    }
    assert.equal(read(jobOf(undefined, { logprobs: 0 }), ['{}\n']), 'the engine sent a token that is none');
    assert.equal(
      read(jobOf(undefined, { logprobs: 0 }), [lineOf('a').slice(0, -1)]),
      'the engine ended in the middle of a token',
    );
  });

  it('never throw, whatever an engine writes', () => {
    const word = fc.constantFrom(
      '<tool_call>',
      '\n{"name": "look"',
      ', "arguments": {',
      '}\n</tool_call>',
      '}',
      '"',
      'x',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string())), fc.boolean(), (pieces, scored) => {
        read(jobOf(AUTO, scored ? { logprobs: 0 } : {}), pieces);
      }),
    );
  });
});
