import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import { encodeToolCall, ToolTextReader, type ToolTextEvent } from '../../src/inference/tool-text.ts';
import { LIMITS } from '../../src/params.ts';

const TOOLS = new Set(['weather', 'add-2', 'x_y']);

interface Answer {
  readonly content: string;
  readonly calls: readonly { readonly name: string; readonly arguments: string; readonly isWhole: boolean }[];
  readonly isWhole: boolean;
}

/** Reads pieces and puts the events together; undefined = malformed. */
function read(pieces: readonly string[]): Answer | undefined {
  const reader = new ToolTextReader({ toolNames: TOOLS });
  const events: ToolTextEvent[] = [];
  for (const piece of pieces) {
    const more = reader.push(piece);
    if (more === undefined) return undefined;
    events.push(...more);
  }
  events.push(...reader.end());
  return { ...assemble(events), isWhole: reader.isWhole };
}

function assemble(events: readonly ToolTextEvent[]): Omit<Answer, 'isWhole'> {
  let content = '';
  const calls: { name: string; arguments: string; isWhole: boolean }[] = [];
  for (const event of events) {
    if (event.type === 'content') {
      assert.equal(calls.length, 0);
      assert.notEqual(event.text, '');
      content += event.text;
    } else if (event.type === 'call') {
      assert.equal(event.index, calls.length);
      calls.push({ name: event.name, arguments: '', isWhole: false });
    } else {
      const call = calls.at(-1);
      assert.ok(call !== undefined && event.index === calls.length - 1 && !call.isWhole);
      if (event.type === 'arguments') call.arguments += event.text;
      else call.isWhole = true;
    }
  }
  return { content, calls };
}

const json = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue(), { maxKeys: 4 });
const call = fc.record({
  name: fc.constantFrom(...TOOLS),
  value: json,
  isIndented: fc.boolean(),
});
/** Full of beginnings of calls, but without one. */
const content = fc
  .array(fc.oneof(fc.constantFrom('<tool_call', '<tool', '<', ' ', '\n', '</tool_call>', '<<'), fc.string()), {
    maxLength: 8,
  })
  .map((parts) => parts.join('').replaceAll('<tool_call>', ''))
  .filter((text) => !text.includes('<tool_call>'));
const cuts = fc.array(fc.nat(400), { maxLength: 12 });

function cutAt(text: string, places: readonly number[]): string[] {
  const sorted = [0, ...places.map((place) => Math.min(place, text.length)), text.length].toSorted((a, b) => a - b);
  return sorted.map((from, index) => text.slice(from, sorted[index + 1] ?? from)).filter((piece) => piece !== '');
}

