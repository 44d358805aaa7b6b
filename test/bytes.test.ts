import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  type Canonical,
  concat,
  decodeCanonical,
  encodeCanonical,
  equalBytes,
  fromHex,
  fromUtf8,
  hash64,
  hashHex,
  mixHashes,
  toHex,
  utf8,
  utf8Length,
} from '../src/bytes.ts';

/** What canonical CBOR may hold, three levels deep. */
const canonical: fc.Arbitrary<Canonical> = fc.letrec<{ value: Canonical }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;

describe('hex', () => {
  it('comes back as the bytes it was made of', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.deepEqual(fromHex(toHex(bytes)), bytes)));
  });

  for (const { text, expected } of [
    { text: '', expected: [] },
    { text: '00ff', expected: [0, 255] },
    { text: 'AbCd', expected: [171, 205] },
    { text: 'abc', expected: undefined },
    { text: 'zz', expected: undefined },
    { text: '0x', expected: undefined },
    { text: '00\n', expected: undefined },
  ]) {
    it(`${JSON.stringify(text)} is ${expected === undefined ? 'refused' : 'read'}`, () => {
      assert.deepEqual(fromHex(text), expected === undefined ? undefined : Uint8Array.from(expected));
    });
  }
});

describe('UTF-8', () => {
  it('is as long as is said without making it, wherever a long text is cut', () => {
    for (const unit of ['a', 'ä', '€', '🦢', '\ud83e', '\udda2'])
      for (let before = 16_380; before < 16_388; before += 1) {
        const text = 'x'.repeat(before) + unit.repeat(3) + 'y'.repeat(40_000) + unit;
        assert.equal(utf8Length(text), utf8(text).length);
      }
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => utf8Length(text) === utf8(text).length));
  });

  it('comes back as the text it was made of, a byte order mark included', () => {
    const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed());
    fc.assert(fc.property(text, (value) => assert.equal(fromUtf8(utf8(value)), value)));
    assert.equal(fromUtf8(utf8('\uFEFFmark')), '\uFEFFmark');
  });

  for (const { what, bytes } of [
    { what: 'a character cut short', bytes: [0xe2, 0x82] },
    { what: 'a continuation without a start', bytes: [0x80] },
    { what: 'an overlong form', bytes: [0xc0, 0xaf] },
    { what: 'a surrogate', bytes: [0xed, 0xa0, 0x80] },
    { what: 'a code point past the last', bytes: [0xf4, 0x90, 0x80, 0x80] },
  ]) {
    it(`refuses ${what}`, () => assert.equal(fromUtf8(Uint8Array.from(bytes)), undefined));
  }
});

describe('joined and compared bytes', () => {
  it('hold the parts in order', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 6 }), (parts) =>
        assert.deepEqual(
          [...concat(parts)],
          parts.flatMap((part) => [...part]),
        ),
      ),
    );
  });

  it('are equal only in length and every byte', () => {
    for (const { left, right, expected } of [
      { left: [], right: [], expected: true },
      { left: [1, 2], right: [1, 2], expected: true },
      { left: [1, 2], right: [1, 3], expected: false },
      { left: [1, 2], right: [1, 2, 0], expected: false },
      { left: [1, 2, 0], right: [1, 2], expected: false },
    ])
      assert.equal(equalBytes(Uint8Array.from(left), Uint8Array.from(right)), expected);
  });
});

