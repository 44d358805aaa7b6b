import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { utf8 } from '../../src/bytes.ts';
import { failure } from '../../src/errors.ts';
import { decodeScore, decodeVector } from '../../src/inference/answer-lines.ts';
import type { EngineEvent } from '../../src/inference/engine.ts';
import { type ListTask, UpstreamList } from '../../src/inference/upstream-list.ts';

const CONTEXT = { upstream: 'test', model: 'm', contextTokens: 0 };

/** A list whose server is the test. */
class Listing {
  readonly events: EngineEvent[] = [];
  readonly list: UpstreamList;
  readonly bodies: ReturnType<typeof JSON.parse>[] = [];

  constructor(task: ListTask, done = 0) {
    this.list = new UpstreamList({ task, model: 'm', done, context: CONTEXT }, (event) => void this.events.push(event));
    this.list.open();
  }

  get lines(): string[] {
    return this.events.flatMap((event) => (event.type === 'tokens' ? [event.text] : []));
  }

  get last(): EngineEvent | undefined {
    return this.events.at(-1);
  }

  /** Answers the next request, in two chunks; false where none is due. */
  answer(reply: (body: ReturnType<typeof JSON.parse>) => unknown): boolean {
    const batch = this.list.next();
    if (batch === undefined) return false;
    const body = JSON.parse(batch.request.body);
    this.bodies.push(body);
    const value = reply(body);
    const bytes = utf8(typeof value === 'string' ? value : JSON.stringify(value));
    batch.reply.begin('json');
    batch.reply.data(bytes.subarray(0, 3));
    batch.reply.data(bytes.subarray(3));
    batch.reply.end();
    return true;
  }
}

function embedding(count: number): ListTask {
  return { type: 'embedding', inputs: Array.from({ length: count }, (_, index) => String(index)) };
}

/** A vector that says which input it is of. */
function embed({ input }: { input: string[] }): unknown {
  const data = input.map((text, index) => ({ index, embedding: [3 * (Number(text) + 1), 4 * (Number(text) + 1)] }));
  return { data: data.toReversed(), usage: { prompt_tokens: 10 * input.length } };
}

describe('a list of inputs at an upstream', () => {
  it('goes there in batches, the next when the lines of the last have left', () => {
    const listing = new Listing(embedding(130));
    listing.list.grant(60);
    assert.ok(listing.answer(embed));
    assert.equal(listing.lines.length, 60);
    assert.ok(!listing.answer(embed));
    listing.list.grant(1_000);
    assert.equal(listing.lines.length, 64);
    assert.ok(listing.answer(embed));
    assert.ok(listing.answer(embed));
    assert.ok(!listing.answer(embed));
    assert.deepEqual(
      listing.bodies.map(({ input }) => input.length),
      [64, 64, 2],
    );
    const usage = { promptTokens: 1_300, completionTokens: 130, cachedTokens: 0 };
    assert.deepEqual(listing.last, { type: 'ended', finishReason: 'stop', usage });
    assert.equal(listing.events.length, 131);
    const decoded = listing.lines.map((line) => decodeVector(line.trimEnd()));
    for (const vector of decoded) assert.deepEqual([...(vector?.vector ?? [])], [...Float32Array.of(0.6, 0.8)]);
    assert.equal(
      decoded.reduce((sum, vector) => sum + (vector?.tokens ?? 0), 0),
      1_300,
    );
  });

  it('goes on with the first input that has no line', () => {
    const listing = new Listing(embedding(3), 2);
    listing.list.grant(10);
    listing.answer(embed);
    assert.deepEqual(listing.bodies[0].input, ['2']);
    assert.ok(listing.events[0]?.type === 'tokens' && listing.events[0].position === 2);
    const over = new Listing(embedding(3), 3);
    assert.equal(over.last?.type, 'ended');
  });

  it('brings scores into the order of the documents', () => {
    const listing = new Listing({ type: 'rerank', query: 'q', documents: ['a', 'b', 'c'] });
    listing.list.grant(10);
    const results = [
      { index: 2, relevance_score: 0.9 },
      { index: 0, relevance_score: -1 },
      { index: 1, score: 0 },
    ];
    listing.answer(() => ({ results }));
    assert.deepEqual(listing.bodies, [{ model: 'm', query: 'q', documents: ['a', 'b', 'c'], top_n: 3 }]);
    assert.deepEqual(
      listing.lines.map((line) => decodeScore(line.trimEnd())),
      [
        { score: -1, tokens: 1 },
        { score: 0, tokens: 1 },
        { score: 0.9, tokens: 1 },
      ],
    );
  });

  it('fails where the answer is none', () => {
    const fine = { index: 0, embedding: [1] };
    for (const reply of [
      'not json',
      {},
      { data: [] },
      { data: [fine] },
      { data: [fine, fine] },
      { data: [fine, { index: 1, embedding: [] }] },
      { data: [fine, { index: 1, embedding: ['1'] }] },
      '{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1e999]}]}',
      { data: [fine, { index: 2, embedding: [1] }] },
      { error: { message: 'no' } },
    ]) {
      const listing = new Listing(embedding(2));
      listing.list.grant(10);
      listing.answer(() => reply);
      assert.ok(listing.last?.type === 'failed', JSON.stringify(reply));
      assert.equal(listing.last.failure.code, 'upstream-failed');
      assert.ok(!listing.answer(embed));
    }
  });

  it('fails once with what the connection failed with, and says nothing after a cancel', () => {
    const listing = new Listing(embedding(2));
    const batch = listing.list.next();
    batch?.reply.lost(failure('stalled', 'silent'));
    batch?.reply.fail(failure('stalled', 'again'));
    assert.equal(listing.events.length, 1);
    const cancelled = new Listing(embedding(2));
    const running = cancelled.list.next();
    cancelled.list.cancel();
    running?.reply.end();
    cancelled.list.grant(5);
    assert.deepEqual(cancelled.events, []);
  });

  it('never throws, whatever a server sends', () => {
    const result = fc.record({
      index: fc.oneof(fc.nat(1), fc.jsonValue()),
      embedding: fc.oneof(fc.array(fc.double()), fc.jsonValue()),
    });
    const reply = fc.oneof(
      fc.jsonValue(),
      fc.record({ data: fc.array(fc.oneof(result, fc.jsonValue()), { maxLength: 3 }), usage: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(reply, (value) => {
        const listing = new Listing(embedding(2));
        listing.list.grant(10);
        listing.answer(() => value);
        assert.ok(listing.last?.type === 'failed' || listing.lines.length === 2);
      }),
    );
  });
});
