/**
 * Whom to ask for what we lack, one at a time. A late joiner, and a node that slept, needs the view of anybody and
 * tries one connected node after the other until one answers; everything else is a wish for one certain node (it is
 * unknown here, it sent a load without its capability, or it is the turn of anti-entropy) and is dropped on failure.
 * Bounded: one exchange in flight, 32 wishes, the oldest of which gives way.
 */
import { backOffMs } from '../back-off.ts';
import type { NodeId } from '../ids.ts';
import type { Prng } from '../prng.ts';

/** How long an answer may take: twice as long after each that did not come, because who wakes up finds connections that are
 *  dead without knowing, and the way may be slow as well. Source: guess: 10 000 members took 52 ms and the check of their
 *  signatures a second. */
const ANSWER_MS = { minMs: 1_000, maxMs: 5_000 } as const;
/** Between two exchanges, so that no flood of odd messages makes us ask all the time. Source: guess. */
const GAP_MS = 200;
/** Before everybody is asked again after nobody answered. Source: guess. */
const ROUND_GAP_MS = 1_000;
const WISHES_MAX = 32;

export class SnapshotExchange {
  readonly #prng: Prng;
  readonly #wishes = new Set<NodeId>();
  readonly #tried = new Set<NodeId>();
  #needed = true;
  #joined = false;
  #inFlight: { readonly node: NodeId; readonly deadlineMs: number } | undefined;
  #pausedUntilMs = -Infinity;
  /** Exchanges in a row that came to nothing. */
  #unanswered = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Whether nobody's view came since it was last needed. */
  get needed(): boolean {
    return this.#needed;
  }

  need(): void {
    this.#needed = true;
  }

  wish(node: NodeId): void {
    this.#wishes.delete(node);
    this.#wishes.add(node);
    const [oldest] = this.#wishes;
    if (this.#wishes.size > WISHES_MAX && oldest !== undefined) this.#wishes.delete(oldest);
  }

  /** Whom to ask now, if anybody; `everything` for a joiner that has nothing to compare. */
  next(connections: readonly NodeId[], nowMs: number): { node: NodeId; everything: boolean } | undefined {
    if (this.#inFlight !== undefined && nowMs >= this.#inFlight.deadlineMs)
      this.ended(this.#inFlight.node, false, nowMs);
    if (this.#inFlight !== undefined || nowMs < this.#pausedUntilMs || connections.length === 0) return undefined;
    const node = this.#needed ? this.#anybody(connections, nowMs) : this.#wished(connections);
    if (node === undefined) return undefined;
    this.#inFlight = { node, deadlineMs: nowMs + backOffMs(ANSWER_MS, this.#unanswered) };
    return { node, everything: !this.#joined };
  }

  isAwaited(from: NodeId): boolean {
    return this.#inFlight?.node === from;
  }

  ended(from: NodeId, answered: boolean, nowMs: number): void {
    if (this.#inFlight?.node !== from) return;
    this.#inFlight = undefined;
    this.#pausedUntilMs = nowMs + GAP_MS;
    this.#tried.add(from);
    this.#unanswered = answered ? 0 : this.#unanswered + 1;
    if (!answered) return;
    this.#joined = true;
    // Its view answers most wishes; those who are still unknown will show again by a load without capability.
    if (this.#needed) this.#wishes.clear();
    this.#needed = false;
    this.#tried.clear();
  }

  nextMs(): number {
    if (this.#inFlight !== undefined) return this.#inFlight.deadlineMs;
    return this.#needed || this.#wishes.size > 0 ? this.#pausedUntilMs : Infinity;
  }

  #anybody(connections: readonly NodeId[], nowMs: number): NodeId | undefined {
    const untried = connections.filter((node) => !this.#tried.has(node));
    if (untried.length === 0) {
      this.#tried.clear();
      this.#pausedUntilMs = nowMs + ROUND_GAP_MS;
    }
    return untried[this.#prng.nextBelow(untried.length)];
  }

  #wished(connections: readonly NodeId[]): NodeId | undefined {
    for (const node of this.#wishes) {
      this.#wishes.delete(node);
      if (connections.includes(node)) return node;
    }
    return undefined;
  }
}
