/**
 * Which swarm keys does a node accept at the moment, and with which does it dial? One primary key, and while keys are
 * changed a few others: a node proves itself with all of them and takes a proof by any. So two nodes understand each other
 * as long as they share one key, and the mesh changes its key node by node without a cut.
 * Limits: four keys, more only slow every handshake down; adding one to a full ring lets the oldest accepted one go.
 * Source: copied: Consul's keyring (install, use, remove).
 */
import { invariant } from '../assert.ts';
import type { SwarmFingerprint } from '../ids.ts';
import type { SwarmAnchor } from './swarm-anchor.ts';
import type { SwarmKey } from './swarm-key.ts';

/** Source: guess: one in use, one to come, and one rotation that was never finished. */
export const KEYS_MAX = 4;

export interface KeyRing {
  /** The names under which the swarm meets. */
  readonly anchor: SwarmAnchor;
  /** The primary one first; 1 to `KEYS_MAX`. */
  readonly keys: readonly SwarmKey[];
}

/** A swarm that never changed its key. */
export function ringOf(key: SwarmKey): KeyRing {
  return { anchor: key.anchor(), keys: [key] };
}

export function primaryOf({ keys: [primary] }: KeyRing): SwarmKey {
  invariant(primary !== undefined, 'a ring has a primary key');
  return primary;
}

export function fingerprintsOf({ keys }: KeyRing): readonly SwarmFingerprint[] {
  return keys.map(({ fingerprint }) => fingerprint);
}

/** `key` is accepted as well; the newest accepted one comes right after the primary one. */
export function withAccepted(ring: KeyRing, key: SwarmKey): KeyRing {
  const [primary, ...accepted] = ring.keys;
  if (primary === undefined || holds(ring, key)) return ring;
  return { ...ring, keys: [primary, key, ...accepted].slice(0, KEYS_MAX) };
}

/** `key` is the one to dial with; the others are still accepted. */
export function withPrimary(ring: KeyRing, key: SwarmKey): KeyRing {
  const others = ring.keys.filter(({ fingerprint }) => fingerprint !== key.fingerprint);
  return { ...ring, keys: [key, ...others].slice(0, KEYS_MAX) };
}

/** `key` alone. */
export function withOnly(ring: KeyRing, key: SwarmKey): KeyRing {
  return { ...ring, keys: [key] };
}

function holds(ring: KeyRing, key: SwarmKey): boolean {
  return ring.keys.some(({ fingerprint }) => fingerprint === key.fingerprint);
}
