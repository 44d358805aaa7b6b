import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { signCertificate } from '../../src/discovery/certificate.ts';
import {
  EMPTY_TRUST_LIST,
  signTrustList,
  TRUST_ENTRIES_MAX,
  type TrustList,
  withMode,
  withRevoked,
  withTrusted,
} from '../../src/discovery/trust-list.ts';
import {
  bundleOf,
  decodeTrust,
  emptyTrust,
  encodeTrust,
  isRevoked,
  mergeTrust,
  type TrustBundle,
  trustListOf,
  type TrustState,
} from '../../src/discovery/trust-state.ts';
import { toHex } from '../../src/bytes.ts';
import type { NodeId } from '../../src/ids.ts';
import { newSigner, NODES, NOW, OWNER, STRANGER, verifySignature } from './owner.ts';

const [A, B, C] = NODES;

function entries(nodes: readonly NodeId[]): TrustList['trusted'] {
  return nodes.map((node) => ({ node, label: '', since: NOW }));
}

function list(version: number, revoked: readonly NodeId[], trusted: readonly NodeId[] = []): TrustList {
  return { version, issuedAt: NOW, mode: 'open', trusted: entries(trusted), revoked: entries(revoked) };
}

function certificateOf(serial: number): Uint8Array {
  const dates = { notBefore: NOW, expires: NOW + 60 + serial };
  return signCertificate({ node: A, label: '', roles: [], serial, ...dates }, OWNER.sign);
}

const bundle = (...lists: readonly TrustList[]): TrustBundle => ({
  lists: lists.map((one) => signTrustList(one, OWNER.sign).bytes),
  certificates: [],
});

const merge = (state: TrustState, incoming: TrustBundle): TrustState =>
  mergeTrust(state, incoming, verifySignature).state;

const start = emptyTrust(OWNER.id);

