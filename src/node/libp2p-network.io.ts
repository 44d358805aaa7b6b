/**
 * What the rest of a node sees of libp2p: the port of `network.ts`, each call handed to the part that answers it. Streams
 * are opened on the best path unless one is named, on members' connections only, and may run where a relay sets limits.
 * Limits: streams per protocol and connection; everything else is bounded where it lives.
 */
import type { Connection, Libp2p, StreamHandler, StreamHandlerOptions } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { ReachVerdict } from '../discovery/reachability.ts';
import type { PathKind } from '../discovery/transports.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import type {
  DialResult,
  Network,
  NetworkEvents,
  NetworkPath,
  NetworkReach,
  NetworkStream,
  StreamOptions,
} from './network.ts';
import { thriftyStream } from './thrifty-libp2p.io.ts';

/** Per protocol and connection. Source: guess: one long-lived stream is the rule, large bodies get their own. */
const STREAMS_PER_PROTOCOL_MAX = 256;

type Counters = Readonly<Record<string, number>>;

/** The parts as far as they are needed here. */
export interface NetworkParts {
  readonly libp2p: Pick<Libp2p, 'addEventListener' | 'stop'>;
  readonly membership: {
    members(): readonly NodeId[];
    connections(node: NodeId): readonly Connection[];
    best(node: NodeId): Connection | undefined;
    secureHandle(protocol: string, handler: StreamHandler, options: StreamHandlerOptions): Promise<void>;
    review(): void;
    counters(): Counters;
  };
  readonly paths: {
    paths(node?: NodeId): readonly NetworkPath[];
    connection(path: string): Connection | undefined;
    dial(node: NodeId | undefined, addresses: readonly string[]): Promise<DialResult>;
    dialPath(node: NodeId, kind: PathKind, addresses: readonly string[]): Promise<DialResult>;
    closePath(path: string, reason: string): void;
    stop(): void;
  };
  readonly reach: {
    readonly verdict: ReachVerdict;
    readonly isRelay: boolean;
    relays(): readonly { readonly relay: NodeId }[];
    addresses(): readonly string[];
    identified(what: {
      readonly connection: Connection;
      readonly protocols: readonly string[];
      readonly listenAddrs: readonly Multiaddr[];
      readonly observedAddr?: Multiaddr;
    }): void;
    counters(): Counters;
    stop(): Promise<void>;
  };
  readonly channel: { publish(bytes: Uint8Array): void; counters(): Counters; stop(): void };
  readonly limit: { readonly refused: number };
}

export class Libp2pNetwork implements Network {
  readonly node: NodeId;
  readonly #parts: NetworkParts;

  constructor(node: NodeId, parts: NetworkParts, events: Pick<NetworkEvents, 'onAddresses'>) {
    this.node = node;
    this.#parts = parts;
    parts.libp2p.addEventListener('peer:identify', (event) => {
      const { peerId, listenAddrs, connection, protocols, observedAddr } = event.detail;
      parts.reach.identified({
        connection,
        protocols,
        listenAddrs,
        ...(observedAddr === undefined ? {} : { observedAddr }),
      });
      const remote = parseNodeId(peerId.toString());
      if (remote === undefined || listenAddrs.length === 0) return;
      events.onAddresses(remote, toldAddresses(listenAddrs), 'identify');
    });
  }

  addresses(): readonly string[] {
    return this.#parts.reach.addresses();
  }

  reach(): NetworkReach {
    const { verdict, isRelay } = this.#parts.reach;
    return { ...verdict, isRelay, relays: this.#parts.reach.relays().map(({ relay }) => relay) };
  }

  members(): readonly NodeId[] {
    return this.#parts.membership.members();
  }

  isConnected(node: NodeId): boolean {
    return this.#parts.membership.connections(node).length > 0;
  }

  async dial(node: NodeId | undefined, addresses: readonly string[]): Promise<DialResult> {
    return this.#parts.paths.dial(node, addresses);
  }

  close(node: NodeId, reason: string): void {
    for (const connection of this.#parts.membership.connections(node)) connection.abort(new Error(reason));
  }

  paths(node?: NodeId): readonly NetworkPath[] {
    return this.#parts.paths.paths(node);
  }

  async dialPath(node: NodeId, kind: PathKind, addresses: readonly string[]): Promise<DialResult> {
    return this.#parts.paths.dialPath(node, kind, addresses);
  }

  closePath(path: string, reason: string): void {
    this.#parts.paths.closePath(path, reason);
  }

  async openStream(...[node, protocol, signal, path]: Parameters<Network['openStream']>): Promise<NetworkStream> {
    const { membership, paths } = this.#parts;
    const connection = path === undefined ? membership.best(node) : paths.connection(path);
    if (connection === undefined) throw new Error(`not connected to ${node}`);
    const maxOutboundStreams = STREAMS_PER_PROTOCOL_MAX;
    return thriftyStream(
      await connection.newStream(protocol, { signal, runOnLimitedConnection: true, maxOutboundStreams }),
    );
  }

  async handle(
    protocol: string,
    handler: (stream: NetworkStream, from: NodeId, path: string) => void | Promise<void>,
    options: StreamOptions = {},
  ): Promise<void> {
    const limits = { maxInboundStreams: STREAMS_PER_PROTOCOL_MAX, maxOutboundStreams: STREAMS_PER_PROTOCOL_MAX };
    await this.#parts.membership.secureHandle(
      protocol,
      async (stream, connection) => {
        const from = parseNodeId(connection.remotePeer.toString());
        if (from !== undefined) await handler(thriftyStream(stream), from, connection.id);
      },
      { ...limits, ...options },
    );
  }

  reviewMembers(): void {
    this.#parts.membership.review();
  }

  publish(bytes: Uint8Array): void {
    this.#parts.channel.publish(bytes);
  }

  counters(): Readonly<Record<string, number>> {
    return Object.fromEntries([
      ...named('membership', this.#parts.membership.counters()),
      ...named('gossip', this.#parts.channel.counters()),
      ...named('relay', this.#parts.reach.counters()),
      ['pending-refused', this.#parts.limit.refused],
    ]);
  }

  async stop(): Promise<void> {
    this.#parts.channel.stop();
    this.#parts.paths.stop();
    await this.#parts.reach.stop();
    await this.#parts.libp2p.stop();
  }
}

function named(prefix: string, counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).map(([name, count]) => [`${prefix}-${name}`, count]);
}

/** The others' ways through relays are told by gossip, with the relay that they prefer. */
function toldAddresses(addresses: readonly Multiaddr[]): readonly string[] {
  return addresses.map(String).filter((address) => !address.includes('/p2p-circuit'));
}
