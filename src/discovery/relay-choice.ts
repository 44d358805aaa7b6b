/**
 * At which relays does a node keep a place, so that others find it when no direct way leads to it? At two, when there are
 * two: then one may go without anybody being lost. The nearest ones are taken, and kept as long as they hold: changing
 * relays changes addresses, which costs gossip. One that refused is asked again after a back-off.
 * Limits: only members that are connected directly and say that they relay; failures are remembered for as many.
 * Source: ours.
 */
import { backOffMs } from '../back-off.ts';
import { compareIds, type NodeId } from '../ids.ts';

/** Source: requirement: one may die. Three would be addresses that nobody needs. */
export const RELAYS_WANTED = 2;
const RETRY = { minMs: 2_000, maxMs: 120_000 } as const;
/** Relays whose failures are remembered. Source: guess: as many as there are connections. */
const REMEMBERED_MAX = 64;

export interface RelayCandidate {
  readonly node: NodeId;
  readonly rttMs: number;
}

interface Failures {
  count: number;
  askAgainAtMs: number;
}

export class RelayChoice {
  readonly #wanted: number;
  readonly #failures = new Map<NodeId, Failures>();

  constructor(wanted: number = RELAYS_WANTED) {
    this.#wanted = wanted;
  }

  /** Whom to ask for a place now, given where we have one or have just asked for one; and when to look again. */
  next(
    candidates: readonly RelayCandidate[],
    held: ReadonlySet<NodeId>,
    nowMs: number,
  ): { readonly ask: readonly NodeId[]; readonly againAtMs: number } {
    const missing = Math.max(0, this.#wanted - held.size);
    const open = candidates.filter(({ node }) => !held.has(node));
    const due = open.filter(({ node }) => (this.#failures.get(node)?.askAgainAtMs ?? nowMs) <= nowMs);
    const ask = due
      .toSorted((left, right) => left.rttMs - right.rttMs || compareIds(left.node, right.node))
      .slice(0, missing)
      .map(({ node }) => node);
    const later = open.flatMap(({ node }) => this.#failures.get(node)?.askAgainAtMs ?? []).filter((at) => at > nowMs);
    return { ask, againAtMs: missing > ask.length ? Math.min(Infinity, ...later) : Infinity };
  }

  succeeded(node: NodeId): void {
    this.#failures.delete(node);
  }

  failed(node: NodeId, nowMs: number): void {
    const count = (this.#failures.get(node)?.count ?? 0) + 1;
    this.#failures.delete(node);
    this.#failures.set(node, { count, askAgainAtMs: nowMs + backOffMs(RETRY, count - 1) });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > REMEMBERED_MAX && oldest !== undefined) this.#failures.delete(oldest);
  }
}
