/**
 * How much may one member send through a relay, so that nobody else's answers wait behind its download? Each member has a
 * bucket of bytes that fills at a steady rate; who has emptied it is paused until there is something in it again. Bytes
 * are taken after they came, so a bucket may go below zero by one piece, and nothing is ever dropped or cut.
 * Limits: members are bounded; the one unheard of for longest makes room, because its bucket is full anyway.
 * Source: token bucket (RFC 2697, one rate); the numbers are guesses.
 */
import { invariant } from '../assert.ts';
import type { NodeId } from '../ids.ts';

export interface RelayRate {
  /** What one member may send through us for ever. */
  readonly bytesPerSecond: number;
  /** What it may send at once after a pause. */
  readonly burstBytes: number;
  readonly membersMax: number;
}

/** Source: guess: a tenth of a small server's 100 Mbit/s would be unkind, half of it unfair; 1,000 tokens/s are 0.1 MB/s. */
export const RELAY_RATE: RelayRate = { bytesPerSecond: 4_194_304, burstBytes: 8_388_608, membersMax: 1_024 };

interface Bucket {
  bytes: number;
  atMs: number;
}

export class RelayMeter {
  readonly #rate: RelayRate;
  /** In the order of their last use. */
  readonly #buckets = new Map<NodeId, Bucket>();

  constructor(rate: RelayRate) {
    invariant(rate.bytesPerSecond > 0 && rate.burstBytes > 0 && rate.membersMax > 0, 'a rate lets something through');
    this.#rate = rate;
  }

  /** Takes bytes that a member sent, and says how long it has to wait with the next: 0 = go on. */
  take(member: NodeId, bytes: number, nowMs: number): number {
    const { bytesPerSecond, burstBytes } = this.#rate;
    const bucket = this.#buckets.get(member) ?? { bytes: burstBytes, atMs: nowMs };
    const filled = bucket.bytes + (Math.max(0, nowMs - bucket.atMs) * bytesPerSecond) / 1_000;
    bucket.bytes = Math.min(burstBytes, filled) - bytes;
    bucket.atMs = Math.max(bucket.atMs, nowMs);
    this.#keep(member, bucket);
    return bucket.bytes >= 0 ? 0 : Math.ceil((-bucket.bytes * 1_000) / bytesPerSecond);
  }

  #keep(member: NodeId, bucket: Bucket): void {
    this.#buckets.delete(member);
    this.#buckets.set(member, bucket);
    if (this.#buckets.size <= this.#rate.membersMax) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
