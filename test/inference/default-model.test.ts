import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  DEFAULT_MODEL_CONTEXT_TOKENS,
  DEFAULT_MODEL_TOKENS,
  defaultModelNext,
  defaultModelPieces,
  defaultModelText,
  defaultModelTokenIds,
  defaultModelTokens,
  writeDefaultModel,
} from '../../src/inference/default-model.ts';
import { checkGguf } from '../../src/inference/gguf-check.ts';

describe('the default model', () => {
  it('says at least 150 tokens', () => {
    assert.ok(defaultModelTokens >= 150);
    assert.equal(defaultModelPieces.length, defaultModelTokens);
    assert.equal(defaultModelPieces.join(''), defaultModelText);
  });

  it('uses no piece twice, and cutting the text by the longest pieces gives the pieces again', () => {
    assert.equal(new Set(defaultModelPieces).size, defaultModelPieces.length);
    assert.deepEqual(cutLongestFirst(defaultModelText), defaultModelPieces);
  });

  it('leads from the end of every prompt through each token to the end, far ahead of any other', () => {
    const path = [DEFAULT_MODEL_TOKENS.promptEnd, ...defaultModelTokenIds(), DEFAULT_MODEL_TOKENS.answerEnd];
    for (const [index, token] of path.slice(0, -1).entries()) {
      const next = defaultModelNext(token);
      assert.equal(next.token, path[index + 1]);
      assert.ok(next.lead > 40, `a lead of ${next.lead} after token ${index}`);
    }
  });

  it('ends after any other token, so that a wrong template shows', () => {
    for (const token of [0, 1, 3, 4, DEFAULT_MODEL_TOKENS.promptEnd + 1])
      assert.equal(defaultModelNext(token).token, DEFAULT_MODEL_TOKENS.answerEnd);
  });

  it('is a small file that passes the check', () => {
    const bytes = writeDefaultModel();
    assert.ok(bytes.length < 1_000_000);
    const check = checkGguf(bytes, bytes.length);
    assert.equal(check.type, 'accepted');
    assert.ok(check.type === 'accepted');
    assert.equal(check.facts.contextLength, DEFAULT_MODEL_CONTEXT_TOKENS);
    assert.equal(check.facts.hasChatTemplate, true);
  });

  it('is the same file each time', () => {
    assert.equal(digest(writeDefaultModel()), digest(writeDefaultModel()));
  });
});

/** How the tokenizer cuts: the longest piece is taken out of the text first, then the next in what is left. */
function cutLongestFirst(text: string): readonly string[] {
  let parts: { readonly text: string; readonly done: boolean }[] = [{ text, done: false }];
  for (const piece of [...new Set(defaultModelPieces)].toSorted((left, right) => right.length - left.length))
    parts = parts.flatMap((part) => {
      if (part.done) return [part];
      return part.text
        .split(piece)
        .flatMap((rest, index) => [
          ...(index === 0 ? [] : [{ text: piece, done: true }]),
          ...(rest === '' ? [] : [{ text: rest, done: false }]),
        ]);
    });
  return parts.map((part) => part.text);
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
