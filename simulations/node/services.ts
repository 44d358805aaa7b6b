/**
 * What the world lends to each simulated process: time, the network, the way gossip spreads, who is who, and the trace.
 */
import type { SwarmFingerprint, NodeId } from '../../src/ids.ts';
import type { Parse, Sign, Verify } from '../../src/gossip/message-codec.ts';
import type { EventQueue, KeyedRandom } from '../kernel/kernel-port.ts';
import type { Connection, NetworkPort } from '../network/network-port.ts';
import type { GossipItem, Payload } from './payload.ts';
import type { Process } from './process.ts';
import type { WorldEvent } from '../world-event.ts';

/** Who is who: numbers, ids, addresses and keys of all nodes. */
export interface Directory {
  idOf(node: number): NodeId;
  /** -1 for an id of nobody. */
  nodeOf(id: NodeId): number;
  addressOf(node: number): string;
  /** -1 for an address of nobody. */
  nodeAt(address: string): number;
  signerOf(node: number): Sign;
  readonly verify: Verify;
  /** The production parser, once for each message however many hear it. */
  readonly parse: Parse;
  /** The number of the message that a capability or rows of loads came in. */
  sequenceOf(part: object): number | undefined;
  readonly swarm: SwarmFingerprint;
}

/** How messages spread. One for the world, because it decides who hears what when. */
export interface GossipFabric {
  publish(process: Process, item: GossipItem): void;
  /** The core's word on a message that this fabric delivered. */
  judged(process: Process, item: GossipItem, verdict: 'accept' | 'ignore' | 'reject'): void;
  connectionOpened(process: Process, connection: Connection): void;
  connectionClosed(process: Process, connection: Connection): void;
  /** A payload of its own kind came: have, want, graft, prune, gossip. */
  received(process: Process, connection: Connection, payload: Payload): void;
  /** The process is gone. */
  forget(process: Process): void;
}

export interface Services {
  readonly queue: EventQueue;
  readonly random: KeyedRandom;
  readonly network: NetworkPort<Payload>;
  readonly directory: Directory;
  readonly gossip: GossipFabric;
  /** A message that was made now; the fabric and the liars know its author. */
  newItem(made: { readonly bytes: Uint8Array; readonly author: number; readonly forged: boolean }): GossipItem;
  /** The truth about a message that somebody holds. */
  itemOf(bytes: Uint8Array): GossipItem | undefined;
  emit(event: WorldEvent): void;
}
