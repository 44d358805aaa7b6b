import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { encodeCanonical, hash64, toHex, utf8 } from '../../src/bytes.ts';
import { PLACEMENT } from '../../src/params.ts';
import { bucketTokens, CONSIDERED_MAX } from '../../src/placement/level-plan.ts';
import { CONTEXT_REFUSALS_MAX, place, prepare } from '../../src/placement/place.ts';
import { PlanCache } from '../../src/placement/prepare.ts';
import type { Candidate, PlacementRequest } from '../../src/placement/placement.ts';
import { candidate, mixedView, modelId, nodeId, placed, request } from './candidates.ts';

const CALM = { arrivalsPerKs: 0, viewAgeMs: 500 };
const FLOOD = { arrivalsPerKs: 1_000_000, viewAgeMs: 1_000 };

function shuffled<Item>(items: readonly Item[], seed: string): readonly Item[] {
  const keys = new Map(items.map((item, index) => [item, hash64(utf8(`${seed} ${index}`)).low]));
  return items.toSorted((left, right) => (keys.get(left) ?? 0) - (keys.get(right) ?? 0));
}

function once(asked: PlacementRequest, candidates: readonly Candidate[], conditions = CALM) {
  return place(asked, prepare(candidates, conditions), PLACEMENT);
}

