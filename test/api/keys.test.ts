import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import { KeyMeter } from '../../src/api/key-meter.ts';
import {
  allowsModel,
  checkKey,
  encodeKeys,
  hashApiKey,
  isExpired,
  type KeyRecord,
  KEYS_MAX,
  makeKey,
  parseKeys,
} from '../../src/api/key-record.ts';
import { KeyRing, type RouteScope } from '../../src/api/key-ring.ts';

const TEXT = makeKey('phone', new Uint8Array(36).fill(0xfb));
const KEY: KeyRecord = { id: TEXT.id, name: 'phone', hash: hashApiKey(TEXT.text), scopes: ['infer'], createdS: 1_000 };
const bearer = (text: string): { authorization: string; apiKey: undefined } => ({
  authorization: `Bearer ${text}`,
  apiKey: undefined,
});
const NOTHING = { authorization: undefined, apiKey: undefined };

type Given = Parameters<KeyRing['admit']>[0];

/** Whose key it is, or why not. */
function verdict(ring: KeyRing, given: Given, scope: RouteScope): string {
  const admission = ring.admit(given, scope, 1_500);
  return admission.type === 'admitted' ? (admission.caller.key?.name ?? 'anybody') : admission.failure.code;
}

describe('an API key', () => {
  it('is a long text with its name and id, of which only the hash is kept', () => {
    assert.equal(TEXT.text, `sk-phone-fbfbfbfb-${'-_v7'.repeat(10)}-_s`);
    assert.notEqual(makeKey('phone', new Uint8Array(36)).text, TEXT.text);
    assert.ok(!encodeKeys([KEY]).includes(TEXT.text.slice(-20)));
  });

  it('is for the models that its patterns name', () => {
    const table: readonly (readonly [pattern: string, model: string, allowed: boolean])[] = [
      ['tiny', 'tiny', true],
      ['tiny', 'tiny2', false],
      ['*', 'any/thing:Q4', true],
      ['llama*', 'llama-3', true],
      ['llama*', 'a-llama', false],
      ['*:Q4', 'llama:Q4', true],
      ['a*a', 'a', false],
      ['a*a', 'aa', true],
      ['a*b*c', 'a-c-b-c', true],
      ['a*b*c', 'acb', false],
      ['a**c', 'ac', true],
    ];
    for (const [pattern, model, allowed] of table)
      assert.equal(allowsModel({ ...KEY, models: [pattern] }, model), allowed, `${pattern} ${model}`);
    assert.ok(allowsModel(KEY, 'tiny'));
    assert.ok(allowsModel({ ...KEY, models: ['other', 'tiny'] }, 'tiny'));
  });

  it('matches hostile patterns in no time', () => {
    const pattern = `${'a*'.repeat(60)}b`;
    assert.equal(allowsModel({ ...KEY, models: [pattern] }, 'a'.repeat(128)), false);
  });

  it('ends at its second', () => {
    assert.equal(isExpired({ ...KEY, expiresS: 2_000 }, 1_999), false);
    assert.equal(isExpired({ ...KEY, expiresS: 2_000 }, 2_000), true);
    assert.equal(isExpired(KEY, Infinity), false);
  });
});

describe('the file of API keys', () => {
  const WHOLE: KeyRecord = {
    ...KEY,
    id: '00000001',
    scopes: ['infer', 'read'],
    models: ['llama*'],
    limits: { requestsPerMinute: 5, concurrentMax: 1 },
    expiresS: 5_000,
  };

  it('comes out as it went in', () => {
    assert.deepEqual(parseKeys(encodeKeys([KEY, WHOLE])), { type: 'keys', keys: [KEY, WHOLE] });
    assert.deepEqual(parseKeys(encodeKeys([])), { type: 'keys', keys: [] });
  });

  it('is refused as a whole for anything that it should not have, so that no limit is lost', () => {
    const texts = [
      '',
      '[]',
      '{"version":2,"keys":[]}',
      encodeKeys([KEY, KEY]),
      ...[
        { ...KEY, id: 'x' },
        { ...KEY, hash: 'ab' },
        { ...KEY, scopes: [] },
        { ...KEY, scopes: ['admin'] },
        { ...KEY, models: [] },
        { ...KEY, models: ['a b'] },
        { ...KEY, limits: { tokensPerMinute: 0 } },
        { ...KEY, limits: { tokensPerHour: 1 } },
        { ...KEY, model: ['a'] },
        { ...KEY, expiresS: '5000' },
      ].map((key) => JSON.stringify({ version: 1, keys: [key] })),
      JSON.stringify({ version: 1, keys: Array.from({ length: KEYS_MAX + 1 }, () => KEY) }),
    ];
    for (const text of texts) assert.equal(parseKeys(text).type, 'damaged', text.slice(0, 200));
    fc.assert(fc.property(fc.json(), (text) => ['keys', 'damaged'].includes(parseKeys(text).type)));
    const wrong = checkKey({ ...KEY, name: 'a b' });
    assert.equal(wrong.type === 'wrong' ? wrong.reason : '', 'name: expected letters, digits and . _ -, at most 32');
  });
});