describe('canonical CBOR', () => {
  it('comes back as the value it was made of', () => {
    fc.assert(fc.property(canonical, (value) => assert.deepEqual(decodeCanonical(encodeCanonical(value)), value)));
  });

  it('has one encoding for one value, whatever the order of its keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), canonical, { noNullPrototype: true }), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).toReversed());
        assert.deepEqual(encodeCanonical(reversed), encodeCanonical(value));
      }),
    );
  });

  it('sorts keys by their bytes, and writes integers as short as they go', () => {
    const bytes = encodeCanonical({ b: 1, a: [true, null, 'x', Uint8Array.of(1, 2)], aa: -1 });
    assert.equal(toHex(bytes), 'a3616184f5f6617842010261620162616120');
  });

  for (const { what, hex } of [
    { what: 'nothing', hex: '' },
    { what: 'a value cut short', hex: 'a16161' },
    { what: 'bytes after the value', hex: '0100' },
    { what: 'an integer longer than needed', hex: '1801' },
    { what: 'a length longer than needed', hex: '780161' },
    { what: 'an indefinite length', hex: '9f01ff' },
    { what: 'keys out of order', hex: 'a2616201616101' },
    { what: 'a key twice', hex: 'a2616101616102' },
    { what: 'a whole number as a float', hex: 'f93c00' },
    { what: 'undefined', hex: 'f7' },
    { what: 'a tag', hex: 'c101' },
    { what: 'text that is not UTF-8', hex: '6180' },
    { what: 'a list that claims 2^32 entries', hex: '9b0000000100000000' },
  ]) {
    it(`refuses ${what}`, () => assert.equal(decodeCanonical(fromHex(hex) ?? assert.fail()), undefined));
  }

  it('answers any bytes with a value that encodes to them, or with nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const value = decodeCanonical(bytes);
        if (value === undefined) return;
        // What came out of the decoder is canonical by its contract.
        assert.deepEqual(encodeCanonical(value as Canonical), bytes);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the stable hash', () => {
  /** Golden: these bits decide placement on every node. They change only with PROTOCOL_VERSION. */
  const golden: readonly { readonly text: string; readonly hex: string }[] = [
    { text: '', hex: '72750cd251fe0777' },
    { text: 'a', hex: '304e42ccd7c80ce0' },
    { text: 'abc', hex: '60ef8624cde35b52' },
    { text: 'abcd', hex: 'a9e3cd05bd0d816a' },
    { text: 'abcde', hex: '03875468a65bbd03' },
    { text: 'skein', hex: 'cdd52c59f665f78b' },
    { text: `12D3KooW${'a'.repeat(44)}`, hex: '0b4a80e4924a50b5' },
  ];
  for (const { text, hex } of golden)
    it(`of ${JSON.stringify(text)} is ${hex}`, () => assert.equal(hashHex(hash64(utf8(text))), hex));

  it('of a pair depends on the order of the two', () => {
    const [a, b] = [hash64(utf8('a')), hash64(utf8('b'))];
    assert.deepEqual([mixHashes(a, b), mixHashes(b, a)], [422560462, 3179241772]);
  });

  it('tells zeros at the end apart', () => {
    const hashes = [0, 1, 2, 3, 4, 5, 8].map((length) => hashHex(hash64(new Uint8Array(length))));
    assert.equal(new Set(hashes).size, hashes.length);
  });

  it('has no equal values among 200,000 keys that differ little', () => {
    const seen = new Set<string>();
    for (let index = 0; index < 200_000; index += 1) seen.add(hashHex(hash64(utf8(`node-${index}`))));
    assert.equal(seen.size, 200_000);
  });

  it('spreads keys over both halves and their pairs as evenly as chance does', () => {
    const [bins, keys] = [256, 51_200];
    const node = hash64(utf8('node'));
    const pick: readonly ((index: number) => number)[] = [
      (index) => hash64(utf8(`${index}`)).high,
      (index) => hash64(utf8(`${index}`)).low,
      (index) => mixHashes(hash64(utf8(`${index}`)), node),
    ];
    for (const value of pick) {
      for (const shift of [0, 24]) {
        const counts = new Uint32Array(bins);
        for (let index = 0; index < keys; index += 1) {
          const bin = (value(index) >>> shift) & 0xff;
          counts[bin] = (counts[bin] ?? 0) + 1;
        }
        const expected = keys / bins;
        const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
        // 255 degrees of freedom: 255 on average, above 355 once in 40,000 for a perfect hash.
        assert.ok(chiSquare > 170 && chiSquare < 355, `chi-square ${chiSquare} at bit ${shift}`);
      }
    }
  });

  it('changes half of its bits with any one bit of the key', () => {
    const base = utf8('12D3KooWavalanche');
    const before = hash64(base);
    for (let bit = 0; bit < base.length * 8; bit += 1) {
      const key = base.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      const after = hash64(key);
      const changed = countBits(before.high ^ after.high) + countBits(before.low ^ after.low);
      assert.ok(changed >= 12 && changed <= 52, `bit ${bit} changes ${changed} of 64`);
    }
  });
});

function countBits(word: number): number {
  return (word >>> 0).toString(2).replaceAll('0', '').length;
}
