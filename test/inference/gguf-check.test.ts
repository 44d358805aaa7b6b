import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { utf8 } from '../../src/bytes.ts';
import { checkGguf } from '../../src/inference/gguf-check.ts';
import { type GgufContent, type GgufValue, writeGguf } from '../../src/inference/gguf-writer.ts';

const TINY: GgufContent = {
  metadata: [
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.name', { type: 'string', value: 'tiny 🦢' }],
    ['llama.context_length', { type: 'u32', value: 512 }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: ['a', 'b', ''] }],
    ['tokenizer.ggml.scores', { type: 'f32s', value: [0, -1, 2] }],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: true }],
    ['tokenizer.chat_template', { type: 'string', value: '{{ x }}' }],
  ],
  tensors: [
    { name: 'token_embd.weight', dimensions: [4, 3], values: new Float32Array(12) },
    { name: 'output_norm.weight', dimensions: [4], values: new Float32Array(4).fill(1) },
  ],
};
const BYTES = writeGguf(TINY);
/** The header ends before the first tensor's data: 48 bytes, padded to 64, then 16 more. */
const DATA_BYTES = 64 + 32;

describe('the check of a GGUF header', () => {
  it('accepts what the writer wrote, with its facts', () => {
    assert.deepEqual(checkGguf(BYTES, BYTES.length), {
      type: 'accepted',
      facts: { architecture: 'llama', name: 'tiny 🦢', contextLength: 512, hasChatTemplate: true, tensorCount: 2 },
    });
  });

  it('accepts the header alone when the file is as long as its tensors need, and not a byte shorter', () => {
    const header = BYTES.subarray(0, BYTES.length - DATA_BYTES);
    const needed = BYTES.length - 16;
    assert.equal(checkGguf(header, needed).type, 'accepted');
    assert.match(reason(checkGguf(header, needed - 1)), /cut off/);
  });

  it('asks for more exactly until the header is there', () => {
    const end = BYTES.findLastIndex((byte, index) => byte !== 0 && index < BYTES.length - DATA_BYTES);
    for (let length = 0; length < end; length += 1)
      assert.equal(checkGguf(BYTES.subarray(0, length), BYTES.length).type, 'needs-more', `${length}`);
  });

  it('rejects a file that ends inside its header, wherever that is', () => {
    for (let length = 0; length < BYTES.length - DATA_BYTES - 32; length += 1) {
      const check = checkGguf(BYTES.subarray(0, length), length);
      assert.equal(check.type, 'rejected', `${length}`);
    }
  });

  it('rejects hostile files with a reason, within milliseconds', () => {
    const huge = 2 ** 40;
    const table: readonly (readonly [string, Uint8Array, RegExp])[] = [
      ['empty', new Uint8Array(), /ends inside/],
      ['other magic', utf8('PK\u0003\u0004 a zip file that is long enough'), /no GGUF/],
      ['24 bytes that hang a parser', utf8('GGUFxxxxxxxxxxxxxxxxxxxx'), /version/],
      ['version 1', head(1, 0, 0), /version 1/],
      ['version 4', head(4, 0, 0), /version 4/],
      ['big-endian', Uint8Array.of(0x47, 0x47, 0x55, 0x46, 0, 0, 0, 3, ...new Uint8Array(16)), /version/],
      ['tensor count', head(3, huge, 0), /tensors/],
      ['key count', head(3, 0, huge), /keys/],
      ['more keys than bytes', head(3, 0, 4_000), /more than the file can hold/],
      ['number beyond 2^53', head(3, 2 ** 60, 0), /beyond/],
      ['key length', join(head(3, 0, 1), uint64(huge), new Uint8Array(64)), /string of/],
      ['no keys', head(3, 0, 0), /architecture/],
      ['string length', withValue(8, uint64(huge)), /string of/],
      ['array length', withValue(9, uint32(4), uint64(2 ** 36)), /more than the file can hold/],
      ['array of strings', withValue(9, uint32(8), uint64(2 ** 36)), /more than the file can hold/],
      ['nested array', withValue(9, uint32(9), uint64(1)), /nested/],
      ['unknown type', withValue(13), /unknown type 13/],
      ['key twice', twice(), /twice/],
      ['dimensions', withTensor({ dimensions: [1, 1, 1, 1, 1] }), /5 dimensions/],
      ['no dimension', withTensor({ dimensions: [] }), /0 dimensions/],
      ['huge dimensions', withTensor({ dimensions: [2 ** 31, 2 ** 31] }), /impossible shape/],
      ['large dimensions', withTensor({ dimensions: [2 ** 31] }), /cut off/],
      ['zero dimension', withTensor({ dimensions: [0] }), /impossible shape/],
      ['tensor type', withTensor({ type: 99 }), /unknown type/],
      ['half a block', withTensor({ type: 8, dimensions: [31] }), /impossible shape/],
      ['offset past the end', withTensor({ offset: 2 ** 32 }), /cut off/],
      ['offset not aligned', withTensor({ offset: 1 }), /aligned/],
      ['split', withKey('split.count', { type: 'u32', value: 3 }), /3 parts/],
      ['alignment', withKey('general.alignment', { type: 'u32', value: 33 }), /alignment/],
      ['alignment of no number', withKey('general.alignment', { type: 'string', value: '32' }), /alignment/],
    ];
    for (const [name, bytes, expected] of table) {
      const started = process.threadCpuUsage();
      assert.match(reason(checkGguf(bytes, bytes.length)), expected, name);
      // Of this thread alone: on a busy machine the clock on the wall measures the others.
      const { user, system } = process.threadCpuUsage(started);
      assert.ok(user + system < 50_000, `${name}: ${user + system} us`);
    }
  });

  it('allows every quantised type its whole blocks', () => {
    for (const [type, row] of [
      [0, 1],
      [2, 32],
      [8, 32],
      [12, 256],
      [14, 256],
      [39, 32],
    ] as const)
      assert.equal(checkGguf(withTensor({ type, dimensions: [row] }), 1_000).type, 'accepted', `${type}`);
  });

  it('never throws, whatever bytes are changed', () => {
    const header = BYTES.subarray(0, BYTES.length - DATA_BYTES);
    const change = fc.tuple(fc.nat(header.length - 1), fc.integer({ min: 0, max: 255 }));
    let rejected = 0;
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = new Uint8Array(header);
        for (const [index, byte] of changes) bytes[index] = byte;
        rejected += checkGguf(bytes, BYTES.length).type === 'accepted' ? 0 : 1;
      }),
      { numRuns: 2_000 },
    );
    assert.ok(rejected > 100);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.equal(checkGguf(join(utf8('GGUF'), uint32(3), bytes), 1_000_000).type === 'accepted', false);
      }),
    );
  });
});

