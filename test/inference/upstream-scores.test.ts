import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { decodeScoredToken, encodeScoredToken } from '../../src/inference/answer-lines.ts';
import { scoredTokens } from '../../src/inference/upstream-scores.ts';

describe('the probabilities that an upstream tells', () => {
  it('are read in the shape of chats, each token with its text', () => {
    const content = [
      { token: 'Hi', logprob: -0.5, bytes: [72, 105], top_logprobs: [{ token: 'Yo', logprob: -1, bytes: null }] },
      { token: '!', logprob: null, top_logprobs: [] },
    ];
    assert.deepEqual(scoredTokens({ logprobs: { content } }, 'Hi!', 5), [
      { text: 'Hi', bytes: [72, 105], logprob: -0.5, top: [{ bytes: [89, 111], logprob: -1 }] },
      { text: '!', bytes: [33], logprob: -9_999, top: [] },
    ]);
    const lagging = scoredTokens({ logprobs: { content } }, '¿', 0);
    assert.deepEqual(
      lagging?.map(({ text, top }) => [text, top]),
      [
        ['', []],
        ['¿', []],
      ],
    );
  });

  it('are read in the shape of completions, the likeliest alternative first', () => {
    const logprobs = { tokens: ['a'], token_logprobs: [-1], top_logprobs: [{ c: -3, b: -2, d: -4 }], text_offset: [0] };
    assert.deepEqual(
      scoredTokens({ logprobs }, 'a', 2)?.[0]?.top.map(({ logprob }) => logprob),
      [-2, -3],
    );
  });

  it('are missing where the server tells none', () => {
    for (const choice of [{}, { logprobs: null }, { logprobs: { content: null } }, { logprobs: { content: [] } }])
      assert.equal(scoredTokens(choice, 'text', 0), undefined, JSON.stringify(choice));
  });

  it('become lines that our own reader takes, whatever a server sends', () => {
    const token = fc.record({
      token: fc.jsonValue(),
      logprob: fc.jsonValue(),
      bytes: fc.oneof(fc.array(fc.nat(300)), fc.jsonValue()),
      top_logprobs: fc.jsonValue(),
    });
    const choice = fc.record({ logprobs: fc.oneof(fc.jsonValue(), fc.record({ content: fc.array(token) })) });
    fc.assert(
      fc.property(choice, fc.string({ unit: 'grapheme' }), (value, text) => {
        for (const scored of scoredTokens(value, text, 20) ?? [])
          assert.ok(decodeScoredToken(encodeScoredToken(scored).trimEnd()));
      }),
    );
  });
});
