/**
 * What do two members say to each other so that both end up with all that either knows of the owner's word and of key
 * changes? The one who opens the stream sends a digest of what it has and the fingerprints of the keys that it accepts; the
 * other answers with its own and, where the digests differ, with everything; then the first sends everything too. Each
 * merges (`trust-state.ts`, `rotation.ts`), which can be repeated at will.
 * Bytes: canonical CBOR [1, digest, fingerprints, lists, certificates, orders]; the last three are empty where nothing is to
 * be told. Limits: one frame of at most `TRUST_FRAME_BYTES_MAX`; longer ones end the stream.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { concat, decodeCanonical, encodeCanonical } from '../bytes.ts';
import { parseSwarmFingerprint, type SwarmFingerprint } from '../ids.ts';
import { KEYS_MAX } from './key-ring.ts';
import { ORDER_BYTES_MAX } from './rotation.ts';
import {
  bundleOf,
  encodeTrust,
  readBundle,
  TRUST_STATE_BYTES_MAX,
  type TrustBundle,
  type TrustState,
} from './trust-state.ts';

export const TRUST_PROTOCOL = '/skein/trust/1';
export const TRUST_FRAME_BYTES_MAX = TRUST_STATE_BYTES_MAX + ORDER_BYTES_MAX + 512;
const DIGEST_BYTES = 32;

export interface TrustMessage {
  readonly digest: Uint8Array;
  /** Of the keys that the sender accepts, its primary one first. */
  readonly keys: readonly SwarmFingerprint[];
  readonly bundle: TrustBundle;
  /** The latest order, where there is one. */
  readonly order: Uint8Array | undefined;
}

/** What a node would tell. */
export interface TrustKnowledge {
  readonly trust: TrustState;
  readonly order: Uint8Array | undefined;
  readonly keys: readonly SwarmFingerprint[];
}

/** `everything` = not only the digest. */
export function trustMessage({ trust, order, keys }: TrustKnowledge, everything: boolean): TrustMessage {
  const digest = sha256(concat([encodeTrust(trust), order ?? new Uint8Array()]));
  if (!everything) return { digest, keys, bundle: { lists: [], certificates: [] }, order: undefined };
  return { digest, keys, bundle: bundleOf(trust), order };
}

export function encodeTrustMessage({ digest, keys, bundle, order }: TrustMessage): Uint8Array {
  const orders = order === undefined ? [] : [order];
  return encodeCanonical([1, digest, keys, bundle.lists, bundle.certificates, orders]);
}

export function decodeTrustMessage(bytes: Uint8Array): TrustMessage | undefined {
  if (bytes.length > TRUST_FRAME_BYTES_MAX) return undefined;
  const value = decodeCanonical(bytes);
  if (!Array.isArray(value) || value.length !== 6 || value[0] !== 1) return undefined;
  const [, digest, keyTexts, lists, certificates, orders]: readonly unknown[] = value;
  const keys = readKeys(keyTexts);
  const bundle = readBundle(lists, certificates);
  if (!(digest instanceof Uint8Array) || digest.length !== DIGEST_BYTES) return undefined;
  if (keys === undefined || bundle === undefined || !isOrderList(orders)) return undefined;
  return { digest, keys, bundle, order: orders[0] };
}

function isOrderList(value: unknown): value is readonly Uint8Array[] {
  return Array.isArray(value) && value.length <= 1 && value.every((order) => order instanceof Uint8Array);
}

function readKeys(value: unknown): readonly SwarmFingerprint[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > KEYS_MAX) return undefined;
  const keys = value.map(parseSwarmFingerprint).filter((key) => key !== undefined);
  return keys.length === value.length ? keys : undefined;
}
