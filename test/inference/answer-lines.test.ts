import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import {
  decodeScore,
  decodeScoredToken,
  decodeVector,
  encodeScore,
  encodeScoredToken,
  encodeVector,
  LineReader,
  scoredText,
} from '../../src/inference/answer-lines.ts';

const bytes = fc.array(fc.nat(255), { maxLength: 4 });
const logprob = fc.double({ noNaN: true, noDefaultInfinity: true });
const scored = fc.record({
  text: fc.string({ unit: 'grapheme' }),
  bytes,
  logprob,
  top: fc.array(fc.record({ bytes, logprob }), { maxLength: 20 }),
});

function cut(text: string): string {
  assert.ok(text.endsWith('\n') && text.indexOf('\n') === text.length - 1);
  return text.slice(0, -1);
}

describe('answer lines', () => {
  it('carry scored tokens, vectors and scores unchanged', () => {
    fc.assert(
      fc.property(scored, (token) => {
        // JSON has no -0.
        assert.deepEqual(decodeScoredToken(cut(encodeScoredToken(token))), JSON.parse(JSON.stringify(token)));
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }), fc.nat(), (v, n) => {
        const decoded = decodeVector(cut(encodeVector(Float32Array.from(v), n)));
        assert.deepEqual(decoded?.vector, Float32Array.from(v));
        assert.equal(decoded.tokens, n);
        assert.equal(Buffer.from(decoded.base64, 'base64').length, v.length * 4);
      }),
    );
    assert.deepEqual(decodeScore(cut(encodeScore(-1.5, 7))), { score: -1.5, tokens: 7 });
  });

  it('refuse what does not fit', () => {
    const bad = ['', '[]', '{}', 'null', '{"t":1,"b":[],"l":0,"a":[]}', '{"t":"","b":[256],"l":0,"a":[]}'];
    const more = ['{"t":"","b":[],"l":null,"a":[]}', '{"t":"","b":[],"l":0,"a":[{}]}', '{"t":"","b":[],"l":0}'];
    for (const text of [...bad, ...more]) assert.equal(decodeScoredToken(text), undefined, text);
    for (const v of ['""', '"AAA="', '"AAAA"', '"AAAAAAA"', '"AADAfw=="', '[1]', '"!AAAAA=="'])
      assert.equal(decodeVector(`{"v":${v},"n":1}`), undefined, v);
    assert.equal(decodeVector('{"v":"AACAPw==","n":-1}'), undefined);
    assert.deepEqual(decodeVector('{"v":"AACAPw==","n":1}')?.vector, Float32Array.from([1]));
    for (const text of ['{"s":"1","n":1}', '{"s":1}', '{"s":1e999,"n":1}']) assert.equal(decodeScore(text), undefined);
  });

  it('are found in text that was cut anywhere', () => {
    fc.assert(
      fc.property(fc.array(scored, { maxLength: 5 }), fc.array(fc.nat(2_000)), (tokens, cuts) => {
        const whole = tokens.map(encodeScoredToken).join('');
        const reader = new LineReader();
        const lines: string[] = [];
        const places = [0, ...cuts.filter((at) => at < whole.length).toSorted((a, b) => a - b), whole.length];
        for (const [index, at] of places.entries())
          lines.push(...(reader.push(whole.slice(places[index - 1] ?? 0, at)) ?? []));
        assert.equal(lines.join('\n'), whole.slice(0, -1));
        assert.ok(reader.isEmpty);
        assert.equal(scoredText(whole), tokens.map(({ text }) => text).join(''));
      }),
    );
    assert.equal(scoredText('nonsense\n'), undefined);
  });

  it('are never longer than a bound', () => {
    const reader = new LineReader();
    assert.deepEqual(reader.push('x'.repeat(131_072)), []);
    assert.equal(reader.push('x'), undefined);
  });
});
