import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { TextStream, TokenText } from '../../src/inference/text-stream.ts';

/** Tokens are bytes; unfinished characters decode to U+FFFD, as tokenizers do it. */
const decoder = new TextDecoder();
const byBytes = (tokenIds: readonly number[]): string => decoder.decode(Uint8Array.from(tokenIds));

describe('the text of tokens', () => {
  it('lets only whole characters leave, and loses none', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
        const tokens = new TokenText(byBytes);
        const pieces = [...new TextEncoder().encode(text)].map((byte) => tokens.push(byte));
        assert.ok(pieces.every((piece) => text.includes('\ufffd') || !piece.includes('\ufffd')));
        assert.equal(pieces.join('') + tokens.flush(), text.endsWith('\ufffd') ? text.slice(0, -1) : text);
      }),
    );
  });

  it('says while it holds, and drops a character that never became whole', () => {
    const tokens = new TokenText(byBytes);
    assert.equal(tokens.push(0x61), 'a');
    assert.equal(tokens.holds, false);
    assert.equal(tokens.push(0xf0), '');
    assert.equal(tokens.push(0x9f), '');
    assert.equal(tokens.holds, true);
    assert.equal(tokens.flush(), '');
    assert.equal(tokens.holds, false);
  });

  it('waits for at most eight tokens', () => {
    const tokens = new TokenText(byBytes);
    const pieces = Array.from({ length: 8 }, () => tokens.push(0xff));
    assert.deepEqual(
      pieces.map((piece) => piece.length),
      [0, 0, 0, 0, 0, 0, 0, 8],
    );
  });

  it('tells the tokens just before, for tokenizers whose text depends on them', () => {
    const seen: (readonly number[])[] = [];
    const tokens = new TokenText((tokenIds, before) => {
      seen.push(before);
      return String(tokenIds);
    });
    for (const token of [1, 2, 3]) tokens.push(token);
    assert.deepEqual(seen, [[], [1], [1, 2]]);
  });
});

describe('the stream of text that may leave', () => {
  const text = 'one two <END> three';

  it('ends before a stop string, however the text is cut', () => {
    for (let first = 0; first <= text.length; first += 1)
      for (let second = first; second <= text.length; second += 1) {
        const stream = new TextStream({ stop: ['<END>'] });
        const pieces = [text.slice(0, first), text.slice(first, second), text.slice(second)];
        const out = pieces.map((piece) => stream.push(piece)).join('');
        assert.equal(out + stream.flush(), 'one two ');
        assert.equal(stream.stopped, true);
        assert.equal(stream.holds, false);
        assert.equal(stream.push('more'), '');
      }
  });

  it('lets everything leave in the end when no stop string comes', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '<') })), (pieces) => {
        const stream = new TextStream({ stop: ['<ab<c'] });
        const out = pieces.map((piece) => stream.push(piece)).join('');
        assert.equal(stream.holds, out.length < pieces.join('').length);
        assert.equal(out + stream.flush(), pieces.join(''));
      }),
    );
  });

  it('does not send again what left before a resume, and finds a stop string on both sides of it', () => {
    const safe = 'one two ';
    for (let sent = 0; sent <= safe.length; sent += 1)
      for (let known = sent; known <= text.length; known += 1) {
        // Another engine sent `sent` characters and knew `known`; this one is fed those and then the rest.
        const stream = new TextStream({ stop: ['<END>'], sent: text.slice(0, sent) });
        const out = stream.push(text.slice(0, known)) + stream.push(text.slice(known)) + stream.flush();
        assert.equal(text.slice(0, sent) + out, safe, `${sent} sent, ${known} known`);
      }
  });

  it('drops what left although it would be held back here', () => {
    const stream = new TextStream({ stop: ['<END>'], sent: 'a <E' });
    assert.equal(stream.push('a <E'), '');
    assert.equal(stream.push('xtra'), 'xtra');
  });
});
