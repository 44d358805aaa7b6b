/**
 * Is it worth trying to punch a hole between these two kinds of NAT? What failed between two kinds fails again between the
 * next two nodes behind them, so failures are remembered by pair of kinds, for all nodes together, with a back-off. Where one side maps
 * every peer to another port and the other is behind a NAT as well, ICE cannot work and is not tried at all. Unknown kinds
 * say nothing about anybody else: nothing is remembered of them.
 * Limits: as many entries as there are pairs of kinds. Source: measured in namespaces (two masquerades: 88 ms; a symmetric one: never).
 */
import { backOffMs } from '../back-off.ts';
import type { Nat } from './reachability.ts';

/** Source: guess: a router that is restarted is tried again within the hour. */
const RETRY = { minMs: 60_000, maxMs: 3_600_000 } as const;

export interface NatPair {
  readonly own: Nat;
  readonly remote: Nat;
}

export class NatMemory {
  readonly #failures = new Map<string, { readonly count: number; readonly againAtMs: number }>();

  /** When a direct path by WebRTC may be tried between the two: now or earlier = yes; Infinity = never. */
  mayTryAtMs(pair: NatPair): number {
    if (isHopeless(pair)) return Number.POSITIVE_INFINITY;
    return this.#failures.get(keyOf(pair))?.againAtMs ?? Number.NEGATIVE_INFINITY;
  }

  failed(pair: NatPair, nowMs: number): void {
    if (pair.own === 'unknown' || pair.remote === 'unknown') return;
    const count = (this.#failures.get(keyOf(pair))?.count ?? 0) + 1;
    this.#failures.set(keyOf(pair), { count, againAtMs: nowMs + backOffMs(RETRY, count - 1) });
  }

  succeeded(pair: NatPair): void {
    this.#failures.delete(keyOf(pair));
  }

  /** This machine is in another network: what was learnt in the last one says nothing. */
  forget(): void {
    this.#failures.clear();
  }
}

function isHopeless({ own, remote }: NatPair): boolean {
  const oneIsSymmetric = own === 'symmetric' || remote === 'symmetric';
  return oneIsSymmetric && [own, remote].every((nat) => nat === 'symmetric' || nat === 'endpoint-independent');
}

/** Whoever dials, it is the same two routers. */
function keyOf({ own, remote }: NatPair): string {
  return own < remote ? `${own} ${remote}` : `${remote} ${own}`;
}
