import assert from 'node:assert/strict';
import { readCertificate, signCertificate } from '../../src/discovery/certificate.ts';
import {
  type CertificateAsked,
  CERTIFICATE_SECONDS_MAX,
  endsSoon,
  endText,
  nextCertificate,
  type Present,
  RENEW_BEFORE_SECONDS,
  renewalsDue,
  WARN_BEFORE_SECONDS,
} from '../../src/discovery/certificate-renewal.ts';
import { signNewcomer } from '../../src/discovery/newcomer.ts';
import { EMPTY_TRUST_LIST, signTrustList, withMode, withRevoked } from '../../src/discovery/trust-list.ts';
import { emptyTrust, isRevoked, mergeTrust, trustListOf, type TrustState } from '../../src/discovery/trust-state.ts';
import type { NodeId } from '../../src/ids.ts';
import { NODES, NOW, OWNER, verifySignature } from './owner.ts';

const [SELF, A, B] = NODES;
const START = emptyTrust(OWNER.id);

function certified(trust: TrustState, node: NodeId, wallSeconds: number): TrustState {
  return certifiedAs(trust, { node, label: 'x', roles: ['serve'] }, wallSeconds);
}

function certifiedAs(trust: TrustState, asked: CertificateAsked, wallSeconds: number): TrustState {
  const bytes = signCertificate(nextCertificate(trust, asked, wallSeconds), OWNER.sign);
  return mergeTrust(trust, { lists: [], certificates: [bytes] }, verifySignature).state;
}

function revoked(trust: TrustState, node: NodeId): TrustState {
  const list = withRevoked(trustListOf(trust), { node, label: '', since: NOW }) ?? assert.fail('full');
  return mergeTrust(trust, { lists: [signTrustList(list, OWNER.sign).bytes], certificates: [] }, verifySignature).state;
}

const here = (node: NodeId, clockAheadMs: number = 0): Present => ({ node, clockAheadMs });
const DUE = NOW + CERTIFICATE_SECONDS_MAX - RENEW_BEFORE_SECONDS;

describe('the next certificate of a node', () => {
  it('replaces the last one, also when that was made by a clock that ran a year ahead', () => {
    const ahead = certified(START, A, NOW + 365 * 86_400);
    const mended = certified(ahead, A, NOW);
    assert.equal(mended.certificates.get(A)?.certificate.notBefore, NOW);
  });

  it('is due in the last third of its time, for this node and those that are connected', () => {
    const trust = [SELF, A, B].reduce((state, node) => certified(state, node, NOW), START);
    const due = (wallSeconds: number, ...others: readonly Present[]): readonly NodeId[] =>
      renewalsDue(trust, { self: SELF, others }, wallSeconds).map(({ node }) => node);
    assert.deepEqual(due(DUE - 1, here(A)), []);
    assert.deepEqual(due(DUE, here(A)), [SELF, A]);
    const [renewed] = renewalsDue(trust, { self: SELF, others: [here(A)] }, DUE);
    assert.deepEqual(
      [renewed?.label, renewed?.roles, renewed?.expires],
      ['x', ['serve'], DUE + CERTIFICATE_SECONDS_MAX],
    );
    const signed = signCertificate(renewed ?? assert.fail('nothing'), OWNER.sign);
    assert.ok(readCertificate(signed, OWNER.id, verifySignature) !== undefined);
  });

  it('is none for who is revoked, has none, or got one for less than the whole time', () => {
    const trust = certifiedAs(
      certified(START, A, NOW),
      { node: B, label: '', roles: [], seconds: CERTIFICATE_SECONDS_MAX - 1 },
      NOW,
    );
    const due = (state: TrustState): number =>
      renewalsDue(state, { self: SELF, others: [here(A), here(B)] }, DUE + 86_400).length;
    assert.equal(due(trust), 1);
    assert.equal(due(revoked(trust, A)), 0);
  });

  it('is none while the clocks of most others say that the one of the owner is wrong', () => {
    const trust = certified(START, A, NOW);
    for (const [others, count] of [
      [[here(A, 300_000)], 1],
      [[here(A, 300_001)], 0],
      [[{ node: A }], 0],
      [[here(A), here(B, -86_400_000)], 1],
      [[here(A), here(B, -86_400_000), here(NODES[3], 86_400_000)], 0],
      [[], 0],
    ] as const)
      assert.equal(renewalsDue(trust, { self: SELF, others }, DUE).length, count, JSON.stringify(others));
  });

  it('is asked for in time by a node that needs one', () => {
    const trust = certified(START, SELF, NOW);
    const asking = mergeTrust(
      trust,
      {
        lists: [signTrustList(withMode(EMPTY_TRUST_LIST, 'certified', NOW) ?? assert.fail('full'), OWNER.sign).bytes],
        certificates: [],
      },
      verifySignature,
    ).state;
    const end = NOW + CERTIFICATE_SECONDS_MAX;
    for (const [state, isAsked, wallSeconds, expected] of [
      [trust, false, end, undefined],
      [trust, true, end, end],
      [asking, false, end - WARN_BEFORE_SECONDS, end],
      [asking, false, end - WARN_BEFORE_SECONDS - 1, undefined],
      [START, true, end, undefined],
    ] as const)
      assert.equal(endsSoon(state, { node: SELF, isAsked }, wallSeconds), expected);
    for (const [left, words] of [
      [-1, /has ended/],
      [0, /less than a day/],
      [86_400, /in 1 day /],
      [3 * 86_400, /in 3 days /],
    ] as const)
      assert.match(endText(NOW + left, NOW), words);
  });
});

describe('a machine that used a code', () => {
  const SIGNED_NOW = { sign: OWNER.sign, wallSeconds: NOW };

  it('is certified and listed', () => {
    const newcomer = signNewcomer(START, { node: A, name: 'new' }, SIGNED_NOW);
    assert.ok(newcomer.type === 'signed');
    const { state, refused } = mergeTrust(START, newcomer.bundle, verifySignature);
    assert.equal(refused, 0);
    assert.equal(state.certificates.get(A)?.certificate.label, 'new');
    assert.deepEqual(
      trustListOf(state).trusted.map(({ node }) => node),
      [A],
    );
  });

  it('does not come back by it when the owner revoked it: it says itself who it is', () => {
    const trust = revoked(START, A);
    assert.deepEqual(signNewcomer(trust, { node: A, name: '' }, SIGNED_NOW), { type: 'refused', reason: 'revoked' });
    assert.equal(signNewcomer(trust, { node: B, name: '' }, SIGNED_NOW).type, 'signed');
    assert.equal(isRevoked(trust, A), true);
  });
});