describe('placing a request', () => {
  it('sends a calm mesh to the cheapest node, the others following as fallback', () => {
    const fast = candidate(1, { prefillUsPerToken: 350, slotMs: 1_500 });
    const far = candidate(2, { rttMs: 30_000 });
    const farther = candidate(3, { rttMs: 60_000 });
    const result = placed(once(request('one'), [far, farther, fast]));
    assert.equal(result.ranked[0], fast.node);
    assert.deepEqual(new Set(result.ranked), new Set([fast.node, far.node, farther.node]));
    assert.deepEqual(
      result.considered.map(({ node, weight }) => [node, weight > 0]),
      [
        [fast.node, true],
        [far.node, false],
        [farther.node, false],
      ],
    );
  });

  it('refuses what cannot serve, with the reason', () => {
    const candidates = [
      candidate(1, { alive: false }),
      candidate(2, { usable: false, problem: 'the file is corrupt' }),
      candidate(3, { usable: false }),
      candidate(4, { contextTokens: 555 }),
      candidate(5, { contextTokens: 556 }),
      candidate(6),
      candidate(7, { contextTokens: 0 }),
    ];
    const asked = request('two', { promptTokens: 300, answerTokens: 256, excluded: new Set([nodeId(6), nodeId(99)]) });
    const result = placed(once(asked, candidates));
    assert.deepEqual(new Set(result.ranked), new Set([nodeId(5), nodeId(7)]));
    assert.deepEqual(
      result.refused,
      new Map([
        [nodeId(1), { reason: 'not-alive' }],
        [nodeId(2), { reason: 'unusable', detail: 'the file is corrupt' }],
        [nodeId(3), { reason: 'unusable', detail: 'no reason given' }],
        [nodeId(4), { reason: 'context-too-short', neededTokens: 556, contextTokens: 555 }],
        [nodeId(6), { reason: 'excluded' }],
      ]),
    );
  });

  it('is impossible without candidates, and when all are refused, longest contexts first', () => {
    assert.deepEqual(once(request('three'), []), { type: 'impossible', refused: new Map() });
    const many = Array.from({ length: 100 }, (_, number) => candidate(number, { contextTokens: 100 + number }));
    const result = once(request('three', { promptTokens: 500 }), many);
    assert.equal(result.type, 'impossible');
    assert.equal(result.refused.size, CONTEXT_REFUSALS_MAX);
    assert.ok(result.refused.has(nodeId(99)) && !result.refused.has(nodeId(0)));
  });

  it('works out the level anew when nodes were tried already', () => {
    const cheap = candidate(1, { prefillUsPerToken: 400, slotMs: 1_400 });
    const others = [candidate(2, { rttMs: 20_000 }), candidate(3, { rttMs: 21_000 })];
    const prepared = prepare([cheap, ...others], CALM);
    const first = placed(place(request('four'), prepared, PLACEMENT));
    const retry = placed(place(request('four', { excluded: new Set([cheap.node]) }), prepared, PLACEMENT));
    assert.ok(first.levelMs < 20_000 && retry.levelMs > 20_000, 'a server of the second try admits by this level');
    assert.ok(!retry.ranked.includes(cheap.node));
    assert.deepEqual(place(request('four'), prepared, PLACEMENT), first);
  });

  it('puts the holder of the prefix first while its credited cost is within the level, and not above it', () => {
    const three = [1, 2, 3].map((number) => candidate(number));
    const holders = [{ node: nodeId(4), cachedTokens: 290, knownBy: 'session' as const }];
    // The holder is dry without its credit, so it does not move the level.
    const level = placed(once(request('five'), [...three, candidate(4, { rttMs: 50_000 })])).levelMs;
    const cases = [
      // 10 tokens are left to evaluate: 10 + 30 ms besides the round trip.
      { rttMs: level - 40, first: true },
      { rttMs: level - 39, first: false },
    ];
    for (const { rttMs, first } of cases) {
      const held = placed(once(request('five', { holders }), [...three, candidate(4, { rttMs })]));
      assert.equal(held.levelMs, level);
      assert.equal(held.ranked[0] === nodeId(4), first, `rtt ${rttMs}`);
      assert.equal(held.considered.find(({ node }) => node === nodeId(4))?.affinity, first);
      assert.equal(new Set(held.ranked).size, 4);
    }
  });

  it('counts a cost of just the level as a fallback, and as within the level for the holder of the prefix', () => {
    const three = [1, 2, 3].map((number) => candidate(number));
    // 288 tokens are the middle of their step, so that the cost is the same in the plan and for the holder.
    const common = { promptTokens: 288 };
    const level = placed(once(request('edge', common), [...three, candidate(4, { rttMs: 50_000 })])).levelMs;
    const view = [...three, candidate(4, { rttMs: level - 288 - 30 })];
    const plain = placed(once(request('edge', common), view));
    assert.deepEqual(
      plain.considered.map(({ costMs, weight }) => [costMs === level, weight > 0]),
      [...three.map(() => [false, true]), [true, false]],
    );
    assert.equal(plain.ranked.indexOf(nodeId(4)), 3);
    const holders = [{ node: nodeId(4), cachedTokens: 0, knownBy: 'session' as const }];
    assert.equal(placed(once(request('edge', { ...common, holders }), view)).ranked[0], nodeId(4));
  });

  it('puts the cheapest of several holders first, and the next when that one is above the level', () => {
    const holders = [
      { node: nodeId(3), cachedTokens: 290, knownBy: 'prompt' as const },
      { node: nodeId(4), cachedTokens: 280, knownBy: 'prompt' as const },
      { node: nodeId(5), cachedTokens: 270, knownBy: 'prompt' as const },
    ];
    const first = (...rtts: readonly number[]): unknown => {
      const [three = 0, four = 0, five = 0] = rtts;
      const view = [candidate(3, { rttMs: three }), candidate(4, { rttMs: four }), candidate(5, { rttMs: five })];
      return placed(once(request('several', { holders }), [candidate(1), candidate(2), ...view])).ranked[0];
    };
    assert.equal(first(5, 5, 5), nodeId(3));
    assert.equal(first(16, 5, 5), nodeId(4));
    assert.equal(first(15, 5, 5), nodeId(3), 'of equal ones the first that is named');
    assert.equal(first(60_000, 60_000, 900), nodeId(5));
  });

  it('ignores a holder that is gone, refused or unknown', () => {
    const candidates = [
      candidate(1),
      candidate(2, { alive: false }),
      candidate(3, { contextTokens: 10 }),
      candidate(4),
    ];
    const plain = once(request('six'), candidates);
    for (const number of [2, 3, 77]) {
      const holders = [{ node: nodeId(number), cachedTokens: 300, knownBy: 'session' as const }];
      assert.deepEqual(once(request('six', { holders }), candidates), plain);
    }
    const excluded = new Set([nodeId(4)]);
    const holders = [{ node: nodeId(4), cachedTokens: 300, knownBy: 'session' as const }];
    assert.deepEqual(placed(once(request('six', { holders, excluded }), candidates)).ranked, [nodeId(1)]);
  });

  it('gives equal bytes for equal views and requests, whatever the order and whatever was asked before (S5)', () => {
    const inputs = fc.record({
      seed: fc.string(),
      size: fc.integer({ min: 1, max: 80 }),
      key: fc.string(),
      promptTokens: fc.integer({ min: 0, max: 40_000 }),
      flood: fc.boolean(),
    });
    fc.assert(
      fc.property(inputs, ({ seed, size, key, promptTokens, flood }) => {
        const view = mixedView(seed, size);
        const conditions = flood ? FLOOD : CALM;
        const asked = request(key, {
          promptTokens,
          holders: [{ node: nodeId(0), cachedTokens: 100, knownBy: 'session' }],
        });
        const first = once(asked, view, conditions);
        const previous = prepare(mixedView(`${seed}'`, size + 5), CALM);
        const used = prepare(shuffled(view, seed), { ...conditions, previous });
        for (let tokens = 1; tokens < 1e6; tokens *= 4)
          place(request(`${key}${tokens}`, { promptTokens: tokens }), used, PLACEMENT);
        const second = place(asked, used, PLACEMENT);
        assert.deepEqual(second, first);
        if (first.type === 'placed' && second.type === 'placed')
          assert.equal(toHex(encodeCanonical(second.ranked)), toHex(encodeCanonical(first.ranked)));
      }),
      { numRuns: 150, seed: 6 },
    );
  });

  it('answers with whole numbers and a list of different eligible nodes', () => {
    for (const size of [1, 5, 30, 200])
      for (const conditions of [CALM, FLOOD]) {
        const view = mixedView(`whole ${size}`, size);
        const result = once(request(`whole ${size}`), view, conditions);
        if (result.type === 'impossible') continue;
        assert.ok(Number.isSafeInteger(result.levelMs));
        for (const { expectedMs, costMs, weight } of result.considered)
          for (const value of [expectedMs, costMs, weight]) assert.ok(Number.isSafeInteger(value) && value >= 0);
        const eligible = new Set(view.filter(({ node }) => !result.refused.has(node)).map(({ node }) => node));
        assert.equal(new Set(result.ranked).size, Math.min(PLACEMENT.rankedMax, eligible.size));
        for (const node of result.ranked) assert.ok(eligible.has(node));
        assert.ok(result.considered.length <= CONSIDERED_MAX + PLACEMENT.rankedMax);
        const shown = new Set(result.considered.map(({ node }) => node));
        for (const node of result.ranked) assert.ok(shown.has(node), 'the ranked are among the considered');
      }
  });

  it('takes the longer way round when a node is unreliable, dear, loading or busy', () => {
    const handicaps: readonly Partial<Candidate>[] = [
      { reliabilityPerMille: 100 },
      { priceMs: 60_000 },
      { loadMs: 60_000 },
      { busy: 5 },
      { queued: 5, busy: 1 },
      { ownInFlight: 6 },
      { correctionPerMille: 50_000 },
    ];
    for (const handicap of handicaps) {
      const result = placed(once(request('seven'), [candidate(1, handicap), candidate(2)]));
      assert.equal(result.ranked[0], nodeId(2), JSON.stringify(handicap));
    }
  });

  it('refuses, as a bug of the caller, a node twice, two models in one view, and a view of another model', () => {
    assert.throws(() => prepare([candidate(1), candidate(1)], CALM), /each node is a candidate once/);
    assert.throws(() => prepare([candidate(1), candidate(2, { model: modelId('other') })], CALM), /of one model/);
    assert.throws(() => once(request('eight', { model: modelId('other') }), [candidate(1)]), /for this model/);
  });
});

