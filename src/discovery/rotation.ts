/**
 * How does a whole swarm change its key in step? An order in three steps, each signed: *stage* (everybody accepts the new
 * key as well), *use* (everybody dials with it), *finish* (the old one is refused). Orders have a round that only rises;
 * a node follows the latest and never goes back, and carrying one out twice changes nothing. Where the swarm has an
 * owner only the owner orders; where it has none, any member may, because there possession of the key is the boundary.
 * Limits: two orders of one round: the key with the lower fingerprint wins everywhere. An order holds the new key, so it is
 * sent to members only, and never when the old key leaked: a thief is a member until the key changes. Source: ours.
 */
import { decodeCanonical, encodeCanonical } from '../bytes.ts';
import { compareIds, type NodeId, parseNodeId } from '../ids.ts';
import { type KeyRing, withAccepted, withOnly, withPrimary } from './key-ring.ts';
import {
  isCount,
  openRecord,
  type RecordForm,
  sealRecord,
  type Sign,
  signedBytes,
  type VerifySignature,
} from './signed-record.ts';
import { type SwarmKey, swarmKeyOf } from './swarm-key.ts';

export const ROTATION_STEPS = ['stage', 'use', 'finish'] as const;
export type RotationStep = (typeof ROTATION_STEPS)[number];

export const ORDER_BYTES_MAX = 256;
const FORM: RecordForm = { domain: 'skein key rotation 1\n', bytesMax: ORDER_BYTES_MAX };

export interface RotationOrder {
  readonly author: NodeId;
  readonly round: number;
  readonly step: RotationStep;
  /** The new one. */
  readonly key: SwarmKey;
}

export interface SignedOrder {
  readonly bytes: Uint8Array;
  readonly order: RotationOrder;
}

export function signOrder(order: RotationOrder, sign: Sign): SignedOrder {
  const payload = [order.author, order.round, order.step, order.key.secretBytes()];
  return { bytes: sealRecord(FORM, encodeCanonical(payload), sign), order };
}

/** Undefined unless one who may order it signed it. */
export function readOrder(
  bytes: Uint8Array,
  owner: NodeId | undefined,
  verify: VerifySignature,
): SignedOrder | undefined {
  const record = openRecord(FORM, bytes);
  const order = record === undefined ? undefined : readPayload(decodeCanonical(record.payload));
  if (record === undefined || order === undefined) return undefined;
  if (owner !== undefined && order.author !== owner) return undefined;
  return verify(order.author, signedBytes(FORM, record.payload), record.signature) ? { bytes, order } : undefined;
}

/** 1. a later round; 2. within one, the lower fingerprint; 3. for one key, the later step. */
export function supersedes(order: RotationOrder, known: RotationOrder | undefined): boolean {
  if (known === undefined) return true;
  if (order.round !== known.round) return order.round > known.round;
  const byKey = compareIds(order.key.fingerprint, known.key.fingerprint);
  if (byKey !== 0) return byKey < 0;
  return ROTATION_STEPS.indexOf(order.step) > ROTATION_STEPS.indexOf(known.step);
}

/** The ring of a node that follows `order`. */
export function follow(ring: KeyRing, { step, key }: RotationOrder): KeyRing {
  if (step === 'stage') return withAccepted(ring, key);
  return step === 'use' ? withPrimary(ring, key) : withOnly(ring, key);
}

function readPayload(value: unknown): RotationOrder | undefined {
  if (!Array.isArray(value) || value.length !== 4) return undefined;
  const [authorText, round, stepText, keyBytes]: readonly unknown[] = value;
  const author = parseNodeId(authorText);
  const step = ROTATION_STEPS.find((one) => one === stepText);
  const parsed = keyBytes instanceof Uint8Array ? swarmKeyOf(keyBytes) : undefined;
  if (author === undefined || step === undefined || !isCount(round) || round === 0) return undefined;
  return parsed?.type === 'swarm-key' ? { author, round, step, key: parsed.key } : undefined;
}
