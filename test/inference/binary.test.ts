import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ByteReader, ByteWriter } from '../../src/inference/binary.ts';

describe('varints and text', () => {
  it('come out as they went in', () => {
    const numbers = fc.array(fc.oneof(fc.nat(300), fc.maxSafeNat()), { maxLength: 20 });
    const texts = fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: 'grapheme', maxLength: 2_000 }));
    const writer = new ByteWriter();
    fc.assert(
      fc.property(numbers, texts, (values, text) => {
        for (const value of values) writer.varint(value);
        const reader = new ByteReader(writer.text(text).take());
        assert.deepEqual(
          values.map(() => reader.varint()),
          values,
        );
        assert.equal(reader.restAsText(), text.toWellFormed());
        assert.ok(reader.finished);
      }),
    );
  });

  it('take the bytes that everybody else writes', () => {
    const table: { value: number; bytes: number[] }[] = [
      { value: 0, bytes: [0] },
      { value: 127, bytes: [0x7f] },
      { value: 128, bytes: [0x80, 0x01] },
      { value: 2 ** 31, bytes: [0x80, 0x80, 0x80, 0x80, 0x08] },
      { value: Number.MAX_SAFE_INTEGER, bytes: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f] },
    ];
    for (const { value, bytes } of table) {
      assert.deepEqual(Array.from(new ByteWriter().varint(value).take()), bytes);
      assert.equal(new ByteReader(Uint8Array.from(bytes)).varint(), value);
    }
  });

  it('are not accepted cut off, too large, left over or malformed', () => {
    for (const bytes of [[], [0x80], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]]) {
      const reader = new ByteReader(Uint8Array.from(bytes));
      assert.equal(reader.varint(), 0);
      assert.equal(reader.ok, false);
    }
    const left = new ByteReader(Uint8Array.of(1, 2));
    left.varint();
    assert.ok(left.ok && !left.finished);
    for (const bytes of [[0xff], [0x61, 0xc3], Array.from({ length: 40 }, () => 0xe2)]) {
      const text = new ByteReader(Uint8Array.from(bytes));
      assert.equal(text.restAsText(), '');
      assert.equal(text.finished, false);
    }
  });
});
