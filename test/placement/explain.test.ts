import assert from 'node:assert/strict';
import { PLACEMENT } from '../../src/params.ts';
import { explain, refusalSentence } from '../../src/placement/explain.ts';
import { place, prepare } from '../../src/placement/place.ts';
import type { Candidate, PlacementRequest, Refusal } from '../../src/placement/placement.ts';
import { candidate, nodeId, request } from './candidates.ts';

function explained(asked: PlacementRequest, view: readonly Candidate[]) {
  const placement = place(asked, prepare(view, { arrivalsPerKs: 0, viewAgeMs: 500 }), PLACEMENT);
  return explain({ request: asked, placement, candidates: view.length });
}

describe('the explain record', () => {
  it('names everybody with cost, rank and share, and is plain JSON', () => {
    const view = [
      candidate(1),
      candidate(2, { reliabilityPerMille: 500, rttMs: 30_000 }),
      candidate(3, { alive: false }),
    ];
    const record = explained(request('why'), view);
    assert.deepEqual(JSON.parse(JSON.stringify(record)), record);
    assert.equal(record.result, 'placed');
    assert.equal(record.omitted, 0);
    const [first, second] = record.considered;
    assert.ok(first !== undefined && second !== undefined);
    assert.deepEqual([first.node, first.rank, first.sharePerMille], [nodeId(1), 1, 1_000]);
    assert.deepEqual([second.node, second.rank, second.sharePerMille], [nodeId(2), 2, 0]);
    assert.match(first.why, /costs 323 ms, under the level of 4323 ms$/);
    assert.match(second.why, /\(2000 ms of it for reliability and price\), not under the level .*: a fallback$/);
    assert.match(
      record.summary,
      /goes first with 323 ms expected to the first token; 1 node under the level of 4323 ms$/,
    );
    assert.deepEqual(
      record.refused.map(({ node, reason }) => [node, reason]),
      [[nodeId(3), 'not-alive']],
    );
  });

  it('says why a request cannot be placed', () => {
    assert.equal(explained(request('why'), []).summary, 'no node offers test-model');
    const record = explained(request('why'), [candidate(1, { alive: false }), candidate(2, { usable: false })]);
    assert.equal(record.result, 'impossible');
    assert.equal(record.summary, 'none of 2 nodes can serve this request');
    assert.equal(record.levelMs, undefined);
    assert.equal(record.refused.length, 2);
  });

  it('says when the prefix decided', () => {
    const holders = [{ node: nodeId(2), cachedTokens: 300, knownBy: 'session' as const }];
    const record = explained(request('why', { holders }), [candidate(1), candidate(2)]);
    assert.match(record.summary, /goes first because it holds the session's prefix/);
    assert.match(
      record.considered.find(({ rank }) => rank === 1)?.why ?? '',
      /holds this session's prefix and costs 35 ms/,
    );
  });

  it('says how much of the prompt is held where the prompt itself told', () => {
    const holders = [{ node: nodeId(2), cachedTokens: 256, knownBy: 'prompt' as const }];
    const record = explained(request('why', { holders }), [candidate(1), candidate(2)]);
    assert.match(record.summary, /goes first because it holds about 256 tokens of this prompt; 2 nodes/);
    const first = record.considered.find(({ rank }) => rank === 1);
    assert.match(first?.why ?? '', /holds about 256 tokens of this prompt and costs 79 ms, within the level/);
    assert.equal(first?.heldTokens, 256);
  });

  it('says how many nodes its bounded rows leave out', () => {
    const view = Array.from({ length: 90 }, (_, number) => candidate(number, { rttMs: number }));
    const record = explained(request('why'), view);
    assert.equal(record.omitted, 90 - record.considered.length);
    assert.ok(record.omitted > 0);
  });

  it('has a sentence for every refusal', () => {
    const cases: readonly { refusal: Refusal; sentence: RegExp }[] = [
      { refusal: { reason: 'excluded' }, sentence: /was already tried for this request$/ },
      { refusal: { reason: 'not-alive' }, sentence: /is silent or has left$/ },
      { refusal: { reason: 'unusable', detail: 'it drains' }, sentence: /cannot serve this model: it drains$/ },
      {
        refusal: { reason: 'context-too-short', neededTokens: 9, contextTokens: 8 },
        sentence: /has a context of 8 tokens and the request needs 9$/,
      },
    ];
    for (const { refusal, sentence } of cases) assert.match(refusalSentence(nodeId(1), refusal), sentence);
  });
});