describe("the owner's word", () => {
  it('is the newest list, and an older one never replaces it', () => {
    const second = merge(start, bundle(list(2, [A])));
    assert.equal(isRevoked(second, A), true);
    assert.equal(merge(second, bundle(list(1, []))), second, 'unchanged');
    assert.equal(isRevoked(merge(second, bundle(list(3, []))), A), false);
  });

  it('is the stricter of two lists of one version, in either order, until the next', () => {
    const [left, right] = [list(4, [A], [B, C]), list(4, [B], [B, C, A])];
    for (const order of [
      [left, right],
      [right, left],
    ]) {
      const state = order.reduce((before, one) => merge(before, bundle(one)), start);
      const { revoked, trusted } = trustListOf(state);
      assert.deepEqual(revoked.map(({ node }) => node).toSorted(), [A, B].toSorted());
      assert.deepEqual(
        trusted.map(({ node }) => node),
        [C],
      );
      assert.equal(trustListOf(merge(state, bundle(list(5, [])))).revoked.length, 0);
    }
  });

  it('takes the stricter mode of two lists of one version', () => {
    const [open, certified] = [list(1, []), { ...list(1, []), mode: 'certified' } as const];
    assert.equal(trustListOf(merge(start, bundle(open, certified))).mode, 'certified');
  });

  it('is that of the pinned owner only', () => {
    const foreign = { lists: [signTrustList(list(9, [A]), STRANGER.sign).bytes], certificates: [] };
    const merged = mergeTrust(start, foreign, verifySignature);
    assert.deepEqual([merged.changed, merged.refused], [false, 1]);
    const unpinned = mergeTrust(emptyTrust(undefined), bundle(list(1, [A])), verifySignature);
    assert.equal(unpinned.changed, false, 'nobody becomes the owner by being first');
  });

  it('costs one verification each for all the lists and certificates that somebody else signed', () => {
    let verified = 0;
    const counting: typeof verifySignature = (...asked) => {
      verified += 1;
      return verifySignature(...asked);
    };
    const certificates = Array.from({ length: 256 }, (_, serial) => {
      const dates = { notBefore: NOW, expires: NOW + 60 };
      return signCertificate({ node: A, label: '', roles: [], serial, ...dates }, STRANGER.sign);
    });
    const lists = [1, 2, 3, 4].map((version) => signTrustList(list(version, [A]), STRANGER.sign).bytes);
    assert.equal(mergeTrust(start, { lists, certificates }, counting).changed, false);
    assert.equal(verified, 2);
  });

  it('keeps the newest certificate of a node', () => {
    const [older, newer] = [certificateOf(1), certificateOf(2)];
    for (const certificates of [
      [older, newer],
      [newer, older],
    ]) {
      const state = merge(start, { lists: [], certificates });
      assert.equal(state.certificates.get(A)?.certificate.serial, 2);
    }
  });

  it('ends the same on all nodes, whatever came to them in which order and how often', () => {
    const pieces = [
      ...[list(1, []), list(2, [A]), list(3, [B]), list(3, [C], [A]), list(3, [A, C])].map((one) => bundle(one)),
      ...NODES.map((node, index): TrustBundle => {
        const certificate = { node, label: '', roles: [], serial: index % 3, notBefore: NOW, expires: NOW + 60 };
        return { lists: [], certificates: [signCertificate(certificate, OWNER.sign)] };
      }),
    ];
    const all = encodeTrust(pieces.reduce(merge, start));
    fc.assert(
      fc.property(
        fc.shuffledSubarray(pieces, { minLength: pieces.length }),
        fc.array(fc.constantFrom(...pieces), { maxLength: 6 }),
        (order, again) => {
          assert.deepEqual(encodeTrust([...order, ...again].reduce(merge, start)), all);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('comes back from disk as it was, and nothing damaged does', () => {
    const state = merge(start, bundle(list(3, [A], [B])));
    const bytes = encodeTrust(state);
    const read = decodeTrust(bytes, verifySignature);
    assert.ok(read !== undefined);
    assert.deepEqual(encodeTrust(read), bytes);
    assert.deepEqual(bundleOf(read).lists.map(toHex), bundleOf(state).lists.map(toHex));
    for (let at = 0; at < bytes.length; at += 3) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x41;
      const damaged = decodeTrust(changed, verifySignature);
      assert.ok(damaged === undefined || !isRevoked(damaged, C), `byte ${at}`);
      assert.equal(decodeTrust(bytes.subarray(0, at), verifySignature), undefined, `cut at ${at}`);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        assert.equal(decodeTrust(noise, verifySignature), undefined);
      }),
    );
  });
});

describe('a list of the owner', () => {
  it('is one version up with each change, and a node is on one side of it', () => {
    const added = withTrusted(EMPTY_TRUST_LIST, { node: A, label: 'a', since: NOW });
    const revoked = added === undefined ? undefined : withRevoked(added, { node: A, label: 'a', since: NOW + 1 });
    assert.deepEqual([added?.version, revoked?.version], [1, 2]);
    assert.deepEqual([revoked?.trusted.length, revoked?.revoked.length], [0, 1]);
    const back = revoked === undefined ? undefined : withTrusted(revoked, { node: A, label: 'a', since: NOW + 2 });
    assert.deepEqual([back?.trusted.length, back?.revoked.length], [1, 0]);
    assert.equal(withMode(EMPTY_TRUST_LIST, 'certified', NOW)?.mode, 'certified');
  });

  it('has room for so many and says when it is full', () => {
    const nodes = Array.from({ length: TRUST_ENTRIES_MAX }, () => newSigner().id).toSorted();
    const full = list(1, nodes);
    assert.ok(mergeTrust(start, bundle(full), verifySignature).changed, 'the largest list can be read');
    assert.equal(withRevoked(full, { node: A, label: '', since: NOW }), undefined);
    assert.ok(withTrusted(full, { node: A, label: '', since: NOW }) !== undefined);
  }).timeout(10_000);
});
