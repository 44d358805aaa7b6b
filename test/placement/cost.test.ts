import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { PLACEMENT } from '../../src/params.ts';
import {
  BOUNDS,
  bounded,
  chargeMs,
  COST_MS_MAX,
  costMs,
  expectedMs,
  figuresOf,
  medianRates,
  PROMPT_TOKENS_MAX,
  rateFloors,
} from '../../src/placement/cost.ts';
import type { Candidate } from '../../src/placement/placement.ts';
import { candidate } from './candidates.ts';

const NO_FLOORS = { slotMs: 0, prefillUsPerToken: 0, decodeMs: 0 };

function cost(more: Partial<Candidate>, newTokens = 300): { expected: number; cost: number } {
  const figures = figuresOf([candidate(1, more)]);
  const terms = { newTokens, floors: NO_FLOORS, params: PLACEMENT };
  return { expected: expectedMs(figures, 0, terms), cost: costMs(figures, 0, terms) };
}

describe('the cost of a node', () => {
  it('adds round trip, waiting, prefill, first token and loading', () => {
    const cases: readonly { more: Partial<Candidate>; expected: number }[] = [
      { more: {}, expected: 5 + 300 + 30 },
      { more: { rttMs: 80 }, expected: 80 + 300 + 30 },
      { more: { loadMs: 20_000 }, expected: 20_335 },
      { more: { prefillUsPerToken: 10_000 }, expected: 5 + 3_000 + 30 },
      // The first slot that is taken is the one that makes the next request wait.
      { more: { slots: 4, busy: 3 }, expected: 335 },
      { more: { slots: 4, busy: 4 }, expected: 4_335 },
      { more: { slots: 4, busy: 4, queued: 2 }, expected: 12_335 },
      { more: { slots: 4, busy: 2, ownInFlight: 2 }, expected: 4_335 },
      { more: { correctionPerMille: 2_500 }, expected: Math.floor(335 * 2.5) },
      { more: { correctionPerMille: 700 }, expected: 234 },
    ];
    for (const { more, expected } of cases) assert.equal(cost(more).expected, expected, JSON.stringify(more));
  });

  it('charges what failures cost on average and the price, uncorrected', () => {
    const charges = [
      { reliabilityPerMille: 1_000, charge: 0 },
      { reliabilityPerMille: 999, charge: 2 },
      { reliabilityPerMille: 500, charge: 2_000 },
      { reliabilityPerMille: 1, charge: 1_998_000 },
    ];
    for (const { reliabilityPerMille, charge } of charges) {
      const figures = figuresOf([candidate(1, { reliabilityPerMille, priceMs: 40, correctionPerMille: 3_000 })]);
      assert.equal(chargeMs(figures, 0, PLACEMENT), charge + 40);
    }
  });

  it('believes no rate above three times the median', () => {
    const honest = Array.from({ length: 4 }, (_, number) => candidate(number));
    const liar = candidate(9, { slotMs: 1, prefillUsPerToken: 0, decodeMs: 0, rttMs: 0 });
    const figures = figuresOf([...honest, liar]);
    const floors = rateFloors(medianRates(figures), PLACEMENT.rateClamp);
    assert.deepEqual(floors, { slotMs: 1_334, prefillUsPerToken: 334, decodeMs: 10 });
    assert.equal(expectedMs(figures, 4, { newTokens: 300, floors, params: PLACEMENT }), 100 + 10);
    assert.equal(expectedMs(figures, 0, { newTokens: 300, floors, params: PLACEMENT }), 335);
  });

  it('takes the slower of two as the median, so that one liar of two cannot set it', () => {
    const figures = figuresOf([candidate(1, { slotMs: 9_000 }), candidate(2, { slotMs: 1 })]);
    assert.equal(medianRates(figures).slotMs, 9_000);
  });

  it('stays a whole number within 32 bits for any figures, also absurd ones', () => {
    const wild = fc.oneof(
      fc.integer(),
      fc.constantFrom(0, -1, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY, Number.NaN, 0.5, 2 ** 31),
    );
    const fields = fc.record({
      slots: wild,
      busy: wild,
      queued: wild,
      ownInFlight: wild,
      slotMs: wild,
      prefillUsPerToken: wild,
      decodeMs: wild,
      loadMs: wild,
      rttMs: wild,
      correctionPerMille: wild,
      reliabilityPerMille: wild,
      priceMs: wild,
    });
    fc.assert(
      fc.property(fields, fc.integer({ min: 0, max: PROMPT_TOKENS_MAX }), (more, newTokens) => {
        for (const value of Object.values(cost(more, newTokens)))
          assert.ok(Number.isSafeInteger(value) && value >= 0 && value <= COST_MS_MAX, String(value));
      }),
      { numRuns: 500, seed: 4 },
    );
  });

  it('saturates where every figure is the largest', () => {
    const worst = Object.fromEntries(Object.entries(BOUNDS).map(([name, range]) => [name, range.max]));
    assert.equal(cost({ ...worst, busy: 65_535, slots: 1, reliabilityPerMille: 1 }).cost, COST_MS_MAX);
  });

  it('moves figures outside their range to the nearer end', () => {
    const range = { min: 1, max: 10 };
    const cases = [
      { value: 0, expected: 1 },
      { value: 1, expected: 1 },
      { value: 10, expected: 10 },
      { value: 11, expected: 10 },
      { value: 3.9, expected: 3 },
      { value: Number.NaN, expected: 1 },
      { value: Number.POSITIVE_INFINITY, expected: 10 },
    ];
    for (const { value, expected } of cases) assert.equal(bounded(value, range), expected);
  });
});
