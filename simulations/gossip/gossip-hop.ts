/**
 * Gossip, message by message and hop by hop, after gossipsub with the settings of `gossip/channel.io.ts`: each process keeps
 * about six connections as its mesh, passes a new message on to them when its core accepted it, and once a second tells
 * some of the others what it saw lately, so that they can ask for what they missed. What a message costs and how often
 * it comes twice follow from that. `gossip-aggregated.ts` draws its delays from a table that was measured with this.
 * Left out: scores, px and the fan-out of processes that are not subscribed, none of which decides anything here.
 */
import type { RandomStream } from '../kernel/kernel-port.ts';
import type { Connection } from '../network/network-port.ts';
import type { GossipItem, Payload } from '../node/payload.ts';
import type { Process } from '../node/process.ts';
import type { GossipFabric } from '../node/services.ts';

/** Degree of the mesh, and its bounds. Source: `D: 6` of our settings, gossipsub's defaults for the others. */
const DEGREE = 6;
const DEGREE_MIN = 4;
const DEGREE_MAX = 12;
/** Connections that are told what was seen, each second. Source: gossipsub's Dlazy. */
const TOLD_MAX = 6;
/** Source: gossipsub. */
const HEARTBEAT_MS = 1_000;
/** Seconds whose messages are told. Source: `mcacheGossip: 2`. */
const TOLD_SECONDS = 2;
/** Seconds that a message is remembered. Source: `seenTTL` of our settings, in two halves. */
const SEEN_HALF_MS = 30_000;
/** Verdicts come at once from the core; more than this in one step is a mistake. Source: `PENDING_MAX` of the real channel. */
const PENDING_MAX = 1_024;

interface Mesh {
  readonly process: Process;
  readonly random: RandomStream;
  /** By node number, so that choices do not depend on the order of arrival. */
  readonly peers: Map<number, Connection>;
  readonly grafted: Set<number>;
  seen: Set<number>;
  seenBefore: Set<number>;
  seenSinceMs: number;
  /** Messages of this second and of those before it, newest first. */
  recent: GossipItem[][];
  readonly pending: Map<number, number>;
  stopped: boolean;
}

export interface HopOptions {
  random(node: number): RandomStream;
  /** How often a process passes a message on: 2 where a fault duplicates. */
  copies(node: number): number;
}

export class HopGossip implements GossipFabric {
  readonly #options: HopOptions;
  /** By node number: the mesh of the process that runs there. */
  readonly #meshes: (Mesh | undefined)[] = [];

  constructor(options: HopOptions) {
    this.#options = options;
  }

  publish(process: Process, item: GossipItem): void {
    const mesh = this.#meshOf(process);
    mesh.seen.add(item.id);
    mesh.recent[0]?.push(item);
    this.#spread(mesh, item, -1);
  }

  judged(process: Process, item: GossipItem, verdict: 'accept' | 'ignore' | 'reject'): void {
    const mesh = this.#meshOf(process);
    const from = mesh.pending.get(item.id) ?? -1;
    mesh.pending.delete(item.id);
    if (verdict !== 'accept') return;
    mesh.recent[0]?.push(item);
    this.#spread(mesh, item, from);
  }

  connectionOpened(process: Process, connection: Connection): void {
    const mesh = this.#meshOf(process);
    mesh.peers.set(connection.remote, connection);
  }

  connectionClosed(process: Process, connection: Connection): void {
    const mesh = this.#known(process);
    if (mesh === undefined || mesh.peers.get(connection.remote) !== connection) return;
    mesh.grafted.delete(connection.remote);
    const other = process.connections.to(connection.remote);
    if (other === undefined || other === connection) mesh.peers.delete(connection.remote);
    else mesh.peers.set(connection.remote, other);
  }