describe('the keys of a node', () => {
  it('let everybody in while there are none', () => {
    const ring = new KeyRing({ hashes: [], isExposed: false });
    assert.ok(ring.isOpen);
    for (const given of [NOTHING, bearer('whatever'), { authorization: 'Bearer ', apiKey: undefined }])
      assert.equal(verdict(ring, given, 'infer'), 'anybody');
  });

  it('let in who has one, for what it is for', () => {
    const ring = new KeyRing({ hashes: [hashApiKey('from-settings')], isExposed: false });
    ring.set([KEY, { ...KEY, id: '00000002', name: 'old', hash: hashApiKey('old'), expiresS: 1_500 }]);
    const table = [
      [NOTHING, 'open', 'anybody'],
      [NOTHING, 'models', 'unauthorized'],
      [bearer('sk-wrong'), 'infer', 'unauthorized'],
      [bearer(TEXT.text), 'infer', 'phone'],
      [{ authorization: undefined, apiKey: TEXT.text }, 'infer', 'phone'],
      [bearer(TEXT.text), 'models', 'phone'],
      [bearer(TEXT.text), 'read', 'forbidden'],
      [bearer('old'), 'infer', 'unauthorized'],
      [bearer('from-settings'), 'read', 'anybody'],
      [bearer('x'.repeat(600)), 'infer', 'unauthorized'],
      [{ authorization: `Basic ${TEXT.text}`, apiKey: undefined }, 'infer', 'unauthorized'],
    ] as const;
    for (const [given, scope, expected] of table)
      assert.equal(verdict(ring, given, scope), expected, JSON.stringify([given, scope]));
  });

  it('follow their file: a revoked key is out, and a damaged file lets nobody in', () => {
    const ring = new KeyRing({ hashes: [], isExposed: false });
    ring.set([KEY]);
    assert.equal(verdict(ring, bearer(TEXT.text), 'infer'), 'phone');
    ring.damaged();
    assert.equal(verdict(ring, bearer(TEXT.text), 'infer'), 'unauthorized');
    assert.equal(verdict(ring, NOTHING, 'infer'), 'unauthorized');
    ring.set([{ ...KEY, id: '00000003', hash: hashApiKey('other') }]);
    assert.equal(verdict(ring, bearer(TEXT.text), 'infer'), 'unauthorized');
    ring.set([]);
    assert.equal(verdict(ring, NOTHING, 'infer'), 'anybody');
  });

  it('let nobody in without one where other machines reach the API, also after the last was revoked', () => {
    const ring = new KeyRing({ hashes: [], isExposed: true });
    ring.set([KEY]);
    assert.equal(verdict(ring, bearer(TEXT.text), 'infer'), 'phone');
    ring.set([]);
    assert.ok(!ring.isOpen);
    for (const given of [NOTHING, bearer(TEXT.text)]) assert.equal(verdict(ring, given, 'infer'), 'unauthorized');
    assert.equal(verdict(ring, NOTHING, 'open'), 'anybody');
  });

  it('refuse other models, and count on when the file changes for another reason', () => {
    const ring = new KeyRing({ hashes: [], isExposed: false });
    const limited: KeyRecord = { ...KEY, models: ['tiny'], limits: { requestsPerMinute: 1 } };
    ring.set([limited]);
    assert.equal(ring.begin({ key: limited }, 'large', 0)?.code, 'forbidden');
    assert.equal(ring.begin({ key: limited }, 'tiny', 0), undefined);
    ring.set([{ ...limited }, { ...KEY, id: '00000004' }]);
    assert.equal(ring.begin({ key: limited }, 'tiny', 0)?.code, 'rate-limited');
    const more: KeyRecord = { ...limited, limits: { requestsPerMinute: 2 } };
    ring.set([more]);
    assert.equal(ring.begin({ key: more }, 'tiny', 0), undefined);
    assert.equal(ring.begin({ key: undefined }, 'large', 0), undefined);
  });
});

describe('what a key has used', () => {
  it('is limited in requests of a minute', () => {
    const meter = new KeyMeter({ requestsPerMinute: 2 }, 0);
    assert.equal(meter.begin(0), undefined);
    assert.equal(meter.begin(0), undefined);
    assert.equal(meter.begin(0)?.retryAfterMs, 30_000);
    assert.equal(meter.begin(29_999)?.retryAfterMs, 1);
    assert.equal(meter.begin(30_000), undefined);
    assert.equal(meter.begin(30_000)?.code, 'rate-limited');
  });

  it('is limited in tokens, which are paid afterwards', () => {
    const meter = new KeyMeter({ tokensPerMinute: 60 }, 0);
    assert.equal(meter.begin(0), undefined);
    assert.equal(meter.begin(0), undefined);
    meter.end(60, 0);
    meter.end(60, 0);
    assert.equal(meter.begin(0)?.retryAfterMs, 61_000);
    assert.equal(meter.begin(61_000), undefined);
  });

  it('is limited in tokens of a day that begins with its first request', () => {
    const meter = new KeyMeter({ tokensPerDay: 10 }, 0);
    assert.equal(meter.begin(1_000), undefined);
    meter.end(10, 2_000);
    assert.equal(meter.begin(3_000)?.retryAfterMs, 86_398_000);
    assert.equal(meter.begin(86_401_000), undefined);
  });

  it('is limited in requests at once', () => {
    const meter = new KeyMeter({ concurrentMax: 1 }, 0);
    assert.equal(meter.begin(0), undefined);
    assert.match(meter.begin(0)?.message ?? '', /may use 1 requests at once/);
    meter.end(5, 0);
    assert.equal(meter.begin(0), undefined);
  });

  it('never lets through more in any minute than the bucket and its filling', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.array(fc.nat(5_000), { maxLength: 200 }), (perMinute, gaps) => {
        const meter = new KeyMeter({ requestsPerMinute: perMinute }, 0);
        const admitted: number[] = [];
        let nowMs = 0;
        for (const gap of gaps) {
          nowMs += gap;
          if (meter.begin(nowMs) === undefined) admitted.push(nowMs);
        }
        for (const start of admitted)
          assert.ok(admitted.filter((atMs) => atMs >= start && atMs < start + 60_000).length <= 2 * perMinute);
      }),
    );
  });
});