describe('plans for sizes of prompts', () => {
  it('are off by an eighth of the prompt at most, and few', () => {
    const seen = new Set<number>();
    for (let tokens = 32; tokens <= 2 ** 20; tokens = Math.ceil(tokens * 1.01)) {
      const bucket = bucketTokens(tokens);
      seen.add(bucket);
      assert.ok(Math.abs(bucket - tokens) * 8 <= tokens, `${tokens} in ${bucket}`);
    }
    assert.ok(seen.size <= 61, `${seen.size}`);
    for (const tokens of [0, 1, 31]) assert.equal(bucketTokens(tokens), 16);
  });

  it('are kept in bounded number, and dropped for other params', () => {
    const prepared = prepare([candidate(1), candidate(2)], CALM);
    const cache = new PlanCache();
    place(request('nine'), prepared, PLACEMENT);
    const key = 2 ** 33;
    const plan = prepared.plans.find(bucketTokens(300), PLACEMENT);
    assert.ok(plan !== undefined, 'the plan of a first try is kept');
    for (let index = 0; index < PlanCache.plansMax; index += 1) cache.keep(key + index, PLACEMENT, plan);
    assert.equal(cache.find(key, PLACEMENT), plan);
    cache.keep(key - 1, PLACEMENT, plan);
    assert.equal(cache.find(key, PLACEMENT), undefined);
    assert.equal(cache.find(key - 1, PLACEMENT), plan);
    assert.equal(cache.find(key - 1, { ...PLACEMENT }), undefined);
  });
});