  received(process: Process, connection: Connection, payload: Payload): void {
    const mesh = this.#meshOf(process);
    switch (payload.type) {
      case 'gossip':
        return this.#arrived(mesh, connection, payload.item);
      case 'have': {
        const items = payload.items.filter(({ id }) => !hasSeen(mesh, id));
        if (items.length > 0) process.send(connection, { type: 'want', items });
        return;
      }
      case 'want':
        for (const item of payload.items) process.send(connection, { type: 'gossip', item });
        return;
      case 'graft':
        if (mesh.grafted.size < DEGREE_MAX) mesh.grafted.add(connection.remote);
        else process.send(connection, { type: 'prune' });
        return;
      case 'prune':
        mesh.grafted.delete(connection.remote);
        return;
      default:
    }
  }

  forget(process: Process): void {
    const mesh = this.#known(process);
    if (mesh === undefined) return;
    mesh.stopped = true;
    this.#meshes[process.node] = undefined;
  }

  #arrived(mesh: Mesh, connection: Connection, item: GossipItem): void {
    if (hasSeen(mesh, item.id) || mesh.pending.size >= PENDING_MAX) return;
    mesh.seen.add(item.id);
    mesh.pending.set(item.id, connection.remote);
    mesh.process.hearGossip(item, connection.remote);
  }

  #spread(mesh: Mesh, item: GossipItem, from: number): void {
    const { process } = mesh;
    const copies = this.#options.copies(process.node);
    const payload = { type: 'gossip', item } as const;
    for (const remote of mesh.grafted) {
      const connection = mesh.peers.get(remote);
      if (connection === undefined || remote === from) continue;
      if (from < 0 && item.audience !== undefined && (remote & 1) !== item.audience) continue;
      for (let copy = 0; copy < copies; copy += 1) process.send(connection, payload);
    }
  }

  #graft(mesh: Mesh, connection: Connection): void {
    mesh.grafted.add(connection.remote);
    mesh.process.send(connection, { type: 'graft' });
  }

  #heartbeat(mesh: Mesh): void {
    if (mesh.stopped) return;
    const { process, random } = mesh;
    const others = [...mesh.peers.keys()].filter((remote) => !mesh.grafted.has(remote)).toSorted((a, b) => a - b);
    shuffle(others, random);
    if (mesh.grafted.size < DEGREE_MIN) {
      for (const remote of others.splice(0, DEGREE - mesh.grafted.size)) {
        const connection = mesh.peers.get(remote);
        if (connection !== undefined) this.#graft(mesh, connection);
      }
    }
    const told = mesh.recent.flat();
    if (told.length > 0) {
      for (const remote of others.slice(0, TOLD_MAX)) {
        const connection = mesh.peers.get(remote);
        if (connection !== undefined) process.send(connection, { type: 'have', items: told });
      }
    }
    mesh.recent = [[], ...mesh.recent.slice(0, TOLD_SECONDS - 1)];
    const nowMs = process.nowMs();
    if (nowMs - mesh.seenSinceMs >= SEEN_HALF_MS) {
      mesh.seenBefore = mesh.seen;
      mesh.seen = new Set();
      mesh.seenSinceMs = nowMs;
    }
    process.after(HEARTBEAT_MS, () => this.#heartbeat(mesh));
  }

  #known(process: Process): Mesh | undefined {
    const mesh = this.#meshes[process.node];
    return mesh?.process === process ? mesh : undefined;
  }

  #meshOf(process: Process): Mesh {
    const known = this.#known(process);
    if (known !== undefined) return known;
    const random = this.#options.random(process.node);
    const mesh: Mesh = {
      process,
      random,
      peers: new Map(),
      grafted: new Set(),
      seen: new Set(),
      seenBefore: new Set(),
      seenSinceMs: process.nowMs(),
      recent: [[]],
      pending: new Map(),
      stopped: false,
    };
    this.#meshes[process.node] = mesh;
    process.after(random.below(HEARTBEAT_MS), () => this.#heartbeat(mesh));
    return mesh;
  }
}

function hasSeen(mesh: Mesh, id: number): boolean {
  return mesh.seen.has(id) || mesh.seenBefore.has(id);
}

function shuffle(values: number[], random: RandomStream): void {
  for (let last = values.length - 1; last > 0; last -= 1) {
    const other = random.below(last + 1);
    const value = values[last] ?? 0;
    values[last] = values[other] ?? 0;
    values[other] = value;
  }
}