describe('calls in the text of an answer', () => {
  it('come out as they went in, however the text is cut', () => {
    fc.assert(
      fc.property(content, fc.array(call, { maxLength: 3 }), cuts, (said, called, places) => {
        const texts = called.map(({ value, isIndented }) => JSON.stringify(value, undefined, isIndented ? 1 : 0));
        const encoded = called.map(({ name }, index) => encodeToolCall(name, texts[index] ?? ''));
        const whole = [said, ...encoded].filter((part) => part !== '').join('\n');
        const answer = read(cutAt(whole, places));
        assert.ok(answer !== undefined, whole);
        assert.equal(answer.isWhole, true);
        assert.deepEqual(
          answer.calls,
          called.map(({ name }, index) => ({ name, arguments: texts[index], isWhole: true })),
        );
        if (called.length === 0) assert.equal(answer.content, said);
        else {
          assert.ok(said.startsWith(answer.content));
          assert.match(said.slice(answer.content.length), /^\s{0,8}$/);
        }
      }),
    );
  });

  it('are read alike at every cut, malformed ones too', () => {
    const pieces = fc.array(
      fc.oneof(
        fc.constantFrom(
          '<tool_call>',
          '\n',
          '{"name": "',
          'weather',
          '", "arguments": ',
          '{',
          '}',
          '</tool_call>',
          '"',
        ),
        fc.constant(encodeToolCall('weather', '{"a":"}\\""}')),
        fc.string({ maxLength: 3 }),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(pieces, cuts, (parts, places) => {
        const text = parts.join('');
        const whole = read(text === '' ? [] : [text]);
        assert.deepEqual(read(cutAt(text, places)), whole);
        assert.deepEqual(read(text.split('')), whole);
      }),
    );
  });

  it('hold back only what may begin a call', () => {
    for (const { text, expected } of [
      { text: 'a <b', expected: 'a <b' },
      { text: 'a <tool_calm', expected: 'a <tool_calm' },
      { text: 'a <tool_call', expected: 'a' },
      { text: 'a <', expected: 'a' },
      { text: `a${' '.repeat(8)}`, expected: 'a' },
      { text: `a${' '.repeat(9)}`, expected: 'a ' },
    ]) {
      const reader = new ToolTextReader({ toolNames: TOOLS });
      const left = assemble(reader.push(text) ?? []).content;
      assert.equal(left, expected, text);
      assert.equal(left + assemble(reader.end()).content, text);
    }
  });

  it('begin the answer or are none where its text has a format', () => {
    const one = encodeToolCall('weather', '{"a":1}');
    for (const { text, calls, expected } of [
      { text: `{"say": ${JSON.stringify(one)}}`, calls: 0, expected: `{"say": ${JSON.stringify(one)}}` },
      { text: ` {"say": "<tool_call>"}`, calls: 0, expected: ` {"say": "<tool_call>"}` },
      { text: `\n ${one}`, calls: 1, expected: '' },
      { text: '<tool', calls: 0, expected: '<tool' },
    ])
      fc.assert(
        fc.property(cuts, (places) => {
          const reader = new ToolTextReader({ toolNames: TOOLS, isFormatted: true });
          const events = cutAt(text, places).flatMap((piece) => reader.push(piece) ?? assert.fail(text));
          assert.equal(assemble([...events, ...reader.end()]).content, expected);
          assert.equal(reader.calls, calls);
          assert.ok(reader.isWhole);
        }),
      );
  });

  it('show the name before the arguments, and the arguments as they come', () => {
    const reader = new ToolTextReader({ toolNames: TOOLS });
    assert.deepEqual(reader.push('Let me see.\n<tool_call>\n{"name": "weather"'), [
      { type: 'content', text: 'Let me see.' },
      { type: 'call', index: 0, name: 'weather' },
    ]);
    assert.deepEqual(reader.push(', "arguments": {"city": "Ul'), [
      { type: 'arguments', index: 0, text: '{"city": "Ul' },
    ]);
    assert.equal(reader.isWhole, false);
    assert.deepEqual(reader.push('m"}'), [
      { type: 'arguments', index: 0, text: 'm"}' },
      { type: 'call-ended', index: 0 },
    ]);
    assert.equal(reader.isWhole, false);
    assert.deepEqual(reader.push('}\n</tool_call>\n'), []);
    assert.equal(reader.isWhole, true);
    assert.equal(reader.calls, 1);
  });

  it('are malformed where they break the syntax', () => {
    const good = encodeToolCall('weather', '{"a":1}');
    for (const { text, expected } of [
      { text: good, expected: true },
      { text: `${good} \n\n${good}`, expected: true },
      { text: `${good}${good}`, expected: true },
      { text: good.replace('weather', 'wether'), expected: false },
      { text: good.replace('weather', 'weather\\u0020'), expected: false },
      { text: good.replace('{"a":1}', '[1]'), expected: false },
      { text: good.replace('{"a":1}', '{"a":}'), expected: false },
      { text: good.replace('{"a":1}', '{a}'), expected: false },
      { text: good.replace('"arguments"', '"parameters"'), expected: false },
      { text: good.replace('\n{', '{'), expected: false },
      { text: `${good} and then`, expected: false },
      { text: Array.from({ length: LIMITS.toolCalls }, () => good).join('\n'), expected: true },
      { text: Array.from({ length: LIMITS.toolCalls + 1 }, () => good).join('\n'), expected: false },
    ])
      assert.equal(read([text]) !== undefined, expected, text.slice(0, 80));
  });

  it('take arguments that are none as an empty object, and broken ones as a string that nobody calls with', () => {
    assert.equal(encodeToolCall('x_y', ''), '<tool_call>\n{"name": "x_y", "arguments": {}}\n</tool_call>');
    assert.equal(encodeToolCall('x_y', ' {} '), '<tool_call>\n{"name": "x_y", "arguments": {}}\n</tool_call>');
    for (const broken of ['{"a":', '[1]', '"a"', 'Ulm']) assert.equal(read([encodeToolCall('x_y', broken)]), undefined);
  });
});
