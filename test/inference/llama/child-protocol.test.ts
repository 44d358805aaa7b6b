import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  CHILD_LIMITS,
  type ChildMessage,
  cleanDetail,
  parseChildMessages,
} from '../../../src/inference/llama/child-protocol.ts';

const usage = { promptTokens: 3, completionTokens: 2, cachedTokens: 1 };
const VALID: readonly ChildMessage[] = [
  { type: 'alive' },
  { type: 'left' },
  { type: 'phase', phase: 'template' },
  { type: 'ready', contextTokens: 1, slots: 256 },
  { type: 'load-failed', reason: 'memory', detail: 'x' },
  { type: 'progress', runId: 0, promptTokensDone: 1, promptTokens: 2, cachedTokens: 0 },
  { type: 'tokens', runId: 1, position: 0, tokenIds: [0, 5], text: '' },
  { type: 'ended', runId: 1, finishReason: 'length', usage },
  { type: 'too-long', runId: 1, promptTokens: 9, contextTokens: 8 },
  { type: 'failed', runId: 1, detail: 'y' },
  { type: 'refused', runId: 1, reason: 'unsupported-feature', detail: 'y' },
  { type: 'released', runId: 1 },
];

describe('what a child says', () => {
  it('is taken when it is well formed', () => {
    assert.deepEqual(parseChildMessages(VALID), VALID);
    assert.deepEqual(parseChildMessages([]), []);
  });

  it('is refused as a whole when one field does not fit', () => {
    const bad: readonly unknown[] = [
      undefined,
      'alive',
      null,
      { type: 'shutdown' },
      { type: 'phase', phase: 'x' },
      { type: 'ready', contextTokens: 0, slots: 1 },
      { type: 'ready', contextTokens: 1, slots: 257 },
      { type: 'ready', contextTokens: CHILD_LIMITS.contextTokensMax + 1, slots: 1 },
      { type: 'load-failed', reason: 'other', detail: '' },
      { type: 'load-failed', reason: 'memory' },
      { type: 'progress', runId: 1, promptTokensDone: -1, promptTokens: 2, cachedTokens: 0 },
      { type: 'progress', runId: 1, promptTokensDone: 1, promptTokens: 2 },
      { type: 'tokens', runId: 1.5, position: 0, tokenIds: [1], text: '' },
      { type: 'tokens', runId: 1, position: 0, tokenIds: [], text: '' },
      { type: 'tokens', runId: 1, position: 0, tokenIds: ['1'], text: '' },
      {
        type: 'tokens',
        runId: 1,
        position: 0,
        tokenIds: Array.from({ length: CHILD_LIMITS.tokensMax + 1 }, () => 1),
        text: '',
      },
      { type: 'tokens', runId: 1, position: 0, tokenIds: [1], text: 'x'.repeat(CHILD_LIMITS.textLengthMax + 1) },
      { type: 'ended', runId: 1, finishReason: 'error', usage },
      { type: 'ended', runId: 1, finishReason: 'stop', usage: { ...usage, cachedTokens: 4 } },
      { type: 'ended', runId: 1, finishReason: 'stop' },
      { type: 'too-long', runId: 1, promptTokens: 2 },
      { type: 'failed', runId: 1 },
      { type: 'refused', runId: 1, detail: 'y' },
      { type: 'refused', runId: 1, reason: 'busy', detail: 'y' },
      { type: 'released' },
    ];
    for (const message of bad)
      assert.equal(parseChildMessages([{ type: 'alive' }, message]), undefined, JSON.stringify(message)?.slice(0, 80));
    assert.equal(parseChildMessages({ type: 'alive' }), undefined);
    assert.equal(
      parseChildMessages(Array.from({ length: CHILD_LIMITS.messagesMax + 1 }, () => ({ type: 'alive' }))),
      undefined,
    );
  });

  it('never makes the parser throw', () => {
    fc.assert(fc.property(fc.anything(), (value) => parseChildMessages([value]) === undefined || true));
  });

  it('reaches people as one short printable line', () => {
    assert.equal(cleanDetail(' a\u001b[31m\r\nb\u2028 '), 'a [31m b');
    assert.equal(cleanDetail('x'.repeat(1_000)).length, CHILD_LIMITS.detailLengthMax);
  });
});
