/**
 * How does each end of a connection know that the other one belongs? Both send a fresh nonce; then, for each swarm key
 * they accept, an HMAC-SHA-256 under a derivation of it over the sender's role, both node ids (as the encrypted channel has
 * authenticated them) and both nonces, each with its length; then, to a remote whose proof was right and to nobody
 * else, their certificate, which may be empty. So a proof serves one connection, one direction, once: it cannot be
 * replayed, reflected or moved to another peer; and whoever lacks the key learns nothing but a nonce and some hashes. Who
 * holds the key and is not admitted is told why in one more byte. Everything has a length; one byte too many, and the
 * stranger is refused. Limits: it proves possession of the key, not good behaviour.
 * Source: challenge-response of ISO/IEC 9798-4 (mutual, two nonces); several keys: ours.
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { invariant } from '../assert.ts';
import { concat, utf8 } from '../bytes.ts';
import type { NodeId } from '../ids.ts';
import { ADMISSION_REFUSALS, type AdmissionRefusal } from './admission.ts';
import { CERTIFICATE_BYTES_MAX } from './certificate.ts';
import { KEYS_MAX } from './key-ring.ts';

export const PROOF_PROTOCOL = '/skein/member/2';
export const NONCE_BYTES = 32;
const MAC_BYTES = 32;
/** In front of the certificate. */
const LENGTH_BYTES = 2;

export type ProofRole = 'dialler' | 'listener';
/** Why a connection is no member's: nothing came, too much or too little came, the wrong proof came, or it is not admitted. */
export type ProofRefusal =
  'silent' | 'garbage' | 'wrong-proof' | 'reflected' | 'not-a-node' | 'closed' | AdmissionRefusal;

export interface ProofOptions {
  readonly role: ProofRole;
  readonly local: NodeId;
  readonly remote: NodeId;
  /** 1 to `KEYS_MAX`, the primary one first. */
  readonly memberKeys: readonly Uint8Array[];
  /** 32 fresh random bytes. */
  readonly nonce: Uint8Array;
  /** Our own; empty where there is none. */
  readonly certificate: Uint8Array;
  /** Asked once, about a remote that holds the key. */
  readonly judge: (certificate: Uint8Array) => AdmissionRefusal | undefined;
}

export interface ProofStep {
  /** To be sent now, in this order. */
  readonly send: readonly Uint8Array[];
  readonly verdict: 'pending' | 'proven' | 'refused';
  readonly refusal?: ProofRefusal;
  /** Why the remote does not admit us, as it says. */
  readonly refusedBy?: AdmissionRefusal;
}

/** What is expected next. */
type Stage = 'nonce' | 'proofs' | 'certificate' | 'over';

export class MembershipProof {
  readonly #options: ProofOptions;
  #received: Uint8Array = new Uint8Array();
  #isSilent = true;
  #stage: Stage = 'nonce';
  #remoteNonce: Uint8Array = new Uint8Array();
  #verdict: ProofStep['verdict'] = 'pending';
  #provenBy: readonly Uint8Array[] = [];
  #certificate: Uint8Array = new Uint8Array();

  constructor(options: ProofOptions) {
    invariant(options.nonce.length === NONCE_BYTES, 'a nonce has 32 bytes');
    invariant(options.memberKeys.length > 0 && options.memberKeys.length <= KEYS_MAX, 'there are keys, and few');
    invariant(
      options.memberKeys.every((key) => key.length === 32),
      'a member key has 32 bytes',
    );
    invariant(options.certificate.length <= CERTIFICATE_BYTES_MAX, 'a certificate is small');
    this.#options = options;
  }

  /** Of our keys, those that the remote holds too. */
  get provenBy(): readonly Uint8Array[] {
    return this.#provenBy;
  }

  /** What the remote showed. */
  get certificate(): Uint8Array {
    return this.#certificate;
  }

