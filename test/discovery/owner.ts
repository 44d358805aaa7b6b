/** An owner, nodes and what they sign, for the tests of trust. */
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import type { NodeId } from '../../src/ids.ts';
import { parseNodeId } from '../../src/ids.ts';
import { publicKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromPublicKey } from '@libp2p/peer-id';

export interface Signer {
  readonly id: NodeId;
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

const publicKeys = new Map<NodeId, ReturnType<typeof generateKeyPairSync>['publicKey']>();

export function newSigner(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const id = parseNodeId(peerIdFromPublicKey(publicKeyFromRaw(raw)).toString());
  if (id === undefined) throw new Error('an Ed25519 key has an id');
  publicKeys.set(id, publicKey);
  return { id, sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)) };
}

export function verifySignature(author: NodeId, bytes: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKeys.get(author);
  return key !== undefined && verify(null, bytes, key, signature);
}

export const OWNER = newSigner();
export const STRANGER = newSigner();
export const NODES = Array.from({ length: 5 }, () => newSigner().id).toSorted() as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];
export const NOW = 1_800_000_000;
