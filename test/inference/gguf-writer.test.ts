import assert from 'node:assert/strict';
import { toHex } from '../../src/bytes.ts';
import { writeGguf } from '../../src/inference/gguf-writer.ts';

describe('the GGUF writer', () => {
  it('writes header, keys, tensors and padding as the format says', () => {
    const bytes = writeGguf({
      metadata: [
        ['a', { type: 'u32', value: 258 }],
        ['b', { type: 'i32s', value: [-1] }],
      ],
      tensors: [{ name: 't', dimensions: [2, 1], values: Float32Array.of(1, -2) }],
    });
    const header = [
      ['magic and version', '47475546', '03000000'],
      ['counts', '0100000000000000', '0200000000000000'],
      ['a', '0100000000000000', '61', '04000000', '02010000'],
      ['b', '0100000000000000', '62', '09000000', '05000000', '0100000000000000', 'ffffffff'],
      ['t', '0100000000000000', '74', '02000000', '0200000000000000', '0100000000000000'],
      ['type and offset', '00000000', '0000000000000000'],
    ].flatMap(([, ...fields]) => fields);
    const head = header.join('');
    const padding = '00'.repeat((32 - ((head.length / 2) % 32)) % 32);
    assert.equal(toHex(bytes), `${head}${padding}0000803f000000c0${'00'.repeat(24)}`);
  });

  it('begins every tensor at a multiple of 32 bytes', () => {
    const tensors = [1, 7, 8, 9].map((length) => ({
      name: `t${length}`,
      dimensions: [length],
      values: new Float32Array(length).fill(length),
    }));
    const bytes = writeGguf({ metadata: [], tensors });
    const view = new DataView(bytes.buffer);
    assert.equal(bytes.length % 32, 0);
    const starts = [0, 32, 64, 96].map((offset) => bytes.length - 32 * 5 + offset);
    assert.deepEqual(
      starts.map((start) => view.getFloat32(start, true)),
      [1, 7, 8, 9],
    );
  });

  it('writes equal bytes for equal content', () => {
    const content = { metadata: [['k', { type: 'f32', value: 0.1 }]], tensors: [] } as const;
    assert.deepEqual(writeGguf(content), writeGguf(content));
  });
});
