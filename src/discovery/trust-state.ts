/**
 * What does a node know of the owner's word, and how does it learn more from others without ever knowing less? The pinned
 * owner, the newest trust list (or the rivals of one version), and the newest certificate of each node. Whatever others
 * send is merged: only what the pinned owner signed counts, older never replaces newer, and the order in which things come
 * makes no difference. So it may be sent to everybody again and again.
 * Limits: 256 certificates; beyond, those that end first go. Without an owner nothing is kept.
 */
import { decodeCanonical, encodeCanonical, equalBytes } from '../bytes.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import { type Certificate, CERTIFICATE_BYTES_MAX, readCertificate } from './certificate.ts';
import { compareBytes } from './compare-bytes.ts';
import type { VerifySignature } from './signed-record.ts';
import {
  effectiveTrust,
  mergeTrustLists,
  readTrustList,
  type SignedTrustList,
  TRUST_LIST_BYTES_MAX,
  type TrustList,
} from './trust-list.ts';

/** Source: one for each member that there may be. */
const CERTIFICATES_MAX = 256;
const LISTS_MAX = 4;
/** Largest state, on disk and on the wire: the lists that are kept and a certificate for each node, encoded. Source: ours. */
export const TRUST_STATE_BYTES_MAX = LISTS_MAX * TRUST_LIST_BYTES_MAX + CERTIFICATES_MAX * (CERTIFICATE_BYTES_MAX + 8);

export interface SignedCertificate {
  readonly bytes: Uint8Array;
  readonly certificate: Certificate;
}

export interface TrustState {
  /** Whose word counts; undefined = nobody's, the swarm has no owner that this node knows. */
  readonly owner: NodeId | undefined;
  /** All of one version; more than one = the owner contradicted itself. */
  readonly lists: readonly SignedTrustList[];
  readonly certificates: ReadonlyMap<NodeId, SignedCertificate>;
}

/** What travels: signed bytes only. */
export interface TrustBundle {
  readonly lists: readonly Uint8Array[];
  readonly certificates: readonly Uint8Array[];
}

export function emptyTrust(owner: NodeId | undefined): TrustState {
  return { owner, lists: [], certificates: new Map() };
}

export function trustListOf({ lists }: TrustState): TrustList {
  return effectiveTrust(lists);
}

export function isRevoked(state: TrustState, node: NodeId): boolean {
  return trustListOf(state).revoked.some((entry) => entry.node === node);
}

export interface TrustMerge {
  readonly state: TrustState;
  readonly changed: boolean;
  /** Records that the owner did not sign, or that are none. Behind the first of a kind none is looked at: who sends one sends more. */
  readonly refused: number;
}

export function mergeTrust(state: TrustState, bundle: TrustBundle, verify: VerifySignature): TrustMerge {
  const { owner } = state;
  if (owner === undefined) return { state, changed: false, refused: 0 };
  let { lists } = state;
  let refused = 0;
  for (const bytes of bundle.lists) {
    if (lists.some((known) => equalBytes(known.bytes, bytes))) continue;
    const read = readTrustList(bytes, owner, verify);
    if (read === undefined) {
      refused += 1;
      break;
    }
    lists = mergeTrustLists(lists, read);
  }
  const certificates = new Map(state.certificates);
  const known = [...certificates.values()].map((certificate) => certificate.bytes);
  for (const bytes of bundle.certificates) {
    if (known.some((one) => equalBytes(one, bytes))) continue;
    const read = readCertificate(bytes, owner, verify);
    if (read === undefined) {
      refused += 1;
      break;
    }
    keepNewest(certificates, { bytes, certificate: read });
  }
  const merged: TrustState = { owner, lists, certificates: bounded(certificates) };
  const changed = !equalBytes(encodeTrust(merged), encodeTrust(state));
  return { state: changed ? merged : state, changed, refused };
}

export function bundleOf({ lists, certificates }: TrustState): TrustBundle {
  const inOrder = [...certificates.values()].map(({ bytes }) => bytes).toSorted(compareBytes);
  return { lists: lists.map(({ bytes }) => bytes), certificates: inOrder };
}

/** Equal states give equal bytes. */
export function encodeTrust(state: TrustState): Uint8Array {
  const { lists, certificates } = bundleOf(state);
  return encodeCanonical([1, state.owner ?? '', lists, certificates]);
}

/** Undefined when the bytes are damaged; whatever is in them is verified again. */
export function decodeTrust(bytes: Uint8Array, verify: VerifySignature): TrustState | undefined {
  if (bytes.length > TRUST_STATE_BYTES_MAX) return undefined;
  const value = decodeCanonical(bytes);
  if (!Array.isArray(value) || value.length !== 4 || value[0] !== 1) return undefined;
  const [, ownerText, lists, certificates]: readonly unknown[] = value;
  const owner = parseNodeId(ownerText);
  const bundle = readBundle(lists, certificates);
  if (bundle === undefined || (owner === undefined && ownerText !== '')) return undefined;
  const { state, refused } = mergeTrust(emptyTrust(owner), bundle, verify);
  return refused === 0 ? state : undefined;
}

export function readBundle(lists: unknown, certificates: unknown): TrustBundle | undefined {
  if (!isBytesList(lists, LISTS_MAX) || !isBytesList(certificates, CERTIFICATES_MAX)) return undefined;
  return { lists, certificates };
}

function isBytesList(value: unknown, itemsMax: number): value is readonly Uint8Array[] {
  return Array.isArray(value) && value.length <= itemsMax && value.every((item) => item instanceof Uint8Array);
}

function keepNewest(certificates: Map<NodeId, SignedCertificate>, incoming: SignedCertificate): void {
  const { node, serial } = incoming.certificate;
  const known = certificates.get(node);
  const order = known === undefined ? 1 : serial - known.certificate.serial;
  if (known === undefined || order > 0 || (order === 0 && compareBytes(incoming.bytes, known.bytes) < 0))
    certificates.set(node, incoming);
}

function bounded(certificates: ReadonlyMap<NodeId, SignedCertificate>): ReadonlyMap<NodeId, SignedCertificate> {
  if (certificates.size <= CERTIFICATES_MAX) return certificates;
  const latest = [...certificates].toSorted(
    ([, left], [, right]) =>
      right.certificate.expires - left.certificate.expires || compareBytes(left.bytes, right.bytes),
  );
  return new Map(latest.slice(0, CERTIFICATES_MAX));
}
