import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { ModelLoad } from '../../src/gossip/message.ts';
import { type NodeId, parseRequestId, type RequestId } from '../../src/ids.ts';
import { PLACEMENT } from '../../src/params.ts';
import {
  FORGIVE_HALF_MS,
  Observations,
  PAIRS_MAX,
  TRIES_MAX,
  type TryResult,
} from '../../src/placement/observations.ts';
import { MODEL, modelId, nodeId } from './candidates.ts';

const NODE = nodeId(1);
const LOAD: ModelLoad = { busy: 3, queued: 2, slotMs: 500, prefillUsPerToken: 9, decodeMs: 9, arrivalsPerKs: 0 };

function requestId(number: number): RequestId {
  const id = parseRequestId(number.toString(16).padStart(32, '0'));
  assert.ok(id !== undefined);
  return id;
}

function dispatch(number: number, node: NodeId = NODE) {
  return { requestId: requestId(number), node, model: MODEL, expectedMs: 100 };
}

function corrections(elapsed: readonly number[]): readonly number[] {
  const observations = new Observations(PLACEMENT);
  return elapsed.map((elapsedMs, number) => {
    const { correctionPerMille } = seen(observations);
    // Placement multiplies what it expects by what is known; the node itself takes 100 ms by its own account.
    const attempt = { ...dispatch(number), expectedMs: Math.floor((100 * correctionPerMille) / 1_000) };
    observations.dispatched(attempt, 0);
    observations.firstToken(attempt, elapsedMs, 0);
    observations.ended(attempt, 'answered', 0);
    return seen(observations).correctionPerMille;
  });
}

function seen(observations: Observations, { nowMs = 0, loadAtMs = -1 } = {}) {
  return observations.observed({ node: NODE, model: MODEL, loadAtMs }, nowMs);
}

function after(results: readonly TryResult[]): number {
  const observations = new Observations(PLACEMENT);
  for (const [number, result] of results.entries()) {
    observations.dispatched(dispatch(number), 0);
    observations.ended(dispatch(number), result, 0);
  }
  return seen(observations).reliabilityPerMille;
}

