/**
 * How does each end of a connection know that the other one holds the swarm key? Both send a fresh nonce, then an
 * HMAC-SHA-256 under a derivation of the key over the sender's role, both node ids (as the encrypted channel has
 * authenticated them) and both nonces, each with its length. So a proof serves one connection, one direction, once:
 * it cannot be replayed, reflected or moved to another peer. Every message has a fixed size; one byte too many, and the
 * stranger is refused. Limits: it proves possession of the key, not good behaviour.
 * Source: challenge-response of ISO/IEC 9798-4 (mutual, two nonces).
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { invariant } from '../assert.ts';
import { concat, utf8 } from '../bytes.ts';
import type { NodeId } from '../ids.ts';

export const PROOF_PROTOCOL = '/skein/member/1';
export const NONCE_BYTES = 32;
const MAC_BYTES = 32;
const MESSAGE_BYTES = NONCE_BYTES + MAC_BYTES;

export type ProofRole = 'dialler' | 'listener';
/** Why a connection is no member's: nothing came, too much or too little came, or the wrong proof came. */
export type ProofRefusal = 'silent' | 'garbage' | 'wrong-proof' | 'reflected' | 'not-a-node' | 'closed';

export interface ProofOptions {
  readonly role: ProofRole;
  readonly local: NodeId;
  readonly remote: NodeId;
  readonly memberKey: Uint8Array;
  /** 32 fresh random bytes. */
  readonly nonce: Uint8Array;
}

export interface ProofStep {
  /** To be sent now, in this order. */
  readonly send: readonly Uint8Array[];
  readonly verdict: 'pending' | 'proven' | 'refused';
  readonly refusal?: ProofRefusal;
}

export class MembershipProof {
  readonly #options: ProofOptions;
  #received: Uint8Array = new Uint8Array();
  #answered = false;
  #verdict: ProofStep['verdict'] = 'pending';

  constructor(options: ProofOptions) {
    invariant(options.nonce.length === NONCE_BYTES, 'a nonce has 32 bytes');
    invariant(options.memberKey.length === 32, 'a member key has 32 bytes');
    this.#options = options;
  }

  /** What both sides send first. */
  start(): ProofStep {
    return { send: [this.#options.nonce], verdict: 'pending' };
  }

  /** The next bytes of the remote, in any cut. After a verdict nothing changes it. */
  receive(bytes: Uint8Array): ProofStep {
    if (this.#verdict !== 'pending') return { send: [], verdict: this.#verdict };
    if (this.#received.length + bytes.length > MESSAGE_BYTES) return this.#refuse('garbage');
    this.#received = concat([this.#received, bytes]);
    if (this.#received.length < NONCE_BYTES) return { send: [], verdict: 'pending' };

    const remoteNonce = this.#received.subarray(0, NONCE_BYTES);
    if (equalInConstantTime(remoteNonce, this.#options.nonce)) return this.#refuse('reflected');
    const send = this.#answered ? [] : [this.#mac(this.#options.role, remoteNonce)];
    this.#answered = true;
    if (this.#received.length < MESSAGE_BYTES) return { send, verdict: 'pending' };

    const expected = this.#mac(this.#options.role === 'dialler' ? 'listener' : 'dialler', remoteNonce);
    if (!equalInConstantTime(expected, this.#received.subarray(NONCE_BYTES))) return this.#refuse('wrong-proof');
    this.#verdict = 'proven';
    return { send, verdict: 'proven' };
  }

  /** The remote will send no more. */
  ended(): ProofStep {
    if (this.#verdict !== 'pending') return { send: [], verdict: this.#verdict };
    return this.#refuse(this.#received.length === 0 ? 'silent' : 'garbage');
  }

  /** The time is up. */
  expired(): ProofStep {
    return this.ended();
  }

  #refuse(refusal: ProofRefusal): ProofStep {
    this.#verdict = 'refused';
    return { send: [], verdict: 'refused', refusal };
  }

  #mac(role: ProofRole, remoteNonce: Uint8Array): Uint8Array {
    const { local, remote, nonce } = this.#options;
    const ours = this.#options.role === 'dialler';
    // Always in the dialler's order, so that both sides hash the same bytes.
    const fields = [
      utf8(PROOF_PROTOCOL),
      utf8(role),
      utf8(ours ? local : remote),
      utf8(ours ? remote : local),
      ours ? nonce : remoteNonce,
      ours ? remoteNonce : nonce,
    ];
    const message = concat(fields.flatMap((field) => [Uint8Array.of(field.length >> 8, field.length & 0xff), field]));
    return hmac(sha256, this.#options.memberKey, message);
  }
}

/** Takes as long for a near miss as for a far one. */
function equalInConstantTime(left: Uint8Array, right: Uint8Array): boolean {
  let difference = left.length ^ right.length;
  for (let index = 0; index < left.length; index += 1) difference |= (left[index] ?? 0) ^ (right[index] ?? 0);
  return difference === 0;
}
