import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type SseEvent, SseParser } from '../../src/inference/sse.ts';
import { utf8 } from '../../src/bytes.ts';

describe('the event stream parser', () => {
  const cases: readonly { name: string; text: string; expected: readonly SseEvent[] }[] = [
    { name: 'one event', text: 'data: a\n\n', expected: [{ event: '', data: 'a' }] },
    { name: 'no space after the colon', text: 'data:a\n\n', expected: [{ event: '', data: 'a' }] },
    { name: 'only the first space goes', text: 'data:  a\n\n', expected: [{ event: '', data: ' a' }] },
    { name: 'several data lines', text: 'data: a\ndata: b\n\n', expected: [{ event: '', data: 'a\nb' }] },
    { name: 'CR LF', text: 'data: a\r\n\r\ndata: b\r\n\r\n', expected: both('a', 'b') },
    { name: 'CR', text: 'data: a\r\rdata: b\r\r', expected: both('a', 'b') },
    { name: 'all line ends mixed', text: 'data: a\r\n\ndata: b\r\r\n', expected: both('a', 'b') },
    { name: 'comments and blank lines', text: ': hello\n\n\n:\ndata: a\n\n', expected: [{ event: '', data: 'a' }] },
    { name: 'a named event', text: 'event: error\ndata: a\n\n', expected: [{ event: 'error', data: 'a' }] },
    {
      name: 'a name does not outlive its event',
      text: 'event: x\n\ndata: a\n\n',
      expected: [{ event: '', data: 'a' }],
    },
    { name: 'unknown fields', text: 'id: 1\nretry: 5\nfoo\ndata: a\n\n', expected: [{ event: '', data: 'a' }] },
    { name: 'a field without a colon', text: 'data\n\n', expected: [{ event: '', data: '' }] },
    { name: 'a byte order mark', text: '\u{feff}data: a\n\n', expected: [{ event: '', data: 'a' }] },
    { name: 'more than one byte a character', text: 'data: grüße 🪿\n\n', expected: [{ event: '', data: 'grüße 🪿' }] },
    { name: 'no blank line at the end', text: 'data: a\n\ndata: [DONE]', expected: both('a', '[DONE]') },
  ];

  for (const { name, text, expected } of cases)
    it(`understands ${name}, wherever the bytes are cut`, () => {
      const bytes = utf8(text);
      for (let first = 0; first <= bytes.length; first += 1)
        for (let second = first; second <= bytes.length; second += 1)
          assert.deepEqual(
            parse([bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)]),
            expected,
            `cut at ${first} and ${second}`,
          );
      assert.deepEqual(parse(Array.from(bytes, (byte) => Uint8Array.of(byte))), expected, 'byte by byte');
    });

  it('gives the same events for any bytes, cut anywhere', () => {
    const byte = fc.oneof(fc.constantFrom(...utf8('data: \r\n\n:xé')), fc.nat(255));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 60 }), (numbers) => {
        const bytes = Uint8Array.from(numbers);
        assert.deepEqual(parse(Array.from(bytes, (value) => Uint8Array.of(value))), parse([bytes]));
      }),
    );
  });

  it('replaces what is not UTF-8', () => {
    assert.deepEqual(parse([Uint8Array.from([...utf8('data: a'), 0xff, 0xc3, ...utf8('b\n\n')])]), [
      { event: '', data: 'a\u{fffd}\u{fffd}b' },
    ]);
  });

  it('refuses an event above the bound, and nothing at it', () => {
    for (const { data, expected } of [
      { data: 'x'.repeat(15), expected: 'events' },
      { data: 'x'.repeat(16), expected: 'too-long' },
    ])
      assert.equal(new SseParser(16).push(utf8(`data: ${data}\n\n`)).type, expected);
  });

  it('refuses a line that never ends, and stays refused', () => {
    const parser = new SseParser(16);
    const results = Array.from({ length: 30 }, () => parser.push(utf8('x')).type);
    assert.equal(results.indexOf('too-long'), 16);
    assert.equal(parser.push(utf8('\n\ndata: a\n\n')).type, 'too-long');
    assert.equal(parser.end().type, 'too-long');
  });

  it('refuses many short lines of one event', () => {
    assert.equal(new SseParser(16).push(utf8('data: x\n'.repeat(9))).type, 'too-long');
  });
});

function both(first: string, second: string): readonly SseEvent[] {
  return [
    { event: '', data: first },
    { event: '', data: second },
  ];
}

function parse(chunks: readonly Uint8Array[]): readonly SseEvent[] {
  const parser = new SseParser(1_000);
  const results = [...chunks.map((chunk) => parser.push(chunk)), parser.end()];
  return results.flatMap((result) => (result.type === 'events' ? result.events : assert.fail('too long')));
}
