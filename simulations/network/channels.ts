/**
 * All connections of the network: which ends a node has, which run over a relay, who is connected to whom, and how much
 * each node has in its send buffers. A connection is kept until both its ends are closed, because a forgotten end still
 * sends. Sets are walked in the order in which connections were made, which the run itself decides.
 * Limits: as many connections as the hosts ask for; those of one relay are bounded by `reachability.ts`.
 */
import type { EventQueue } from '../kernel/kernel-port.ts';
import { End, type EndWatch } from './end.ts';
import { Flow } from './flow.ts';
import type { Inbox } from './inbox.ts';
import type { Path } from './path.ts';

export interface Channel<Payload> {
  readonly dialler: End<Payload>;
  readonly listener: End<Payload>;
  readonly relay: number | undefined;
  readonly forward: Path;
  readonly backward: Path;
}

export interface Opening<Payload> {
  readonly from: number;
  readonly to: number;
  readonly relay: number | undefined;
  readonly forward: Path;
  readonly backward: Path;
  readonly dialler: Inbox<Payload>;
  readonly listener: Inbox<Payload>;
}

export class Channels<Payload> implements EndWatch<Payload> {
  readonly #queue: EventQueue;
  readonly #nodes: number;
  readonly #ofNode: readonly Set<Channel<Payload>>[];
  readonly #throughNode: readonly Set<Channel<Payload>>[];
  /** Connections whose both ends are open, for each pair, smaller node first. */
  readonly #whole: Uint16Array;
  readonly #channelOf = new Map<End<Payload>, Channel<Payload>>();
  #lastId = 0;

  constructor(queue: EventQueue, nodes: number) {
    this.#queue = queue;
    this.#nodes = nodes;
    this.#ofNode = Array.from({ length: nodes }, () => new Set());
    this.#throughNode = Array.from({ length: nodes }, () => new Set());
    this.#whole = new Uint16Array(nodes * nodes);
  }

  open(opening: Opening<Payload>): Channel<Payload> {
    const { from, to, relay, forward, backward } = opening;
    this.#lastId += 1;
    const common = { id: this.#lastId, path: relay ?? ('direct' as const), watch: this };
    const dialler = new End({ ...common, local: from, remote: to, dialled: true, inbox: opening.dialler });
    const listener = new End({ ...common, local: to, remote: from, dialled: false, inbox: opening.listener });
    const queue = this.#queue;
    dialler.sendOver(new Flow<Payload>({ queue, forward, backward, near: dialler, far: listener }));
    listener.sendOver(new Flow<Payload>({ queue, forward: backward, backward: forward, near: listener, far: dialler }));
    const channel = { dialler, listener, relay, forward, backward };
    this.#channelOf.set(dialler, channel).set(listener, channel);
    this.#ofNode[from]?.add(channel);
    this.#ofNode[to]?.add(channel);
    if (relay !== undefined) this.#throughNode[relay]?.add(channel);
    this.#countWhole(channel, 1);
    return channel;
  }

  /** A copy, so that what is done with them may close them. */
  of(node: number): readonly Channel<Payload>[] {
    return [...(this.#ofNode[node] ?? [])];
  }

  /** Those that this node relays, a copy too. */
  through(relay: number): readonly Channel<Payload>[] {
    return [...(this.#throughNode[relay] ?? [])];
  }

  relayedBy(relay: number): number {
    return this.#throughNode[relay]?.size ?? 0;
  }

  isConnected(left: number, right: number): boolean {
    return (this.#whole[this.#pair(left, right)] ?? 0) > 0;
  }

  /** One of their connections carries now, both ways: its relay, if it has one, is awake and reached by both. */
  isCarried(left: number, right: number): boolean {
    for (const { dialler, listener, forward, backward } of this.#ofNode[left] ?? []) {
      if (dialler.local !== right && listener.local !== right) continue;
      if (forward.isOpen && backward.isOpen) return true;
    }
    return false;
  }

  relaysOf(left: number, right: number): readonly number[] {
    const relays: number[] = [];
    for (const { dialler, listener, relay } of this.#ofNode[left] ?? [])
      if (relay !== undefined && (dialler.local === right || listener.local === right)) relays.push(relay);
    return relays;
  }

  /** Of all connections that are not closed at both ends. */
  bufferedBytes(node: number): number {
    let bytes = 0;
    for (const channel of this.#ofNode[node] ?? []) bytes += endOf(channel, node).outgoing?.unackedBytes ?? 0;
    return bytes;
  }

  /** The relay holds it no longer; it carries nothing more. */
  unrelay(channel: Channel<Payload>): void {
    channel.forward.isDead = true;
    channel.backward.isDead = true;
    if (channel.relay !== undefined) this.#throughNode[channel.relay]?.delete(channel);
  }

  shut(end: End<Payload>): void {
    const channel = this.#channelOf.get(end);
    if (channel === undefined) return;
    const { dialler, listener, relay } = channel;
    if ((end === dialler ? listener : dialler).open) {
      this.#countWhole(channel, -1);
      return;
    }
    this.#channelOf.delete(dialler);
    this.#channelOf.delete(listener);
    this.#ofNode[dialler.local]?.delete(channel);
    this.#ofNode[listener.local]?.delete(channel);
    if (relay !== undefined) this.#throughNode[relay]?.delete(channel);
  }

  #countWhole({ dialler }: Channel<Payload>, change: 1 | -1): void {
    const pair = this.#pair(dialler.local, dialler.remote);
    this.#whole[pair] = (this.#whole[pair] ?? 0) + change;
  }

  #pair(left: number, right: number): number {
    return Math.min(left, right) * this.#nodes + Math.max(left, right);
  }
}

export function endOf<Payload>(channel: Channel<Payload>, node: number): End<Payload> {
  return channel.dialler.local === node ? channel.dialler : channel.listener;
}
