/**
 * Gossip without its hops: each observer hears a message once, after a delay drawn from a table that was measured with
 * `gossip-hop.ts`. Who hears it at all? Everybody in the same island of connections as its author, at the moment when
 * it was published. The observers of one message are split into as many parcels as the table has quantiles, anew for
 * each message, so that a message costs sixteen events instead of one per observer.
 * A process that stands still hears its backlog when it goes on, as from its kernel's buffers; a sleeping one does not.
 */
import { GOSSIP_QUANTILES } from './gossip-table.ts';
import type { EventQueue } from './kernel-port.ts';
import type { Connection } from './network-port.ts';
import type { GossipItem, Payload } from './payload.ts';
import type { Process } from './process.ts';
import type { GossipFabric } from './services.ts';

/** Messages that wait for a process that stands still. Source: what the outbound buffers of six real peers hold, in beacons. */
const BACKLOG_MAX = 4_096;

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
  #islands: readonly number[] | undefined;

  constructor(options: AggregatedOptions) {
    this.#options = options;
  }

  publish(process: Process, item: GossipItem): void {
    const islands = this.#islandsNow();
    const island = islands[process.node];
    const observers: number[] = [];
    for (const [node, member] of this.#members.entries())
      if (member !== undefined && node !== process.node && islands[node] === island && isFor(item, node))
        observers.push(node);
    process.sentBytes.gossip += Math.round(item.bytes.length * COPIES);
    const delays = quantilesFor(observers.length + 1);
    for (const [index, delay] of delays.entries()) {
      // A different share of the observers for each message and quantile: everybody is near some and far from others.
      const parcel = observers.filter((node) => (mix(item.id, node) & 15) === index);
      if (parcel.length === 0) continue;
      const atMs = this.#options.queue.nowMs + Math.max(1, Math.round(delay * this.#options.delayMs));
      this.#options.queue.at(atMs, () => this.#deliver(parcel, item, process.node));
    }
  }

  judged(): void {
    // Passing on is in the table.
  }

  connectionOpened(process: Process, _connection: Connection): void {
    this.#islands = undefined;
    this.#members[process.node] ??= { process, backlog: [] };
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

  /** For each node the number of its island: the smallest node in it. */
  #islandsNow(): readonly number[] {
    if (this.#islands !== undefined) return this.#islands;
    const parent = this.#members.map((_, node) => node);
    const find = (node: number): number => {
      let root = node;
      while (parent[root] !== root) root = parent[root] ?? root;
      parent[node] = root;
      return root;
    };
    for (const [node, member] of this.#members.entries()) {
      for (const { remote } of member?.process.connections.all() ?? []) {
        if (!this.#options.canTalk(node, remote)) continue;
        const [left, right] = [find(node), find(remote)];
        if (left < right) parent[right] = left;
        else parent[left] = right;
      }
    }
    this.#islands = parent.map((_, node) => find(node));
    return this.#islands;
  }
}

function isFor({ audience }: GossipItem, node: number): boolean {
  return audience === undefined || (node & 1) === audience;
}

function quantilesFor(nodes: number): readonly number[] {
  const row = GOSSIP_QUANTILES.findLast((one) => one.nodes <= nodes) ?? GOSSIP_QUANTILES[0];
  return row?.delays ?? [];
}

function mix(left: number, right: number): number {
  const mixed = Math.imul(left ^ Math.imul(right, 0x9e37_79b1), 0x85eb_ca6b);
  return (mixed ^ (mixed >>> 15)) >>> 4;
}
