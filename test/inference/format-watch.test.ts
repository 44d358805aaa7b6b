import assert from 'node:assert/strict';
import { Grammars } from '../../src/inference/answer-format.ts';
import type { Job } from '../../src/inference/engine.ts';
import { FormatWatch } from '../../src/inference/format-watch.ts';
import { encodeToolCall } from '../../src/inference/tool-text.ts';
import { parseModelId } from '../../src/ids.ts';

const FORMAT = { type: 'json-object' } as const;
const USAGE = { promptTokens: 1, completionTokens: 1, cachedTokens: 0 };
const CALL = encodeToolCall('look', '{"at":"the pond"}');

/** What the watch makes of an answer in these pieces: its last event's type. */
function watched(pieces: readonly string[], hasTools: boolean): string {
  const model = parseModelId('fake') ?? assert.fail();
  const job: Job = {
    model,
    messages: [],
    sampling: { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] },
    format: FORMAT,
    ...(hasTools
      ? { toolUse: { tools: [{ name: 'look', parameters: '{}' }], choice: { type: 'auto' }, parallel: true } }
      : {}),
  };
  const grammar = new Grammars().of(FORMAT);
  assert.ok(grammar.type === 'grammar');
  const watch = new FormatWatch({ job, starts: grammar.starts, upstream: 'theirs' });
  for (const [position, text] of pieces.entries()) {
    const event = watch.check({ type: 'tokens', position, tokens: 1, tokenIds: [], text });
    if (event.type === 'failed') return 'failed at once';
  }
  return watch.check({ type: 'ended', finishReason: 'stop', usage: USAGE }).type;
}

describe('the watch over the format of somebody else’s answer', () => {
  for (const { pieces, plain, withTools } of [
    { pieces: ['\n{"a":', '1}'], plain: 'ended', withTools: 'ended' },
    { pieces: ['{"a":', '1'], plain: 'failed', withTools: 'failed' },
    { pieces: ['Sure! ', '{}'], plain: 'failed at once', withTools: 'failed at once' },
    { pieces: [CALL], plain: 'failed at once', withTools: 'ended' },
    { pieces: [' <tool', CALL.slice(5)], plain: 'failed at once', withTools: 'ended' },
    { pieces: ['<tool', 'box>'], plain: 'failed at once', withTools: 'failed at once' },
    { pieces: ['<tool'], plain: 'failed at once', withTools: 'failed' },
    { pieces: [' '], plain: 'failed', withTools: 'failed' },
  ])
    it(`says ${plain}, and ${withTools} where functions are offered, of ${JSON.stringify(pieces)}`, () => {
      assert.equal(watched(pieces, false), plain);
      assert.equal(watched(pieces, true), withTools);
    });
});
