/**
 * How can one node reach another? A public one directly. Where both can punch holes, or one of them is public, directly
 * after a rendezvous over a public node. Where one of them is relay-only, or the direct way is cut, over a relay: of the
 * public nodes that run, reach both and have room, the one with the highest hash of (pair, relay), so that a pair agrees
 * on it and pairs spread. Nobody seeks a public node over relays; it may seek others that way.
 * Limits: every punch succeeds; the rendezvous costs its node nothing. Source: libp2p's relay v2 and DCUtR for the kinds.
 */
import type { KeyedRandom } from '../kernel/kernel-port.ts';
import type { NatClass } from '../scenario.ts';
import type { Cuts } from './cuts.ts';
import type { LastMile } from './last-mile.ts';

/** Connections that one node relays; it takes no more. Source: copied, libp2p's circuit relay (128 reservations). */
export const RELAY_CONNECTIONS_MAX = 128;

/** Signalling over the relay before a hole is punched. Source: guess, about that of DCUtR with one retry. */
export const RENDEZVOUS_MS = 2_000;

export type Route =
  | { readonly type: 'direct'; readonly extraMs: number }
  | { readonly type: 'relay'; readonly relay: number }
  | { readonly type: 'none' };

export interface ReachabilityInit {
  readonly cuts: Cuts;
  readonly miles: readonly LastMile[];
  readonly random: KeyedRandom;
  readonly natOf: (node: number) => NatClass;
  /** Connections that this node relays now. */
  readonly relayedBy: (relay: number) => number;
}

export class Reachability {
  readonly #init: ReachabilityInit;
  readonly #publicNodes: readonly number[];
  /** For each node, how many faults keep it from which relays. */
  readonly #refused = new Map<number, Map<number, number>>();

  constructor(init: ReachabilityInit) {
    this.#init = init;
    this.#publicNodes = init.miles.map(({ node }) => node).filter((node) => init.natOf(node) === 'public');
  }

  route(from: number, to: number): Route {
    if (this.#init.natOf(to) === 'public') return { type: 'direct', extraMs: 0 };
    const relay = this.#relayFor(from, to);
    if (relay === undefined) return { type: 'none' };
    if (this.#canPunch(from, to) && this.#isOpenBothWays(from, to)) return { type: 'direct', extraMs: RENDEZVOUS_MS };
    return this.#hasRoom(relay) ? { type: 'relay', relay } : { type: 'none' };
  }

  /** Whether a connection of the two could carry messages now, by cuts and relays alone. */
  canTalk(left: number, right: number): boolean {
    const { natOf } = this.#init;
    const publicOnes = [left, right].filter((node) => natOf(node) === 'public').length;
    if ((publicOnes > 0 || this.#canPunch(left, right)) && this.#isOpenBothWays(left, right)) return true;
    return publicOnes < 2 && this.#publicNodes.some((relay) => this.#isRelayFor(relay, left, right));
  }

  /** These relays take no connection of this node, until it is undone. */
  refuse(node: number, relays: readonly number[]): () => void {
    const counts = this.#refused.get(node) ?? new Map<number, number>();
    this.#refused.set(node, counts);
    for (const relay of relays) counts.set(relay, (counts.get(relay) ?? 0) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      for (const relay of relays) counts.set(relay, (counts.get(relay) ?? 1) - 1);
    };
  }

  #canPunch(left: number, right: number): boolean {
    const { natOf } = this.#init;
    return natOf(left) !== 'relay-only' && natOf(right) !== 'relay-only';
  }

  #isOpenBothWays(left: number, right: number): boolean {
    return this.#init.cuts.passes(left, right) && this.#init.cuts.passes(right, left);
  }

  #hasRoom(relay: number): boolean {
    return this.#init.relayedBy(relay) < RELAY_CONNECTIONS_MAX;
  }

  #isRelayFor(relay: number, left: number, right: number): boolean {
    const mile = this.#init.miles[relay];
    if (relay === left || relay === right || mile === undefined) return false;
    if (!mile.isAwake || !mile.canRelay || this.#isRefused(left, relay) || this.#isRefused(right, relay)) return false;
    return this.#isOpenBothWays(left, relay) && this.#isOpenBothWays(relay, right);
  }

  #isRefused(node: number, relay: number): boolean {
    return (this.#refused.get(node)?.get(relay) ?? 0) > 0;
  }

  /** Those with room come first; without room it may still help two nodes to meet. */
  #relayFor(left: number, right: number): number | undefined {
    const [low, high] = [Math.min(left, right), Math.max(left, right)];
    let best: { readonly relay: number; readonly rank: number } | undefined;
    for (const relay of this.#publicNodes) {
      if (!this.#isRelayFor(relay, left, right)) continue;
      const score = this.#init.random.stream('network-relay', low, high, relay).ratio();
      const rank = score + (this.#hasRoom(relay) ? 1 : 0);
      if (best === undefined || rank > best.rank) best = { relay, rank };
    }
    return best?.relay;
  }
}
