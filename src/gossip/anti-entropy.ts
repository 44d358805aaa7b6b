/**
 * What does the other one not know? Two views are compared by 512 bytes: 64 buckets of members (by the hash of their
 * id), each the XOR of the 64-bit hashes of the signed messages kept for them. Buckets that differ are sent whole; an
 * empty digest asks for everything (a late joiner). The hash covers the signed bytes, so that two versions of one
 * sequence number show as a difference too. Limits: the hash is no defence against a member that seeks collisions; it
 * could only hide its own bucket's differences until the next message. Source: docs/PROTOCOL.md.
 */
import { type Hash64, hash64, utf8 } from '../bytes.ts';
import type { NodeId } from '../ids.ts';

export const DIGEST_BUCKETS = 64;
export const DIGEST_BYTES = DIGEST_BUCKETS * 8;

export class ViewDigest {
  readonly #words = new Uint32Array(DIGEST_BUCKETS * 2);

  /** Puts a message in, or takes it out again. */
  toggle(bucket: number, hash: Hash64): void {
    const index = bucket * 2;
    this.#words[index] = (this.#words[index] ?? 0) ^ hash.high;
    this.#words[index + 1] = (this.#words[index + 1] ?? 0) ^ hash.low;
  }

  /** The digest as sent: big-endian, bucket by bucket. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(DIGEST_BYTES);
    const view = new DataView(bytes.buffer);
    for (const [index, word] of this.#words.entries()) view.setUint32(index * 4, word);
    return bytes;
  }

  /** The buckets in which `digest` differs: all for an empty one, none for bytes of any other length. */
  differingBuckets(digest: Uint8Array): ReadonlySet<number> {
    const buckets = new Set<number>();
    if (digest.length !== 0 && digest.length !== DIGEST_BYTES) return buckets;
    const own = this.bytes();
    for (let bucket = 0; bucket < DIGEST_BUCKETS; bucket += 1) {
      const start = bucket * 8;
      const differs = own.subarray(start, start + 8).some((byte, offset) => byte !== digest[start + offset]);
      if (digest.length === 0 || differs) buckets.add(bucket);
    }
    return buckets;
  }
}

export function bucketOf(author: NodeId): number {
  return hash64(utf8(author)).low % DIGEST_BUCKETS;
}
