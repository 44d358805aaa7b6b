/**
 * How is libp2p put together so that only members meet? TCP under the swarm key, Noise, yamux, identify, gossip, and in
 * front of every protocol the membership proof, which is registered before everything else. What libp2p would decide by
 * itself is switched off: its monitor closes healthy connections on lossy paths (liveness is ours), its discovery stores
 * strangers (the address book is ours), its tags redial (our back-off does). There is no network without a swarm key:
 * libp2p itself would start a public one without a word.
 * Limits: connections, streams per protocol, connections in upgrade, time of each step.
 * Source: measured settings ("Settings that matter", "idle sockets" in docs/decisions).
 */
import type { Connection, ConnectionGater, Libp2p, Topology } from '@libp2p/interface';
import type { GossipSub } from '@libp2p/gossipsub';
import { identify, type Identify } from '@libp2p/identify';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { mdnsDiscovery, type MdnsService } from '../discovery/mdns.io.ts';
import { Membership, type MembershipOptions } from '../discovery/membership.io.ts';
import { PendingLimit } from '../discovery/pending-limit.io.ts';
import { swarmProtector } from '../discovery/protector.io.ts';
import { SpareDials } from '../discovery/spare-dials.ts';
import { SwarmKey } from '../discovery/swarm-key.ts';
import { GossipChannel, gossipService } from '../gossip/channel.io.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import type { Identity } from './identity.io.ts';
import type { DialResult, Network, NetworkEvents, NetworkStream, StreamOptions } from './network.ts';
import { thriftyNoise, thriftyProtector, thriftyStream } from './thrifty-libp2p.io.ts';

/** Source: measured: one stream's writes then stay below what pnet's cipher can take, and bulk keeps its speed. */
const STREAM_WINDOW_BYTES = 262_144;
const STREAMS_PER_CONNECTION_MAX = 1_024;
/** Per protocol and connection. Source: guess: one long-lived stream is the rule, large bodies get their own. */
const STREAMS_PER_PROTOCOL_MAX = 256;
const DIAL_MS_MAX = 10_000;
/** A peer with another swarm key never answers in a way that can be read: this ends it. Source: guess: 2 lost SYNs are more. */
const DIAL_ADDRESS_MS_MAX = 2_500;

export interface NetworkOptions {
  readonly identity: Identity;
  readonly swarmKey: SwarmKey;
  /** Multiaddrs, e.g. "/ip4/0.0.0.0/tcp/0". */
  readonly listen: readonly string[];
  /** Addresses under which others reach this node besides those of its interfaces. */
  readonly announce?: readonly string[];
  readonly mdns: false | { readonly loopback: boolean };
  readonly events: NetworkEvents;
  /** Silence after which a connection is no member's. Default 1500. Source: measured: a proof takes 17 ms on loopback. */
  readonly proofTimeoutMs?: number;
  /** Age at which a member's connection ends when the member proves a newer one. Default: that of `Membership`. */
  readonly replacedAfterMs?: number;
  /** Default 512. Source: guess: 32 members, strangers on their way out, and room. */
  readonly connectionsMax?: number;
  /** Connections of one host in upgrade at once. Default 4. Source: measured (`pending-limit.io.ts`). */
  readonly pendingPerHostMax?: number;
}

/** Starts listening. Rejects with a clear message when it cannot, e.g. because the port is in use. */
export async function createNetwork(options: NetworkOptions): Promise<Network> {
  // Types can be got around by a caller in plain JavaScript; a public node must be impossible.
  if (!(options.swarmKey instanceof SwarmKey)) throw new Error('refusing to start without a swarm key');
  const limit = new PendingLimit(options.pendingPerHostMax ?? 4);
  const parts = await assemble(options, limit);
  const network = new Libp2pNetwork(options, parts, limit);
  try {
    await parts.libp2p.start();
  } catch (error) {
    throw new Error(`cannot listen on ${options.listen.join(', ')}: ${listenReason(error)}`, { cause: error });
  }
  parts.channel.subscribe();
  return network;
}

