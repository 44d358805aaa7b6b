import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  answerTokensOf,
  filling,
  markOf,
  prefixHashes,
  readTokens,
  tokensOf,
  tokensText,
  turnText,
} from '../../../simulations/work/numbered-text.ts';
import type { ChatMessage } from '../../../src/inference/engine.ts';

const user = (content: string): ChatMessage => ({ role: 'user', content });
const markOfMessages = (...messages: ChatMessage[]): string => markOf(prefixHashes(messages));

const text = (position: number, tokens: number, mark = 'm'): string => tokensText(mark, position, tokens);
const positions = (pieces: readonly { position: number; tokens: number }[]): number[] =>
  pieces.flatMap(({ position, tokens }) => Array.from({ length: tokens }, (_, index) => position + index));

describe('numbered text', () => {
  it('says in a prompt how long it is and how long an answer it wants', () => {
    const content = turnText({ name: '7.12', promptTokens: 321, answerTokens: 45, bytes: 1_300 });
    assert.equal(content.length, 1_300);
    assert.equal(tokensOf(user(content)), 321);
    assert.equal(answerTokensOf([user('what?'), user(content)]), 45);
  });

  it('takes other prompts for usual text', () => {
    for (const { content, tokens } of [
      { content: '', tokens: 1 },
      { content: 'abcd', tokens: 2 },
      { content: 'abcde', tokens: 3 },
      { content: '#a tokens=x answer=1 ', tokens: 7 },
    ])
      assert.equal(tokensOf(user(content)), tokens);
    assert.equal(answerTokensOf([user('what?')]), 64);
  });

  it('fills up to any size', () => {
    for (const bytes of [-1, 0, 1, 131_075, 131_076, 400_000]) assert.equal(filling(bytes).length, Math.max(0, bytes));
  });

  it('reads back any positions that were written', () => {
    const piece = fc.record({ position: fc.nat(10_000), tokens: fc.integer({ min: 1, max: 20 }) });
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 5 }), piece, (pieces, expected) => {
        const written = pieces.map(({ position, tokens }) => text(position, tokens)).join('');
        const read = readTokens(written, 'm', expected);
        assert.deepEqual(positions(read), positions(pieces));
      }),
    );
  });

  it('tells a gap, a repeat, a stranger and nonsense', () => {
    for (const { what, given, pieces } of [
      { what: 'nothing', given: '', pieces: [] },
      { what: 'as expected', given: text(5, 3), pieces: [{ position: 5, tokens: 3 }] },
      {
        what: 'gap',
        given: text(5, 2) + text(8, 1),
        pieces: [
          { position: 5, tokens: 2 },
          { position: 8, tokens: 1 },
        ],
      },
      {
        what: 'repeat',
        given: text(5, 2) + text(6, 2),
        pieces: [
          { position: 5, tokens: 2 },
          { position: 6, tokens: 2 },
        ],
      },
      { what: 'stranger', given: text(5, 3, 'n'), pieces: [{ position: -1, tokens: 3 }] },
      {
        what: 'half a token',
        given: text(5, 3).slice(0, -2),
        pieces: [
          { position: 5, tokens: 2 },
          { position: -1, tokens: 1 },
        ],
      },
      { what: 'nonsense', given: 'honk', pieces: [{ position: -1, tokens: 1 }] },
    ])
      assert.deepEqual(readTokens(given, 'm', { position: 5, tokens: 3 }), pieces, what);
  });

  it('marks the answers to different messages differently, and to equal ones equally', () => {
    const messages = [
      [user('a')],
      [user('b')],
      [user('a'), user('')],
      [user('a'), user('a')],
      [user('aa')],
      [{ ...user('a'), role: 'assistant' as const }],
      [user(turnText({ name: '1.1', promptTokens: 99, answerTokens: 9, bytes: 400 }))],
      [user(turnText({ name: '1.2', promptTokens: 99, answerTokens: 9, bytes: 400 }))],
    ];
    const marks = messages.map((list) => markOfMessages(...list));
    assert.equal(new Set(marks).size, messages.length);
    assert.deepEqual(
      messages.map((list) => markOfMessages(...list.map((message) => ({ ...message })))),
      marks,
    );
  });

  it('hashes a beginning the same whatever follows', () => {
    const [first, second] = prefixHashes([user('a'), user('b')]);
    assert.deepEqual(prefixHashes([user('a'), user('b'), user('c')]).slice(0, 2), [first, second]);
  });
});