describe('what this node observed of others', () => {
  it('believes strangers', () => {
    const expected = { correctionPerMille: 1_000, reliabilityPerMille: 1_000, ownInFlight: 0 };
    assert.deepEqual(seen(new Observations(PLACEMENT)), expected);
  });

  it('moves the correction a sixteenth of the way to actual / predicted, within its bounds', () => {
    const cases = [
      { elapsed: [100], expected: [1_000] },
      { elapsed: [200], expected: [1_063] },
      { elapsed: [200, 200], expected: [1_063, 1_123] },
      { elapsed: [0], expected: [981] },
      { elapsed: [10_000_000], expected: [4_063] },
    ];
    for (const { elapsed, expected } of cases) assert.deepEqual(corrections(elapsed), expected);
    assert.equal(corrections(Array.from({ length: 200 }, () => 10_000_000)).at(-1), PLACEMENT.correctionPerMilleMax);
    assert.equal(corrections(Array.from({ length: 200 }, () => 0)).at(-1), PLACEMENT.correctionPerMilleMin);
    // What was already corrected for is not corrected for again.
    const settled = corrections(Array.from({ length: 200 }, () => 300)).at(-1) ?? 0;
    assert.ok(Math.abs(settled - 3_000) < 60, String(settled));
  });

  it('learns once from many tries that were predicted with the same correction', () => {
    const observations = new Observations(PLACEMENT);
    for (const number of [1, 2, 3]) observations.dispatched(dispatch(number), 0);
    for (const number of [1, 2, 3]) observations.firstToken(dispatch(number), 1_000, 1_000);
    const { correctionPerMille } = seen(observations, { nowMs: 1_000 });
    assert.ok(correctionPerMille > 2_500 && correctionPerMille <= 10_000, String(correctionPerMille));
  });

  it('counts a first token that is eight times late before it comes, within bounds and until it comes', () => {
    const observations = new Observations(PLACEMENT);
    observations.dispatched(dispatch(1), 0);
    const at = (nowMs: number): number => seen(observations, { nowMs }).correctionPerMille;
    assert.deepEqual([0, 100, 800, 801, 1_600, 2_400].map(at), [1_000, 1_000, 1_000, 1_001, 2_000, 3_000]);
    assert.equal(at(FORGIVE_HALF_MS - 1), PLACEMENT.correctionPerMilleMax);
    observations.firstToken(dispatch(1), 2_400, 2_400);
    assert.equal(at(2_400), 2_438);
    observations.ended(dispatch(1), 'answered', 50_000);
    assert.equal(at(50_000), 2_438);
  });

  it('takes a wait that was given up as a lower bound, and an early cancel as nothing', () => {
    for (const { endMs, expected } of [
      { endMs: 100, expected: 1_000 },
      { endMs: 400, expected: 1_188 },
    ]) {
      const observations = new Observations(PLACEMENT);
      observations.dispatched(dispatch(1), 0);
      observations.ended(dispatch(1), 'cancelled', endMs);
      assert.equal(seen(observations, { nowMs: endMs }).correctionPerMille, expected);
    }
    const observations = new Observations(PLACEMENT);
    observations.dispatched(dispatch(1), 0);
    observations.firstToken(dispatch(1), 100, 100);
    observations.ended(dispatch(1), 'cancelled', 60_000);
    assert.equal(seen(observations, { nowMs: 60_000 }).correctionPerMille, 1_000);
  });

  it('counts failures against reliability, busy and cancelled never', () => {
    const cases: readonly { results: readonly TryResult[]; expected: number }[] = [
      { results: ['answered'], expected: 1_000 },
      { results: ['busy', 'busy', 'cancelled'], expected: 1_000 },
      { results: ['failed'], expected: 750 },
      { results: ['failed', 'failed'], expected: 562 },
      { results: ['failed', 'answered'], expected: 813 },
      { results: Array.from({ length: 100 }, () => 'failed' as const), expected: 1 },
      { results: ['failed', ...Array.from({ length: 40 }, () => 'answered' as const)], expected: 1_000 },
    ];
    for (const { results, expected } of cases) assert.equal(after(results), expected, results.slice(0, 3).join());
  });

  it('forgives half of what was wrong with every half-life', () => {
    const observations = new Observations(PLACEMENT);
    observations.dispatched(dispatch(1), 0);
    observations.firstToken(dispatch(1), 3_300, 0);
    observations.ended(dispatch(1), 'failed', 0);
    const at = (nowMs: number): readonly number[] => {
      const { correctionPerMille, reliabilityPerMille } = seen(observations, { nowMs });
      return [correctionPerMille, reliabilityPerMille];
    };
    assert.deepEqual(at(FORGIVE_HALF_MS - 1), [3_000, 750]);
    assert.deepEqual(at(FORGIVE_HALF_MS), [2_000, 875]);
    assert.deepEqual(at(3 * FORGIVE_HALF_MS), [1_250, 969]);
    assert.deepEqual(at(1_000 * FORGIVE_HALF_MS), [1_000, 1_000]);
  });

  it('counts own tries under way since the load figures were made', () => {
    const observations = new Observations(PLACEMENT);
    observations.dispatched(dispatch(1), 100);
    observations.dispatched(dispatch(2), 200);
    observations.dispatched(dispatch(3, nodeId(2)), 200);
    assert.equal(seen(observations, { loadAtMs: 50, nowMs: 200 }).ownInFlight, 2);
    // A beacon of the moment of a dispatch shows it already.
    assert.equal(seen(observations, { loadAtMs: 100, nowMs: 200 }).ownInFlight, 1);
    observations.ended(dispatch(2), 'answered', 300);
    assert.equal(seen(observations, { loadAtMs: 100, nowMs: 300 }).ownInFlight, 0);
    // An older beacon that comes late takes nothing back.
    observations.dispatched(dispatch(4), 400);
    assert.equal(seen(observations, { loadAtMs: 50, nowMs: 400 }).ownInFlight, 1);
  });

  it('shows the load of a busy answer until a newer one is known', () => {
    const observations = new Observations(PLACEMENT);
    observations.dispatched(dispatch(1), 100);
    observations.loadAnswered(NODE, { model: MODEL, load: LOAD }, 500);
    const shown = seen(observations, { loadAtMs: 400, nowMs: 600 });
    assert.deepEqual(shown.freshLoad, { load: LOAD, atMs: 500 });
    assert.equal(shown.ownInFlight, 0);
    assert.ok(seen(observations, { loadAtMs: 500, nowMs: 600 }).freshLoad !== undefined);
    assert.equal(seen(observations, { loadAtMs: 501, nowMs: 600 }).freshLoad, undefined);
    observations.loadAnswered(NODE, { model: MODEL, load: LOAD }, 450);
    assert.equal(seen(observations, { loadAtMs: 501, nowMs: 600 }).freshLoad, undefined);
  });

  it('keeps the models of a node apart', () => {
    const observations = new Observations(PLACEMENT);
    observations.dispatched({ ...dispatch(1), model: modelId('other') }, 10);
    observations.ended(dispatch(1), 'failed', 20);
    assert.equal(seen(observations, { nowMs: 20 }).reliabilityPerMille, 1_000);
  });

  it('ignores what it knows nothing of, and a first token told twice', () => {
    const observations = new Observations(PLACEMENT);
    observations.firstToken(dispatch(1), 9_000, 0);
    observations.ended(dispatch(1), 'failed', 0);
    assert.deepEqual(observations.size, { pairs: 0, tries: 0 });
    observations.dispatched(dispatch(1), 0);
    observations.firstToken(dispatch(1), 200, 0);
    observations.firstToken(dispatch(1), 200, 0);
    assert.equal(seen(observations).correctionPerMille, 1_063);
  });

  it('stays within its bounds and forgets the oldest first (S12)', () => {
    const observations = new Observations(PLACEMENT);
    for (let number = 0; number < TRIES_MAX + 10; number += 1) observations.dispatched(dispatch(number), 1);
    assert.deepEqual(observations.size, { pairs: 1, tries: TRIES_MAX });
    assert.equal(seen(observations, { loadAtMs: 0, nowMs: 1 }).ownInFlight, TRIES_MAX);
    const other = nodeId(2);
    for (let number = 0; number < PAIRS_MAX; number += 1)
      observations.loadAnswered(other, { model: modelId(`m${number}`), load: LOAD }, 2);
    assert.deepEqual(observations.size, { pairs: PAIRS_MAX, tries: 0 });
  });

  it('never leaves the ranges that placement states, whatever happens', () => {
    const events = fc.array(
      fc.record({
        result: fc.constantFrom<TryResult>('answered', 'failed', 'busy', 'cancelled'),
        elapsedMs: fc.option(fc.integer({ min: 0, max: 2 ** 40 }), { nil: undefined }),
        expectedMs: fc.integer({ min: 0, max: 2 ** 30 }),
        passMs: fc.integer({ min: 0, max: 400_000 }),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(events, (list) => {
        const observations = new Observations(PLACEMENT);
        let nowMs = 0;
        for (const [number, event] of list.entries()) {
          const attempt = { ...dispatch(number), expectedMs: event.expectedMs };
          observations.dispatched(attempt, nowMs);
          nowMs += event.passMs;
          if (event.elapsedMs !== undefined) observations.firstToken(attempt, event.elapsedMs, nowMs);
          observations.ended(attempt, event.result, nowMs);
          const { correctionPerMille, reliabilityPerMille, ownInFlight } = seen(observations, { nowMs });
          assert.ok(Number.isSafeInteger(correctionPerMille) && Number.isSafeInteger(reliabilityPerMille));
          assert.ok(correctionPerMille >= 700 && correctionPerMille <= 50_000, String(correctionPerMille));
          assert.ok(reliabilityPerMille >= 1 && reliabilityPerMille <= 1_000, String(reliabilityPerMille));
          assert.equal(ownInFlight, 0);
        }
      }),
      { numRuns: 100, seed: 7 },
    );
  });
});