  /** What both sides send first. */
  start(): ProofStep {
    return { send: [this.#options.nonce], verdict: 'pending' };
  }

  /** The next bytes of the remote, in any cut. After a verdict nothing changes it. */
  receive(bytes: Uint8Array): ProofStep {
    if (this.#verdict !== 'pending') return this.#afterwards(bytes);
    this.#isSilent &&= bytes.length === 0;
    this.#received = concat([this.#received, bytes]);
    const send: Uint8Array[] = [];
    for (;;) {
      const before = this.#stage;
      const step = this.#advance();
      send.push(...step.send);
      if (step.verdict !== 'pending') return { ...step, send };
      if (this.#stage === before) return { send, verdict: 'pending' };
    }
  }

  /** The remote will send no more. */
  ended(): ProofStep {
    if (this.#verdict !== 'pending') return { send: [], verdict: this.#verdict };
    return this.#refuse(this.#isSilent ? 'silent' : 'garbage');
  }

  /** The time is up. */
  expired(): ProofStep {
    return this.ended();
  }

  #advance(): ProofStep {
    if (this.#stage === 'nonce') return this.#readNonce();
    return this.#stage === 'proofs' ? this.#readProofs() : this.#readCertificate();
  }

  #readNonce(): ProofStep {
    const nonce = this.#take(NONCE_BYTES);
    if (nonce === undefined) return PENDING;
    if (equalInConstantTime(nonce, this.#options.nonce)) return this.#refuse('reflected');
    this.#remoteNonce = nonce;
    this.#stage = 'proofs';
    const { memberKeys, role } = this.#options;
    return {
      send: [concat([Uint8Array.of(memberKeys.length), ...memberKeys.map((key) => this.#mac(key, role))])],
      verdict: 'pending',
    };
  }

  #readProofs(): ProofStep {
    const [count = 1] = this.#received;
    if (count === 0 || count > KEYS_MAX) return this.#refuse('garbage');
    const proofs = this.#take(1 + count * MAC_BYTES);
    if (proofs === undefined) return PENDING;
    const macs = Array.from({ length: count }, (_, index) =>
      proofs.subarray(1 + index * MAC_BYTES, 1 + (index + 1) * MAC_BYTES),
    );
    const remoteRole = this.#options.role === 'dialler' ? 'listener' : 'dialler';
    this.#provenBy = this.#options.memberKeys.filter((key) => {
      const expected = this.#mac(key, remoteRole);
      // All are compared, whichever fits.
      return macs.map((mac) => equalInConstantTime(expected, mac)).includes(true);
    });
    if (this.#provenBy.length === 0) return this.#refuse('wrong-proof');
    this.#stage = 'certificate';
    const { certificate } = this.#options;
    const length = Uint8Array.of(certificate.length >> 8, certificate.length & 0xff);
    return { send: [concat([length, certificate])], verdict: 'pending' };
  }

  #readCertificate(): ProofStep {
    const [high = 0, low = 0] = this.#received;
    const length = (high << 8) | low;
    if (this.#received.length < LENGTH_BYTES) return PENDING;
    if (length > CERTIFICATE_BYTES_MAX) return this.#refuse('garbage');
    const certificate = this.#take(LENGTH_BYTES + length);
    if (certificate === undefined) return PENDING;
    // What follows can only be the reason why we are refused, which is no matter of what we think of the remote.
    const rest = this.#received;
    if (rest.length > 1) return this.#refuse('garbage');
    this.#certificate = certificate.subarray(LENGTH_BYTES);
    this.#stage = 'over';
    const refusal = this.#options.judge(this.#certificate);
    if (refusal !== undefined) {
      this.#verdict = 'refused';
      return { send: [Uint8Array.of(ADMISSION_REFUSALS.indexOf(refusal) + 1)], verdict: 'refused', refusal };
    }
    this.#verdict = 'proven';
    return { ...this.#afterwards(rest), verdict: 'proven' };
  }

  #afterwards(bytes: Uint8Array): ProofStep {
    const refusedBy = bytes.length === 1 ? ADMISSION_REFUSALS[(bytes[0] ?? 0) - 1] : undefined;
    return { send: [], verdict: this.#verdict, ...(refusedBy === undefined ? {} : { refusedBy }) };
  }

  /** The first `length` bytes of what came, or undefined until they are there. */
  #take(length: number): Uint8Array | undefined {
    if (this.#received.length < length) return undefined;
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }

  #refuse(refusal: ProofRefusal): ProofStep {
    this.#verdict = 'refused';
    this.#stage = 'over';
    return { send: [], verdict: 'refused', refusal };
  }

  #mac(memberKey: Uint8Array, role: ProofRole): Uint8Array {
    const { local, remote, nonce } = this.#options;
    const ours = this.#options.role === 'dialler';
    // Always in the dialler's order, so that both sides hash the same bytes.
    const fields = [
      utf8(PROOF_PROTOCOL),
      utf8(role),
      utf8(ours ? local : remote),
      utf8(ours ? remote : local),
      ours ? nonce : this.#remoteNonce,
      ours ? this.#remoteNonce : nonce,
    ];
    const message = concat(fields.flatMap((field) => [Uint8Array.of(field.length >> 8, field.length & 0xff), field]));
    return hmac(sha256, memberKey, message);
  }
}

const PENDING: ProofStep = { send: [], verdict: 'pending' };

/** Takes as long for a near miss as for a far one. */
function equalInConstantTime(left: Uint8Array, right: Uint8Array): boolean {
  let difference = left.length ^ right.length;
  for (let index = 0; index < left.length; index += 1) difference |= (left[index] ?? 0) ^ (right[index] ?? 0);
  return difference === 0;
}
