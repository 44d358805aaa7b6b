import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type ModelId, parseModelId } from '../../src/ids.ts';
import { ARRIVALS_SECONDS, ENTRIES_MAX, LoadMeter, PRIORS } from '../../src/inference/load-meter.ts';

const MODEL = modelId('m');
const IDLE = { busy: 0, queued: 0, slots: 1 };

function modelId(text: string): ModelId {
  const model = parseModelId(text);
  assert.ok(model !== undefined);
  return model;
}

describe('the load meter', () => {
  it('says its priors where nothing was measured, and that they are', () => {
    const meter = new LoadMeter();
    assert.deepEqual(meter.load(MODEL, { busy: 2, queued: 1, slots: 4 }, 0), {
      busy: 2,
      queued: 1,
      slotMs: PRIORS.serviceMs / 4,
      prefillUsPerToken: PRIORS.prefillUsPerToken,
      decodeMs: PRIORS.decodeMs,
      arrivalsPerKs: 0,
    });
    assert.deepEqual(meter.origins(MODEL), { slotMs: 'prior', prefillUsPerToken: 'prior', decodeMs: 'prior' });
    meter.firstToken(MODEL, { newTokens: 100, elapsedMs: 50, busy: 1 }, 0);
    assert.deepEqual(meter.origins(MODEL), { slotMs: 'prior', prefillUsPerToken: 'measured', decodeMs: 'prior' });
  });

  it('takes the first measurement as it is', () => {
    const meter = new LoadMeter();
    meter.firstToken(MODEL, { newTokens: 400, elapsedMs: 600, busy: 1 }, 0);
    meter.ended(MODEL, { serviceMs: 2_600, decodeMs: 2_000, completionTokens: 101 }, 0);
    const { slotMs, prefillUsPerToken, decodeMs } = meter.load(MODEL, { ...IDLE, slots: 2 }, 0);
    assert.deepEqual(
      { slotMs, prefillUsPerToken, decodeMs },
      { slotMs: 1_300, prefillUsPerToken: 1_500, decodeMs: 20 },
    );
  });

  it('follows a change within some twenty requests', () => {
    const meter = new LoadMeter();
    const serve = (times: number, decodeMs: number): number => {
      for (let index = 0; index < times; index += 1)
        meter.ended(MODEL, { serviceMs: decodeMs * 100, decodeMs: decodeMs * 100, completionTokens: 101 }, 0);
      return meter.load(MODEL, IDLE, 0).decodeMs;
    };
    assert.equal(serve(30, 20), 20);
    const halfway = serve(5, 100);
    assert.ok(halfway > 40 && halfway < 80, String(halfway));
    assert.ok(serve(15, 100) >= 92);
    assert.equal(serve(60, 100), 100);
  });

  it('lets long prompts count for more than short ones', () => {
    const meter = new LoadMeter();
    meter.firstToken(MODEL, { newTokens: 10_000, elapsedMs: 10_000, busy: 1 }, 0);
    // One token in 100 ms is overhead, not a rate.
    meter.firstToken(MODEL, { newTokens: 1, elapsedMs: 100, busy: 1 }, 0);
    assert.ok(meter.load(MODEL, IDLE, 0).prefillUsPerToken < 1_020);
  });

  it('learns nothing from answers of one token, empty prompts or broken times', () => {
    const meter = new LoadMeter();
    meter.ended(MODEL, { serviceMs: Number.NaN, decodeMs: 5, completionTokens: 1 }, 0);
    meter.firstToken(MODEL, { newTokens: 0, elapsedMs: 5, busy: 1 }, 0);
    meter.firstToken(MODEL, { newTokens: 10, elapsedMs: -1, busy: 1 }, 0);
    assert.deepEqual(meter.origins(MODEL), { slotMs: 'prior', prefillUsPerToken: 'prior', decodeMs: 'prior' });
  });

  it('tells the rate that the next request would find, by how many run', () => {
    const meter = new LoadMeter();
    const told = (busy: number): number => meter.load(MODEL, { busy, queued: 0, slots: 8 }, 0).prefillUsPerToken;
    meter.firstToken(MODEL, { newTokens: 100, elapsedMs: 100, busy: 1 }, 0);
    meter.firstToken(MODEL, { newTokens: 100, elapsedMs: 300, busy: 5 }, 0);
    assert.deepEqual([0, 3, 4, 6].map(told), [1_000, 3_000, 3_000, 3_000]);
    // Two or three at once were never seen: one level above what was measured alone.
    assert.deepEqual([1, 2].map(told), [1_333, 1_333]);
    // Nobody starts as the ninth of eight: the next one takes the eighth's place.
    assert.deepEqual([7, 8, 20].map(told), [4_000, 4_000, 4_000]);
  });

  it('derives an idle machine from a busy one while it knows no better', () => {
    const meter = new LoadMeter();
    meter.firstToken(MODEL, { newTokens: 100, elapsedMs: 1_600, busy: 4 }, 0);
    assert.equal(meter.load(MODEL, { busy: 0, queued: 0, slots: 8 }, 0).prefillUsPerToken, 9_000);
    assert.equal(meter.origins(MODEL).prefillUsPerToken, 'measured');
  });

  it('takes any number of requests at once', () => {
    const meter = new LoadMeter();
    for (const busy of [0, 1, 128, 65_535]) meter.firstToken(MODEL, { newTokens: 10, elapsedMs: 10, busy }, 0);
    assert.equal(meter.load(MODEL, { busy: 65_535, queued: 0, slots: 65_535 }, 0).prefillUsPerToken, 1_000);
  });

  it('never claims to need no time', () => {
    const meter = new LoadMeter();
    meter.firstToken(MODEL, { newTokens: 1_000, elapsedMs: 0, busy: 1 }, 0);
    meter.ended(MODEL, { serviceMs: 0, decodeMs: 0, completionTokens: 10 }, 0);
    const { slotMs, prefillUsPerToken, decodeMs } = meter.load(MODEL, IDLE, 0);
    assert.deepEqual([slotMs, prefillUsPerToken, decodeMs], [1, 1, 1]);
  });

  it('averages arrivals over half a minute', () => {
    const meter = new LoadMeter();
    const perKs = (second: number): number => meter.load(MODEL, IDLE, second * 1_000).arrivalsPerKs;
    for (let ms = 0; ms < ARRIVALS_SECONDS * 1_000; ms += 200) meter.arrived(MODEL, ms);
    // After one time constant 63 to 64 % of five a second.
    const risen = perKs(ARRIVALS_SECONDS);
    assert.ok(risen > 3_150 && risen < 3_250, String(risen));
    for (let ms = ARRIVALS_SECONDS * 1_000; ms < 300_000; ms += 200) meter.arrived(MODEL, ms);
    assert.ok(Math.abs(perKs(300) - 5_000) <= 5, String(perKs(300)));
    const fallen = perKs(300 + ARRIVALS_SECONDS);
    assert.ok(fallen > 1_750 && fallen < 1_850, String(fallen));
    assert.equal(perKs(100_000), 0);
  });

  it('sees one request in a quiet hour', () => {
    const meter = new LoadMeter();
    meter.arrived(MODEL, 0);
    assert.equal(meter.load(MODEL, IDLE, 999).arrivalsPerKs, 0);
    assert.equal(meter.load(MODEL, IDLE, 1_000).arrivalsPerKs, 33);
  });

  it('keeps models apart and forgets the one untouched longest (S12)', () => {
    const meter = new LoadMeter();
    for (let number = 0; number < ENTRIES_MAX; number += 1)
      meter.firstToken(modelId(`m${number}`), { newTokens: 1, elapsedMs: 1, busy: 1 }, 0);
    meter.arrived(modelId('m0'), 1);
    meter.arrived(MODEL, 1);
    assert.equal(meter.size, ENTRIES_MAX);
    assert.equal(meter.origins(modelId('m0')).prefillUsPerToken, 'measured');
    assert.equal(meter.origins(modelId('m1')).prefillUsPerToken, 'prior');
    assert.equal(meter.origins(MODEL).prefillUsPerToken, 'prior');
  });

  it('publishes whole numbers within their bounds, whatever was measured', () => {
    const wild = fc.oneof(fc.integer({ min: -10, max: 1_000 }), fc.constantFrom(0, 0.3, 1e12, Number.NaN, Infinity));
    const sample = fc.record({ time: wild, work: wild, passMs: fc.nat(5_000_000) });
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 50 }), (samples) => {
        const meter = new LoadMeter();
        let nowMs = 0;
        for (const { time, work, passMs } of samples) {
          nowMs += passMs;
          meter.arrived(MODEL, nowMs);
          meter.firstToken(MODEL, { newTokens: work, elapsedMs: time, busy: 1 }, nowMs);
          meter.ended(MODEL, { serviceMs: time, decodeMs: time, completionTokens: work }, nowMs);
          for (const value of Object.values(meter.load(MODEL, IDLE, nowMs)))
            assert.ok(Number.isSafeInteger(value) && value >= 0, String(value));
        }
      }),
      { numRuns: 200, seed: 9 },
    );
  });
});
