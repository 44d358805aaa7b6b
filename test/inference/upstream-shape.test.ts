import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ChunkShape, deltaTextOf } from '../../src/inference/upstream-shape.ts';

function chunk(content: string, more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    id: 'chatcmpl-1',
    ...more,
    choices: [{ index: 0, delta: { content }, finish_reason: null }],
  });
}

/** Plain ones, and all that JSON writes in another way. */
const UNITS = ['a', 'goose', ' ', ':', '{', '}', '\u00e9', '\u{1fabf}', '"', '\\', '\n', '\u0000', '\u007f', '\ud800'];

/** Reads as the reply does: by the shape where it can, else by parsing. */
function read(shape: ChunkShape, data: string): { readonly text: string | undefined; readonly parsed: boolean } {
  const known = shape.textOf(data);
  if (known !== undefined) return { text: known, parsed: false };
  const text = deltaTextOf(JSON.parse(data));
  if (text !== undefined && text !== '') shape.learn(data, text);
  return { text, parsed: true };
}

describe('the shape of the chunks of one answer', () => {
  it('is learnt from the first, and the next are not parsed', () => {
    const shape = new ChunkShape();
    assert.deepEqual(read(shape, chunk('goose ')), { text: 'goose ', parsed: true });
    assert.deepEqual(read(shape, chunk('wing ')), { text: 'wing ', parsed: false });
  });

  it('leaves to the parser what is no plain text, or has another shape', () => {
    for (const data of [
      chunk('say "goose"'),
      chunk('two\nlines'),
      chunk('a\\b'),
      chunk(''),
      chunk('x', { created: 7 }),
    ]) {
      const shape = new ChunkShape();
      read(shape, chunk('goose '));
      assert.equal(read(shape, data).parsed, true, data);
    }
  });

  it('never takes the end of an answer, an error or a usage for a token', () => {
    const shape = new ChunkShape();
    read(shape, chunk('goose '));
    for (const data of [
      chunk('goose ').replace('"finish_reason":null', '"finish_reason":"stop"'),
      `${chunk('goose ').slice(0, -1)},"usage":{"prompt_tokens":1}}`,
      '{"error":{"message":"no"}}',
    ])
      assert.equal(shape.textOf(data), undefined, data);
  });

  it('is not learnt where the same characters stand elsewhere too', () => {
    for (const content of ['content', 'chatcmpl-1', 'id']) {
      const shape = new ChunkShape();
      read(shape, chunk(content));
      assert.equal(shape.textOf(chunk('wing ')), undefined, content);
    }
    const hidden = new ChunkShape();
    // The text is "id", written with an escape: the only plain "id" is the name of a field.
    read(hidden, chunk('goose').replace('goose', '\\u0069d'));
    assert.equal(hidden.textOf(chunk('wing ').replace('"id"', '"wing "')), undefined);
  });

  it('is given up for a server whose chunks all differ', () => {
    const shape = new ChunkShape();
    for (let count = 0; count < 20; count += 1) assert.equal(read(shape, chunk('wing ', { count })).parsed, true);
    read(shape, chunk('goose '));
    assert.equal(read(shape, chunk('wing ')).parsed, true);
  });

  it('reads what a parser reads', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom(...UNITS), maxLength: 8 }), { maxLength: 5 }), (texts) => {
        const shape = new ChunkShape();
        for (const text of texts) assert.equal(read(shape, chunk(text)).text, text);
      }),
    );
  });
});
