/**
 * Who is trusted and who is out, as the owner says it? One signed list: a version that only rises, the admission mode of the
 * swarm, trusted nodes with a label, revoked nodes with a date. A node keeps the newest one and never goes back. Two
 * different lists of one version mean that the owner's key is used in two places: both are kept and the stricter holds (all
 * that either revokes is out, only what both trust is trusted), and it is said.
 * Limits: 256 entries of each kind; a full list is refused when it is made. Source: ours; the rule for equal versions: union of bans.
 */
import { ADMISSION_MODES, type AdmissionMode } from './admission-mode.ts';
import { compareBytes } from './compare-bytes.ts';
import { decodeCanonical, encodeCanonical } from '../bytes.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import {
  isCount,
  isLabel,
  openRecord,
  type RecordForm,
  sealRecord,
  type Sign,
  signedBytes,
  type VerifySignature,
} from './signed-record.ts';

/** Entries of each kind. Source: guess: some hundred machines are the most that a swarm has. */
export const TRUST_ENTRIES_MAX = 256;
/** Source: ours: 512 entries with labels of 64 characters, encoded. */
export const TRUST_LIST_BYTES_MAX = 98_304;
/** Different lists of one version that are kept. Source: guess: two places that use one key, and room. */
const RIVALS_MAX = 4;

const FORM: RecordForm = { domain: 'skein trust list 1\n', bytesMax: TRUST_LIST_BYTES_MAX };

export interface TrustEntry {
  readonly node: NodeId;
  readonly label: string;
  /** Seconds of the wall clock at which it was added or revoked. */
  readonly since: number;
}

export interface TrustList {
  readonly version: number;
  readonly issuedAt: number;
  readonly mode: AdmissionMode;
  readonly trusted: readonly TrustEntry[];
  readonly revoked: readonly TrustEntry[];
}

export const EMPTY_TRUST_LIST: TrustList = { version: 0, issuedAt: 0, mode: 'open', trusted: [], revoked: [] };

export interface SignedTrustList {
  readonly bytes: Uint8Array;
  readonly list: TrustList;
}

export function signTrustList(list: TrustList, sign: Sign): SignedTrustList {
  const { version, issuedAt, mode, trusted, revoked } = list;
  const payload = encodeCanonical([version, issuedAt, mode, rowsOf(trusted), rowsOf(revoked)]);
  return { bytes: sealRecord(FORM, payload, sign), list };
}

/** Undefined unless `owner` signed it and every field is in range. */
export function readTrustList(bytes: Uint8Array, owner: NodeId, verify: VerifySignature): SignedTrustList | undefined {
  const record = openRecord(FORM, bytes);
  const list = record === undefined ? undefined : readPayload(decodeCanonical(record.payload));
  if (record === undefined || list === undefined) return undefined;
  return verify(owner, signedBytes(FORM, record.payload), record.signature) ? { bytes, list } : undefined;
}

/** 1. newer replaces; 2. older changes nothing; 3. another one of the same version stays beside the first. */
export function mergeTrustLists(
  known: readonly SignedTrustList[],
  incoming: SignedTrustList,
): readonly SignedTrustList[] {
  const version = known[0]?.list.version ?? 0;
  if (incoming.list.version > version) return [incoming];
  if (incoming.list.version < version) return known;
  if (known.some(({ bytes }) => compareBytes(bytes, incoming.bytes) === 0)) return known;
  // The least ones of more than may be kept, so that all nodes end with the same.
  return [...known, incoming].toSorted((left, right) => compareBytes(left.bytes, right.bytes)).slice(0, RIVALS_MAX);
}

/** What the lists of one version say together: the stricter holds. */
export function effectiveTrust(lists: readonly SignedTrustList[]): TrustList {
  const [first, ...others] = lists.map(({ list }) => list);
  return others.reduce(stricter, first ?? EMPTY_TRUST_LIST);
}

export function stricterMode(left: AdmissionMode, right: AdmissionMode): AdmissionMode {
  return ADMISSION_MODES.indexOf(left) > ADMISSION_MODES.indexOf(right) ? left : right;
}

/** The next version, with one node added, or revoked; undefined when the list is full. */
export function withTrusted(list: TrustList, entry: TrustEntry): TrustList | undefined {
  return next(list, entry.since, {
    trusted: [...without(list.trusted, entry.node), entry],
    revoked: without(list.revoked, entry.node),
  });
}

export function withRevoked(list: TrustList, entry: TrustEntry): TrustList | undefined {
  return next(list, entry.since, {
    trusted: without(list.trusted, entry.node),
    revoked: [...without(list.revoked, entry.node), entry],
  });
}

export function withMode(list: TrustList, mode: AdmissionMode, wallSeconds: number): TrustList | undefined {
  return next(list, wallSeconds, { mode });
}

function next(list: TrustList, issuedAt: number, change: Partial<TrustList>): TrustList | undefined {
  const changed = { ...list, ...change, version: list.version + 1, issuedAt };
  const isFull = changed.trusted.length > TRUST_ENTRIES_MAX || changed.revoked.length > TRUST_ENTRIES_MAX;
  return isFull ? undefined : changed;
}

function stricter(left: TrustList, right: TrustList): TrustList {
  const revoked = [
    ...left.revoked,
    ...right.revoked.filter(({ node }) => !left.revoked.some((entry) => entry.node === node)),
  ];
  const trusted = left.trusted.filter(
    ({ node }) => right.trusted.some((entry) => entry.node === node) && !revoked.some((entry) => entry.node === node),
  );
  return { ...left, mode: stricterMode(left.mode, right.mode), trusted, revoked };
}

function without(entries: readonly TrustEntry[], node: NodeId): readonly TrustEntry[] {
  return entries.filter((entry) => entry.node !== node);
}

function rowsOf(entries: readonly TrustEntry[]): readonly (readonly [string, string, number])[] {
  return sorted(entries).map(({ node, label, since }) => [node, label, since] as const);
}

function sorted(entries: readonly TrustEntry[]): readonly TrustEntry[] {
  return entries.toSorted((left, right) => (left.node < right.node ? -1 : left.node > right.node ? 1 : 0));
}

function readPayload(value: unknown): TrustList | undefined {
  if (!Array.isArray(value) || value.length !== 5) return undefined;
  const [version, issuedAt, modeText, trustedRows, revokedRows]: readonly unknown[] = value;
  const mode = ADMISSION_MODES.find((one) => one === modeText);
  const [trusted, revoked] = [readEntries(trustedRows), readEntries(revokedRows)];
  if (!isCount(version) || version === 0 || !isCount(issuedAt) || mode === undefined) return undefined;
  if (trusted === undefined || revoked === undefined) return undefined;
  return { version, issuedAt, mode, trusted, revoked };
}

/** Sorted by id, each node once. */
function readEntries(value: unknown): readonly TrustEntry[] | undefined {
  if (!Array.isArray(value) || value.length > TRUST_ENTRIES_MAX) return undefined;
  const entries: TrustEntry[] = [];
  for (const row of value) {
    const entry = readEntry(row);
    const last = entries.at(-1);
    if (entry === undefined || (last !== undefined && last.node >= entry.node)) return undefined;
    entries.push(entry);
  }
  return entries;
}

function readEntry(row: unknown): TrustEntry | undefined {
  if (!Array.isArray(row) || row.length !== 3) return undefined;
  const [nodeText, label, since]: readonly unknown[] = row;
  const node = parseNodeId(nodeText);
  return node !== undefined && isLabel(label) && isCount(since) ? { node, label, since } : undefined;
}