function reason(check: ReturnType<typeof checkGguf>): string {
  return check.type === 'rejected' ? check.reason : check.type;
}

function head(version: number, tensors: number, keys: number): Uint8Array {
  return join(utf8('GGUF'), uint32(version), uint64(tensors), uint64(keys));
}

function withValue(type: number, ...rest: Uint8Array[]): Uint8Array {
  return join(head(3, 0, 1), uint64(1), utf8('k'), uint32(type), ...rest, new Uint8Array(64));
}

function withKey(key: string, value: GgufValue): Uint8Array {
  return writeGguf({
    metadata: [
      ['general.architecture', { type: 'string', value: 'llama' }],
      [key, value],
    ],
    tensors: [],
  });
}

function twice(): Uint8Array {
  return withKey('general.architecture', { type: 'string', value: 'llama' });
}

function withTensor(more: { dimensions?: readonly number[]; type?: number; offset?: number }): Uint8Array {
  const { dimensions = [4], type = 0, offset = 0 } = more;
  const key = join(uint64(20), utf8('general.architecture'), uint32(8), uint64(5), utf8('llama'));
  const tensor = join(
    uint64(1),
    utf8('t'),
    uint32(dimensions.length),
    ...dimensions.map(uint64),
    uint32(type),
    uint64(offset),
  );
  return join(head(3, 1, 1), key, tensor, new Uint8Array(300));
}

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function uint64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
