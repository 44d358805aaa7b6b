import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  type Certificate,
  CLOCK_SKEW_SECONDS,
  dateProblem,
  readCertificate,
  ROLES,
  signCertificate,
} from '../../src/discovery/certificate.ts';
import { encodeCanonical } from '../../src/bytes.ts';
import { sealRecord } from '../../src/discovery/signed-record.ts';
import { NODES, NOW, OWNER, STRANGER, verifySignature } from './owner.ts';

const DAY = 86_400;
const CERTIFICATE: Certificate = {
  node: NODES[0],
  label: 'laptop',
  roles: ['serve', 'route'],
  serial: 7,
  notBefore: NOW,
  expires: NOW + 30 * DAY,
};

const read = (bytes: Uint8Array): Certificate | undefined => readCertificate(bytes, OWNER.id, verifySignature);

function seal(payload: Parameters<typeof encodeCanonical>[0]): Uint8Array {
  return sealRecord({ domain: 'skein certificate 1\n', bytesMax: 512 }, encodeCanonical(payload), OWNER.sign);
}

describe('a certificate', () => {
  it('says what the owner signed', () => {
    fc.assert(
      fc.property(
        fc.record(
          {
            node: fc.constantFrom(...NODES),
            label: fc.stringMatching(/^[A-Za-z0-9 äß]{0,32}$/),
            roles: fc.subarray([...ROLES]),
            serial: fc.nat(),
            notBefore: fc.constant(NOW),
            expires: fc.integer({ min: NOW + 1, max: NOW + 30 * DAY }),
          },
          { noNullPrototype: true },
        ),
        (certificate) => assert.deepEqual(read(signCertificate(certificate, OWNER.sign)), certificate),
      ),
      { numRuns: 40 },
    );
  });

  it('counts from nobody but the owner', () => {
    assert.equal(read(signCertificate(CERTIFICATE, STRANGER.sign)), undefined);
  });

  it('is refused with any byte changed, added or missing', () => {
    const bytes = signCertificate(CERTIFICATE, OWNER.sign);
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      assert.equal(read(changed), undefined, `byte ${at}`);
      assert.equal(read(bytes.subarray(0, at)), undefined, `cut at ${at}`);
    }
    assert.equal(read(Uint8Array.of(...bytes, 0)), undefined);
  });

  it('is refused where its fields are not in range, whoever signed it', () => {
    const { node, label, serial, notBefore, expires } = CERTIFICATE;
    const good = [node, label, ['serve'], serial, notBefore, expires];
    assert.ok(read(seal(good)) !== undefined);
    const cases: readonly [string, Parameters<typeof encodeCanonical>[0]][] = [
      ['an unknown field', [...good, 1]],
      ['a field too few', good.slice(0, 5)],
      ['no node', ['x', ...good.slice(1)]],
      ['a control character', [node, 'a\u0007', ...good.slice(2)]],
      ['a long label', [node, 'x'.repeat(65), ...good.slice(2)]],
      ['an unknown role', [node, label, ['king'], serial, notBefore, expires]],
      ['roles out of order', [node, label, ['route', 'serve'], serial, notBefore, expires]],
      ['a role twice', [node, label, ['serve', 'serve'], serial, notBefore, expires]],
      ['31 days', [node, label, ['serve'], serial, notBefore, notBefore + 30 * DAY + 1]],
      ['no time at all', [node, label, ['serve'], serial, notBefore, notBefore]],
      ['a negative date', [node, label, ['serve'], serial, -1, expires]],
    ];
    for (const [name, payload] of cases) assert.equal(read(seal(payload)), undefined, name);
  });

  it('counts for its dates, and five minutes either way', () => {
    const { notBefore, expires } = CERTIFICATE;
    for (const { at, problem } of [
      { at: notBefore - CLOCK_SKEW_SECONDS - 1, problem: 'early' },
      { at: notBefore - CLOCK_SKEW_SECONDS, problem: undefined },
      { at: expires + CLOCK_SKEW_SECONDS - 1, problem: undefined },
      { at: expires + CLOCK_SKEW_SECONDS, problem: 'expired' },
    ])
      assert.equal(dateProblem(CERTIFICATE, at), problem, String(at));
  });

  it('is never made of other bytes, and never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => assert.equal(read(bytes), undefined)));
  });
});
