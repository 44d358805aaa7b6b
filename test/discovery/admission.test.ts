import assert from 'node:assert/strict';
import {
  ADMISSION_REFUSALS,
  type AdmissionRules,
  explainRefusal,
  judgeAdmission,
  timeText,
} from '../../src/discovery/admission.ts';
import { CLOCK_SKEW_SECONDS, signCertificate } from '../../src/discovery/certificate.ts';
import { signTrustList, type TrustList } from '../../src/discovery/trust-list.ts';
import { emptyTrust, mergeTrust, type TrustState } from '../../src/discovery/trust-state.ts';
import type { NodeId } from '../../src/ids.ts';
import { NODES, NOW, OWNER, STRANGER, verifySignature } from './owner.ts';

const [A, B] = NODES;
const NONE = new Uint8Array();

function certificate(
  node: NodeId,
  more: { notBefore?: number; expires?: number; sign?: typeof OWNER.sign } = {},
): Uint8Array {
  const { notBefore = NOW - 60, expires = NOW + 60, sign = OWNER.sign } = more;
  return signCertificate({ node, label: '', roles: [], serial: notBefore, notBefore, expires }, sign);
}

function trust(list: Partial<TrustList>, certificates: readonly Uint8Array[] = []): TrustState {
  const whole: TrustList = { version: 1, issuedAt: NOW, mode: 'open', trusted: [], revoked: [], ...list };
  const lists = [signTrustList(whole, OWNER.sign).bytes];
  return mergeTrust(emptyTrust(OWNER.id), { lists, certificates }, verifySignature).state;
}

const entry = (node: NodeId): TrustList['trusted'][number] => ({ node, label: '', since: NOW });

describe('admission', () => {
  const open: AdmissionRules = {
    mode: 'open',
    allow: [],
    deny: [],
    trust: emptyTrust(undefined),
    verify: verifySignature,
    wallSeconds: NOW,
  };
  const certified: AdmissionRules = { ...open, mode: 'certified', trust: trust({}) };
  const cases: readonly [string, AdmissionRules, Uint8Array, ReturnType<typeof judgeAdmission>][] = [
    ['open: whoever holds the key', open, NONE, undefined],
    ['denied here', { ...open, deny: [A] }, NONE, 'denied'],
    ['another one denied', { ...open, deny: [B] }, NONE, undefined],
    ['revoked', { ...open, trust: trust({ revoked: [entry(A)] }) }, certificate(A), 'revoked'],
    [
      'revoked and allowed',
      { ...open, mode: 'allowlist', allow: [A], trust: trust({ revoked: [entry(A)] }) },
      NONE,
      'revoked',
    ],
    ['not on the list', { ...open, mode: 'allowlist', allow: [B] }, NONE, 'not-listed'],
    ["on this machine's list", { ...open, mode: 'allowlist', allow: [A] }, NONE, undefined],
    ["on the owner's list", { ...open, mode: 'allowlist', trust: trust({ trusted: [entry(A)] }) }, NONE, undefined],
    ['the owner asks for a list', { ...open, trust: trust({ mode: 'allowlist' }) }, NONE, 'not-listed'],
    ['no certificate', certified, NONE, 'no-certificate'],
    ['a certificate', certified, certificate(A), undefined],
    ['the owner asks for certificates', { ...open, trust: trust({ mode: 'certified' }) }, NONE, 'no-certificate'],
    ['both modes hold', { ...certified, trust: trust({ mode: 'allowlist' }) }, certificate(A), 'not-listed'],
    ["somebody else's certificate", certified, certificate(B), 'bad-certificate'],
    ["a stranger's signature", certified, certificate(A, { sign: STRANGER.sign }), 'bad-certificate'],
    ['garbage', certified, new Uint8Array(40), 'bad-certificate'],
    ['no owner known', { ...certified, trust: emptyTrust(undefined) }, certificate(A), 'bad-certificate'],
    [
      'too early',
      certified,
      certificate(A, { notBefore: NOW + CLOCK_SKEW_SECONDS + 1, expires: NOW + 900 }),
      'certificate-early',
    ],
    [
      'early, within the skew',
      certified,
      certificate(A, { notBefore: NOW + CLOCK_SKEW_SECONDS, expires: NOW + 900 }),
      undefined,
    ],
    [
      'too late',
      certified,
      certificate(A, { notBefore: NOW - 900, expires: NOW - CLOCK_SKEW_SECONDS }),
      'certificate-expired',
    ],
    ['renewed, and we heard of it first', { ...certified, trust: trust({}, [certificate(A)]) }, NONE, undefined],
  ];
  for (const [name, rules, shown, expected] of cases)
    it(`says ${expected ?? 'yes'}: ${name}`, () => assert.equal(judgeAdmission(rules, A, shown), expected));

  it('explains every refusal, and what the clock says where dates matter', () => {
    for (const refusal of ADMISSION_REFUSALS)
      for (const side of ['refuser', 'refused'] as const) assert.ok(explainRefusal(refusal, NOW, side).length > 30);
    assert.match(explainRefusal('certificate-early', NOW, 'refuser'), /2027-01-15 08:00:00 UTC/);
  });

  it('names the machine on which a list is, from either side', () => {
    for (const refusal of ['denied', 'not-listed', 'bad-certificate'] as const) {
      assert.match(explainRefusal(refusal, NOW, 'refuser'), /this machine/);
      assert.match(explainRefusal(refusal, NOW, 'refused'), /that machine/);
      assert.doesNotMatch(explainRefusal(refusal, NOW, 'refused'), /this machine/);
    }
  });

  it('writes dates as a calendar does', () => {
    for (const seconds of [0, 951_782_399, 951_782_400, 1_709_164_800, 1_800_000_000, 4_102_444_799])
      assert.equal(timeText(seconds), new Date(seconds * 1_000).toISOString().slice(0, 19).replace('T', ' '));
  });
});
