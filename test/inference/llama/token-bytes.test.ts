import assert from 'node:assert/strict';
import { tokenBytes } from '../../../src/inference/llama/token-bytes.ts';

describe('the bytes of a token', () => {
  it('are those that its vocabulary spells', () => {
    for (const { vocabulary, spelling, text, expected } of [
      { vocabulary: 'sentencepiece', spelling: '\u2581goose', text: 'goose', expected: [...Buffer.from(' goose')] },
      { vocabulary: 'sentencepiece', spelling: '<0xE2>', text: '\ufffd', expected: [0xe2] },
      { vocabulary: 'gpt-2', spelling: '\u0120goose', text: ' goose', expected: [...Buffer.from(' goose')] },
      { vocabulary: 'gpt-2', spelling: '\u00e2\u0122', text: '\ufffd', expected: [0xe2, 0x80] },
      { vocabulary: 'gpt-2', spelling: '\u010a', text: '\n', expected: [0x0a] },
      { vocabulary: 'gpt-2', spelling: 'a b', text: 'a b', expected: [...Buffer.from('a b')] },
      { vocabulary: 'other', spelling: '\u2581goose', text: 'goose', expected: [...Buffer.from('goose')] },
    ] as const)
      assert.deepEqual(tokenBytes({ vocabulary, spelling, text }), expected, spelling);
  });

  it('are all 256 for the letters of GPT-2', () => {
    const letters = Array.from({ length: 0x200 }, (_, code) => String.fromCodePoint(code));
    const found = letters.map((spelling) => tokenBytes({ vocabulary: 'gpt-2', spelling, text: '' }));
    const bytes = new Set(found.filter((one) => one.length === 1).map(([byte]) => byte));
    assert.equal(bytes.size, 256);
  });
});
