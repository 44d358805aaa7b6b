/**
 * Has this author said more than a member ever needs to? Everybody passes on what everybody says, so one that speaks
 * without end would fill the uplinks of all. Idea: a bucket of messages per author, refilled at twice the fastest pace at
 * which an honest node speaks; what is beyond it is neither taken in nor passed on. Only verified news is counted:
 * what others send again in an author's name costs it nothing. Accusations, of which a torn mesh needs many at once, have
 * a bucket of their own. Each node counts for itself and all count about the same: nobody has to agree on the limit.
 * Limits: `AUTHORS_MAX` authors, the one that spoke first makes room; who makes new identities gets new buckets.
 */
import type { NodeId } from '../ids.ts';
import { GOSSIP } from '../params.ts';

/** An honest node changes its mind at most this often. Source: `beaconEventGapMs`, the least time between two messages, halved. */
const REFILL_MS = GOSSIP.beaconEventGapMs / 2;
/** What may come at once. Source: computed: what an honest node says in 16 s, the oldest that a woken peer was seen to deliver. */
const BURST = 64;
/** Source: the members of a view, and as many again that left and returned. */
const AUTHORS_MAX = 2 * GOSSIP.membersMax;

export type Spending = 'beacon' | 'accusation';

interface Bucket {
  /** When it is full again. */
  fullAtMs: number;
}

export class AuthorBudgets {
  readonly #buckets: Readonly<Record<Spending, Map<NodeId, Bucket>>> = { beacon: new Map(), accusation: new Map() };

  /** Takes one message out of the author's bucket; false when it is empty. */
  spend(author: NodeId, spending: Spending, nowMs: number): boolean {
    const buckets = this.#buckets[spending];
    const known = buckets.get(author);
    const fullAtMs = Math.max(known?.fullAtMs ?? nowMs, nowMs) + REFILL_MS;
    if (fullAtMs - nowMs > BURST * REFILL_MS) return false;
    if (known !== undefined) {
      known.fullAtMs = fullAtMs;
      return true;
    }
    if (buckets.size >= AUTHORS_MAX) makeRoom(buckets, nowMs);
    buckets.set(author, { fullAtMs });
    return true;
  }
}

/** A full bucket says nothing; without one, the oldest goes. */
function makeRoom(buckets: Map<NodeId, Bucket>, nowMs: number): void {
  for (const [author, { fullAtMs }] of buckets) if (fullAtMs <= nowMs) buckets.delete(author);
  if (buckets.size < AUTHORS_MAX) return;
  for (const oldest of buckets.keys()) {
    buckets.delete(oldest);
    return;
  }
}
