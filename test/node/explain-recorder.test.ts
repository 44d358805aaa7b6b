import assert from 'node:assert/strict';
import { parseModelId, parseRequestId } from '../../src/ids.ts';
import type { Input } from '../../src/node/events.ts';
import { ExplainRecorder } from '../../src/node/explain-recorder.ts';
import { nodeNumber } from '../gossip/signing.ts';

const MODEL = parseModelId('m') ?? assert.fail();
const REQUEST = parseRequestId('0'.repeat(32)) ?? assert.fail();
const [A, B] = [nodeNumber(1), nodeNumber(2)];

const EXPLAIN = {
  model: MODEL,
  promptTokens: 1,
  answerTokens: 1,
  result: 'placed',
  summary: 'A goes first',
  ranked: [A, B],
  considered: [
    { node: A, expectedMs: 5, costMs: 5, weight: 1, affinity: false, rank: 1, sharePerMille: 1_000, why: 'cheap' },
  ],
  refused: [],
  omitted: 0,
} as const;

describe('the explain recorder', () => {
  it('tells the whole life of an answer that moved: why here, which nodes, how far each, how it ended', () => {
    const recorder = new ExplainRecorder();
    const say = (input: Input, nowMs: number): void => recorder.input(input, nowMs, 1_700_000_000_000);
    const request = { model: MODEL, sessionKey: '', promptHead: 'a secret', promptBytes: 8, answerTokens: 0 };
    say({ type: 'request-arrived', requestId: REQUEST, request }, 100);
    recorder.effect({ type: 'dispatch', requestId: REQUEST, plan: { ranked: [A, B], levelMs: 9, explain: EXPLAIN } });
    say({ type: 'try-started', requestId: REQUEST, node: A, resumedAt: 0 }, 101);
    say({ type: 'first-token-seen', requestId: REQUEST, node: A, elapsedMs: 20 }, 121);
    const lost = { code: 'stream-lost', message: 'the link ended' } as const;
    say({ type: 'try-ended', requestId: REQUEST, node: A, tokens: 7, outcome: { type: 'failed', failure: lost } }, 150);
    say({ type: 'try-started', requestId: REQUEST, node: B, resumedAt: 7 }, 151);
    say({ type: 'try-ended', requestId: REQUEST, node: B, tokens: 3, outcome: { type: 'answered' } }, 180);
    say({ type: 'request-ended', requestId: REQUEST, result: 'answered' }, 181);
    const record = recorder.get(REQUEST);
    assert.deepEqual(record?.tries, [
      { node: A, startedAfterMs: 1, outcome: 'failed', resumedAt: 0, tokens: 7, why: 'the link ended' },
      { node: B, startedAfterMs: 51, outcome: 'answered', resumedAt: 7, tokens: 3 },
    ]);
    assert.deepEqual(
      {
        result: record.result,
        firstTokenAfterMs: record.firstTokenAfterMs,
        endedAfterMs: record.endedAfterMs,
        levelMs: record.levelMs,
      },
      { result: 'answered', firstTokenAfterMs: 21, endedAfterMs: 81, levelMs: 9 },
    );
    assert.ok(!JSON.stringify(record).includes('a secret'), 'no word of the prompt');
  });

  it('keeps why the first node was chosen when a later placement finds nobody', () => {
    const recorder = new ExplainRecorder();
    const request = { model: MODEL, sessionKey: '', promptHead: '', promptBytes: 8, answerTokens: 0 };
    recorder.input({ type: 'request-arrived', requestId: REQUEST, request }, 0, 0);
    recorder.effect({ type: 'dispatch', requestId: REQUEST, plan: { ranked: [A], levelMs: 9, explain: EXPLAIN } });
    const nobody = { ranked: [], levelMs: 0, explain: { ...EXPLAIN, considered: [], ranked: [], summary: 'nobody' } };
    const failure = { code: 'no-node-available', message: 'nobody' } as const;
    recorder.effect({ type: 'refuse-request', requestId: REQUEST, failure, plan: nobody });
    assert.equal(recorder.get(REQUEST)?.summary, 'A goes first');
  });
});
