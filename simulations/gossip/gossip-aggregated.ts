/**
 * Gossip without its hops: each observer hears a message once, after a delay drawn from a table that was measured with
 * `gossip-hop.ts`. Who hears it at all? Everybody in the same island of connections as its author, at the moment when
 * it was published. The observers of one message are split into as many parcels as the table has quantiles, anew for
 * each message, so that a message costs sixteen events instead of one per observer.
 * A process that stands still hears its backlog when it goes on, as from its kernel's buffers; a sleeping one does not.
 */
import { GOSSIP_QUANTILES } from './gossip-table.ts';
import type { EventQueue } from '../kernel/kernel-port.ts';
import type { Connection } from '../network/network-port.ts';
import type { GossipItem, Payload } from '../node/payload.ts';
import type { Process } from '../node/process.ts';
import type { GossipFabric } from '../node/services.ts';

/** Messages that wait for a process that stands still. Source: what the outbound buffers of six real peers hold, in beacons. */
const BACKLOG_MAX = 4_096;

/** As many as the table has quantiles. */
const PARCELS = 16;

/** Bytes that a delivery costs its receiver, and that passing on costs, with duplicates. Source: measured (5.1 copies at degree 6). */
const COPIES = 5.1;

export interface AggregatedOptions {
  readonly queue: EventQueue;
  /** Mean one-way delay of the scenario's paths. */
  readonly delayMs: number;
  /** How a process hears now: it runs, it stands still and hears later, or it hears nothing. */
  hearing(node: number): 'now' | 'later' | 'never';
  /** The network would carry a message both ways. */
  canTalk(left: number, right: number): boolean;
}

interface Member {
  readonly process: Process;
  readonly backlog: { readonly item: GossipItem; readonly from: number }[];
}

export class AggregatedGossip implements GossipFabric {
  readonly #options: AggregatedOptions;
  /** By node number. */
  readonly #members: (Member | undefined)[] = [];
  /** By the size of an island. */
  readonly #delays = new Map<number, readonly number[]>();
  /** For each node another one of its island, at the end the one that stands for it; undefined = to be found anew. */
  #islands: number[] | undefined;

  constructor(options: AggregatedOptions) {
    this.#options = options;
  }

  publish(process: Process, item: GossipItem): void {
    const islands = this.#islandsNow();
    const island = rootOf(islands, process.node);
    const parcels: number[][] = Array.from({ length: PARCELS }, () => []);
    let observers = 0;
    for (let node = 0; node < this.#members.length; node += 1) {
      if (this.#members[node] === undefined || node === process.node || !isFor(item, node)) continue;
      if (rootOf(islands, node) !== island) continue;
      observers += 1;
      // A different share of the observers for each message and quantile: everybody is near some and far from others.
      parcels[mix(item.id, node) % PARCELS]?.push(node);
    }
    process.sentBytes.gossip += Math.round(item.bytes.length * COPIES);
    const delays = this.#delaysFor(observers + 1);
    for (const [index, parcel] of parcels.entries()) {
      const delay = delays[index];
      if (parcel.length === 0 || delay === undefined) continue;
      const atMs = this.#options.queue.nowMs + Math.max(1, Math.round(delay * this.#options.delayMs));
      this.#options.queue.at(atMs, () => this.#deliver(parcel, item, process.node));
    }
  }

  judged(): void {
    // Passing on is in the table.
  }

  connectionOpened(process: Process, { remote }: Connection): void {
    const { node } = process;
    this.#members[node] ??= { process, backlog: [] };
    const islands = this.#islands;
    if (islands === undefined) return;
    // A new way can only join two islands; whatever goes away makes them be found anew.
    while (islands.length <= Math.max(node, remote)) islands.push(islands.length);
    if (this.#options.canTalk(node, remote)) join(islands, node, remote);
  }

  connectionClosed(): void {
    this.#islands = undefined;
  }

  received(_process: Process, _connection: Connection, _payload: Payload): void {
    // There are no gossip payloads on the connections.
  }

  forget(process: Process): void {
    if (this.#members[process.node]?.process === process) this.#members[process.node] = undefined;
    this.#islands = undefined;
  }

  /** The network changed: a cut, or its end. */
  pathsChanged(): void {
    this.#islands = undefined;
  }

  /** A process goes on after it stood still. */
  wentOn(node: number): void {
    const member = this.#members[node];
    for (const { item, from } of member?.backlog.splice(0) ?? []) member?.process.hearGossip(item, from);
  }

  #delaysFor(nodes: number): readonly number[] {
    const known = this.#delays.get(nodes);
    if (known !== undefined) return known;
    const delays = quantilesFor(nodes);
    this.#delays.set(nodes, delays);
    return delays;
  }

  #deliver(parcel: readonly number[], item: GossipItem, author: number): void {
    for (const node of parcel) {
      const member = this.#members[node];
      if (member === undefined) continue;
      const hearing = this.#options.hearing(node);
      if (hearing === 'now') member.process.hearGossip(item, this.#relayOf(member, author));
      else if (hearing === 'later' && member.backlog.length < BACKLOG_MAX)
        member.backlog.push({ item, from: this.#relayOf(member, author) });
    }
  }

  /** From whom it came: the author where the two are connected, else any neighbour. */
  #relayOf({ process }: Member, author: number): number {
    if (process.connections.to(author) !== undefined) return author;
    return process.connections.anybody() ?? author;
  }

  #islandsNow(): number[] {
    if (this.#islands !== undefined) return this.#islands;
    const islands = Array.from(this.#members, (_, node) => node);
    for (const [node, member] of this.#members.entries()) {
      if (member === undefined) continue;
      for (const remote of member.process.connections.nodes()) {
        while (islands.length <= remote) islands.push(islands.length);
        if (this.#options.canTalk(node, remote)) join(islands, node, remote);
      }
    }
    this.#islands = islands;
    return islands;
  }
}

function rootOf(islands: number[], node: number): number {
  let root = node;
  while ((islands[root] ?? root) !== root) root = islands[root] ?? root;
  // The way there is short the next time.
  if (islands[node] !== root && node < islands.length) islands[node] = root;
  return root;
}

function join(islands: number[], left: number, right: number): void {
  const leftRoot = rootOf(islands, left);
  const rightRoot = rootOf(islands, right);
  islands[Math.max(leftRoot, rightRoot)] = Math.min(leftRoot, rightRoot);
}

function isFor({ audience }: GossipItem, node: number): boolean {
  return audience === undefined || (node & 1) === audience;
}

/** Between two measured sizes in proportion to the logarithm of the size; beyond them as the nearest. */
function quantilesFor(nodes: number): readonly number[] {
  const [first] = GOSSIP_QUANTILES;
  const below = GOSSIP_QUANTILES.findLast((row) => row.nodes <= nodes) ?? first;
  const above = GOSSIP_QUANTILES.find((row) => row.nodes >= nodes) ?? below;
  if (below === undefined || above === undefined) return [];
  if (below.nodes === above.nodes) return below.delays;
  const share = Math.log(nodes / below.nodes) / Math.log(above.nodes / below.nodes);
  return below.delays.map((delay, index) => delay + ((above.delays[index] ?? delay) - delay) * share);
}

function mix(left: number, right: number): number {
  const mixed = Math.imul(left ^ Math.imul(right, 0x9e37_79b1), 0x85eb_ca6b);
  return (mixed ^ (mixed >>> 15)) >>> 4;
}