type Services = {
  membership: Membership;
  identify: Identify;
  pubsub: GossipSub;
  mdns?: MdnsService;
};

interface Parts {
  readonly libp2p: Libp2p<Services>;
  readonly membership: Membership;
  readonly channel: GossipChannel;
  readonly spares: SpareDials;
}

async function assemble(options: NetworkOptions, limit: PendingLimit): Promise<Parts> {
  const { swarmKey, events, mdns } = options;
  let registrar: { getTopologies(protocol: string): Topology[] } | undefined;
  const spares = new SpareDials((node) => membership.connections(node).length > 0);
  const topic = swarmKey.gossipTopic();
  const libp2p = await createLibp2p<Services>({
    start: false,
    privateKey: options.identity.privateKey,
    addresses: { listen: [...options.listen], appendAnnounce: [...(options.announce ?? [])] },
    transports: [tcp()],
    connectionProtector: thriftyProtector(swarmProtector(swarmKey)),
    connectionEncrypters: [thriftyNoise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: STREAMS_PER_CONNECTION_MAX,
        maxOutboundStreams: STREAMS_PER_CONNECTION_MAX,
        streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES },
      }),
    ],
    connectionGater: gaterOf(limit, spares),
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: options.connectionsMax ?? 512,
      inboundUpgradeTimeout: 2_000,
      maxIncomingPendingConnections: 128,
      inboundConnectionThreshold: 100,
      dialTimeout: DIAL_MS_MAX,
      addressDialTimeout: DIAL_ADDRESS_MS_MAX,
      reconnectRetries: 0,
    },
    services: {
      // First: its listener must see each connection before any other service does.
      membership: (components) => {
        registrar = components.registrar;
        return new Membership(
          components,
          membershipOptions(options, () => channel),
        );
      },
      identify: identify({ runOnLimitedConnection: true }),
      pubsub: gossipService(topic),
      ...(mdns === false
        ? {}
        : {
            mdns: mdnsDiscovery({
              serviceTag: swarmKey.mdnsServiceTag(),
              loopback: mdns.loopback,
              onFound: (node, addresses) => events.onAddresses(node, addresses, 'mdns'),
            }),
          }),
    },
  });
  const { membership, pubsub } = libp2p.services;
  if (registrar === undefined) throw new Error('libp2p did not create the membership service');
  const channel = new GossipChannel(pubsub, registrar, {
    topic,
    onMessage: events.onMessage,
    onProblem: events.onProblem,
  });
  return { libp2p, membership, channel, spares };
}

function gaterOf(limit: PendingLimit, spares: SpareDials): ConnectionGater {
  return {
    ...limit.gater(),
    denyOutboundEncryptedConnection: (peer, { remoteAddr }) =>
      spares.notice(remoteAddr.toString(), parseNodeId(peer.toString())),
  };
}

function membershipOptions(options: NetworkOptions, channel: () => GossipChannel): MembershipOptions {
  return {
    memberKey: options.swarmKey.memberKey(),
    proofTimeoutMs: options.proofTimeoutMs ?? 1_500,
    ...(options.replacedAfterMs === undefined ? {} : { replacedAfterMs: options.replacedAfterMs }),
    onConnected: (node, connection) => options.events.onMember(node, connection.remoteAddr.toString()),
    onLost: (node) => options.events.onMemberLost(node),
    onStream: (stream, connection, others) => channel().watch(stream, connection, others),
    onProblem: options.events.onProblem,
  };
}

class Libp2pNetwork implements Network {
  readonly node: NodeId;
  readonly #parts: Parts;
  readonly #limit: PendingLimit;

  constructor(options: NetworkOptions, parts: Parts, limit: PendingLimit) {
    this.node = options.identity.node;
    this.#parts = parts;
    this.#limit = limit;
    parts.libp2p.addEventListener('peer:identify', (event) => {
      const { peerId, listenAddrs } = event.detail;
      const node = parseNodeId(peerId.toString());
      if (node === undefined || listenAddrs.length === 0) return;
      options.events.onAddresses(node, listenAddrs.map(String), 'identify');
    });
  }

