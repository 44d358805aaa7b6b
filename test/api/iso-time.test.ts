import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { isoTime } from '../../src/api/iso-time.ts';

describe('a moment as text', () => {
  const cases: readonly (readonly [timeMs: number, text: string])[] = [
    [0, '1970-01-01T00:00:00.000Z'],
    [-1, '1970-01-01T00:00:00.000Z'],
    [951_782_399_999, '2000-02-28T23:59:59.999Z'],
    [951_782_400_000, '2000-02-29T00:00:00.000Z'],
    [4_107_542_399_999, '2100-02-28T23:59:59.999Z'],
    [4_107_542_400_000, '2100-03-01T00:00:00.000Z'],
    [253_402_300_799_999, '9999-12-31T23:59:59.999Z'],
    [253_402_300_800_000, '9999-12-31T23:59:59.999Z'],
  ];
  for (const [timeMs, text] of cases)
    it(`is ${text} for ${timeMs}`, () => {
      assert.equal(isoTime(timeMs), text);
    });

  it('is what the platform writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (timeMs) => {
        assert.equal(isoTime(timeMs), new Date(timeMs).toISOString());
      }),
    );
  });
});
