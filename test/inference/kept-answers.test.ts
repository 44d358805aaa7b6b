import assert from 'node:assert/strict';
import { KEPT, KeptAnswers } from '../../src/inference/kept-answers.ts';
import type { TokensAnswer } from '../../src/inference/messages.ts';
import { INFERENCE } from '../../src/params.ts';

const WINDOW = INFERENCE.creditTokens;

function answer(position: number, tokens: number, text = 'x'.repeat(tokens)): TokensAnswer {
  return { type: 'tokens', position, tokens, tokenIds: [], text };
}

describe('the tokens that may not have arrived', () => {
  it('are all that was sent, as long as no credit shows what arrived', () => {
    const kept = new KeptAnswers();
    const answers = [answer(0, 3), answer(3, 1), answer(4, 0, 'tail'), answer(4, 2)];
    for (const one of answers) kept.push(one);
    for (const { cursor, reached } of [
      { cursor: { answers: 0, tokens: 0 }, reached: answers },
      { cursor: { answers: 2, tokens: 4 }, reached: answers.slice(2) },
      { cursor: { answers: 3, tokens: 4 }, reached: answers.slice(3) },
      { cursor: { answers: 4, tokens: 6 }, reached: [] },
    ]) {
      assert.equal(kept.reaches(cursor), true);
      assert.deepEqual(kept.from(cursor), reached);
    }
  });

  it('are not given to an asker that counts otherwise', () => {
    const kept = new KeptAnswers();
    kept.push(answer(0, 3));
    for (const cursor of [
      { answers: 0, tokens: 1 },
      { answers: 1, tokens: 2 },
      { answers: 2, tokens: 3 },
    ])
      assert.equal(kept.reaches(cursor), false, JSON.stringify(cursor));
  });

  it('are dropped when more was granted than a window beyond them', () => {
    for (const { granted, kept: expected } of [
      { granted: WINDOW + 2, kept: true },
      { granted: WINDOW + 3, kept: false },
    ]) {
      const kept = new KeptAnswers();
      kept.push(answer(0, 3));
      kept.push(answer(3, 5));
      kept.granted(granted);
      assert.equal(kept.reaches({ answers: 0, tokens: 0 }), expected, `${granted}`);
      assert.equal(kept.reaches({ answers: 1, tokens: 3 }), true);
    }
  });

  it('keep text without a token until the token behind it arrived', () => {
    const kept = new KeptAnswers();
    kept.push(answer(0, 1));
    kept.push(answer(1, 0, 'held back'));
    kept.push(answer(1, 1));
    kept.granted(WINDOW + 1);
    assert.equal(kept.reaches({ answers: 1, tokens: 1 }), true);
    kept.granted(WINDOW + 2);
    assert.equal(kept.reaches({ answers: 1, tokens: 1 }), false);
    assert.equal(kept.reaches({ answers: 3, tokens: 2 }), true);
  });

  it('never take more memory than their bounds, whatever an engine sends', () => {
    const long = new KeptAnswers();
    const half = 'x'.repeat(KEPT.charactersMax / 2);
    for (let index = 0; index < 5; index += 1) long.push(answer(index, 1, half));
    assert.equal(long.characters, KEPT.charactersMax);
    assert.equal(long.reaches({ answers: 3, tokens: 3 }), true);
    assert.equal(long.reaches({ answers: 2, tokens: 2 }), false);
    const many = new KeptAnswers();
    for (let index = 0; index <= KEPT.answersMax; index += 1) many.push(answer(0, 0, 'x'));
    assert.equal(many.characters, KEPT.answersMax);
    assert.equal(many.reaches({ answers: 0, tokens: 0 }), false);
    assert.equal(many.reaches({ answers: 1, tokens: 0 }), true);
  });
});