  addresses(): readonly string[] {
    return this.#parts.libp2p.getMultiaddrs().map(String);
  }

  members(): readonly NodeId[] {
    return this.#parts.membership.members();
  }

  isConnected(node: NodeId): boolean {
    return this.#parts.membership.connections(node).length > 0;
  }

  async dial(node: NodeId | undefined, addresses: readonly string[]): Promise<DialResult> {
    const [first = ''] = addresses;
    const { spares } = this.#parts;
    try {
      const targets = addresses.map((address) => multiaddr(withNode(address, node)));
      if (targets.length === 0) return { type: 'failed', address: first, reason: 'no address' };
      const signal = AbortSignal.timeout(DIAL_MS_MAX);
      return await this.#settle(await this.#parts.libp2p.dial(targets, { signal }), first);
    } catch (error) {
      const spare = spares.found(addresses);
      if (spare !== undefined) return { type: 'connected', ...spare };
      return { type: 'failed', address: first, reason: reasonOf(error) };
    } finally {
      spares.forget(addresses);
    }
  }

  close(node: NodeId, reason: string): void {
    for (const connection of this.#parts.membership.connections(node)) connection.abort(new Error(reason));
  }

  async openStream(node: NodeId, protocol: string, signal: AbortSignal): Promise<NetworkStream> {
    // The newest is the one that proved last that it carries anything.
    const connection = this.#parts.membership.connections(node).at(-1);
    if (connection === undefined) throw new Error(`not connected to ${node}`);
    const maxOutboundStreams = STREAMS_PER_PROTOCOL_MAX;
    return thriftyStream(
      await connection.newStream(protocol, { signal, runOnLimitedConnection: true, maxOutboundStreams }),
    );
  }

  async handle(
    protocol: string,
    handler: (stream: NetworkStream, from: NodeId) => void | Promise<void>,
    options: StreamOptions = {},
  ): Promise<void> {
    const limits = { maxInboundStreams: STREAMS_PER_PROTOCOL_MAX, maxOutboundStreams: STREAMS_PER_PROTOCOL_MAX };
    await this.#parts.membership.secureHandle(
      protocol,
      async (stream, connection) => {
        const from = parseNodeId(connection.remotePeer.toString());
        if (from !== undefined) await handler(thriftyStream(stream), from);
      },
      { ...limits, ...options },
    );
  }

  publish(bytes: Uint8Array): void {
    this.#parts.channel.publish(bytes);
  }

  counters(): Readonly<Record<string, number>> {
    return Object.fromEntries([
      ...named('membership', this.#parts.membership.counters()),
      ...named('gossip', this.#parts.channel.counters()),
      ['pending-refused', this.#limit.refused],
    ]);
  }

  async stop(): Promise<void> {
    this.#parts.channel.stop();
    await this.#parts.libp2p.stop();
  }

  async #settle(connection: Connection, address: string): Promise<DialResult> {
    if (!(await this.#parts.membership.verdict(connection)))
      return { type: 'failed', address, reason: 'the remote did not prove its membership' };
    const node = parseNodeId(connection.remotePeer.toString());
    return node === undefined
      ? { type: 'failed', address, reason: 'the remote is no node' }
      : { type: 'connected', node, address: connection.remoteAddr.toString() };
  }
}

function named(prefix: string, counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).map(([name, count]) => [`${prefix}-${name}`, count]);
}

function withNode(address: string, node: NodeId | undefined): string {
  return node === undefined || address.includes('/p2p/') ? address : `${address}/p2p/${node}`;
}

/** libp2p puts a whole stack and advice for its own users into the message: the one line that says what is wrong. */
function listenReason(error: unknown): string {
  const text = reasonOf(error);
  return /\b(?:listen )?(E[A-Z]{4,}: [^\n]+)/.exec(text)?.[1] ?? text;
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
