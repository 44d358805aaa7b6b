/**
 * How is libp2p put together so that only members meet? TCP under the swarm key, Noise, yamux, identify, gossip, and in
 * front of every protocol the membership proof, which is registered before everything else; relays and WebRTC behind the
 * same proof. libp2p's discovery would store strangers: the address book is ours, and so are dials and the choice of the
 * path. There is no network without a swarm key: libp2p itself would start a public one without a word.
 * Limits: connections, streams per protocol, connections in upgrade, time of each step (`libp2p-settings.io.ts`).
 */
import type { Connection, ConnectionGater, Libp2p } from '@libp2p/interface';
import type { GossipSub } from '@libp2p/gossipsub';
import { identify, identifyPush, type Identify, type IdentifyPush } from '@libp2p/identify';
import { tcp } from '@libp2p/tcp';
import type { Multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { type Admission, openAdmission } from '../discovery/admission.ts';
import { type KeyRing, ringOf } from '../discovery/key-ring.ts';
import { mdnsDiscovery, type MdnsService } from '../discovery/mdns.io.ts';
import type { MembershipComponents } from '../discovery/membership-entry.io.ts';
import { Membership } from '../discovery/membership.io.ts';
import { PathTable } from '../discovery/path-table.io.ts';
import { PendingLimit } from '../discovery/pending-limit.io.ts';
import { RingProtector } from '../discovery/protector.io.ts';
import { ReachKeeper, type ReachComponents, type ReachSettings } from '../discovery/reachability.io.ts';
import { SpareDials } from '../discovery/spare-dials.ts';
import { gossipTopicOf, mdnsServiceTagOf } from '../discovery/swarm-anchor.ts';
import { SwarmKey } from '../discovery/swarm-key.ts';
import { hostOf, pathKindOf } from '../discovery/transports.ts';
import { reasonOf } from '../errors.ts';
import { GossipChannel, gossipService } from '../gossip/channel.io.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import { GOSSIP } from '../params.ts';
import type { Identity } from './identity.io.ts';
import { Libp2pNetwork } from './libp2p-network.io.ts';
import { libp2pSettings } from './libp2p-settings.io.ts';
import type { Network, NetworkEvents } from './network.ts';
import { thriftyProtector } from './thrifty-libp2p.io.ts';

export interface NetworkOptions {
  readonly identity: Identity;
  readonly swarmKey: SwarmKey;
  /** The keys in use and who is admitted, as they change. Default: that key, and it is enough. */
  readonly trust?: NetworkTrust;
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
  /** Relays and WebRTC. Default: relay for members when reachable, WebRTC when it is needed. */
  readonly reach?: Partial<Omit<ReachSettings, 'announce' | 'listenLazily' | 'addressesMax'>>;
}

export interface NetworkTrust {
  readonly ring: () => KeyRing;
  readonly admission: Admission;
}

/** Starts listening. Rejects with a clear message when it cannot, e.g. because the port is in use. */
export async function createNetwork(options: NetworkOptions): Promise<Network> {
  // Types can be got around by a caller in plain JavaScript; a public node must be impossible.
  if (!(options.swarmKey instanceof SwarmKey)) throw new Error('refusing to start without a swarm key');
  const parts = await new Assembly(options).create();
  const network = new Libp2pNetwork(options.identity.node, parts, options.events);
  try {
    await parts.libp2p.start();
  } catch (error) {
    throw new Error(`cannot listen on ${options.listen.join(', ')}: ${listenReason(error)}`, { cause: error });
  }
  parts.channel.subscribe();
  parts.reach.start();
  return network;
}

type Services = {
  membership: Membership;
  identify: Identify;
  identifyPush: IdentifyPush;
  pubsub: GossipSub;
  mdns?: MdnsService;
};

interface Parts {
  readonly libp2p: Libp2p<Services>;
  readonly membership: Membership;
  readonly channel: GossipChannel;
  readonly paths: PathTable;
  readonly reach: ReachKeeper;
  readonly limit: PendingLimit;
}

/** The parts need each other, and libp2p makes some of them in the middle of its own making. */
class Assembly {
  readonly #options: NetworkOptions;
  readonly #protector: RingProtector;
  readonly #spares = new SpareDials((node) => this.#membership.connections(node).length > 0);
  readonly #limit: PendingLimit;
  readonly #paths: PathTable;
  readonly #reach: ReachKeeper;
  #created: Membership | undefined;
  #components: ReachComponents | undefined;
  #channel: GossipChannel | undefined;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#protector = new RingProtector(trustOf(options).ring);
    this.#limit = new PendingLimit(options.pendingPerHostMax ?? 4, (host) =>
      this.#paths.paths().some(({ address }) => hostOf(address) === host),
    );
    this.#paths = this.#createPaths();
    this.#reach = this.#createReach();
  }

  async create(): Promise<Parts> {
    const options = this.#options;
    const { anchor } = trustOf(options).ring();
    const topic = gossipTopicOf(anchor);
    const libp2p = await createLibp2p<Services>({
      ...libp2pSettings(options.connectionsMax ?? 512),
      start: false,
      privateKey: options.identity.privateKey,
      addresses: {
        listen: options.listen.filter((address) => !isLazy(address)),
        appendAnnounce: [...(options.announce ?? [])],
      },
      transports: [tcp(), this.#reach.relayTransport()],
      connectionProtector: thriftyProtector(this.#protector.create()),
      connectionGater: this.#gater(),
      services: {
        // First: its listener must see each connection before any other service does.
        membership: (components) => this.#createMembership(components),
        identify: identify({ runOnLimitedConnection: true }),
        // A node that finds itself reachable relays from then on: those it met before must hear of it.
        identifyPush: identifyPush({ runOnLimitedConnection: true }),
        pubsub: gossipService(topic),
        ...this.#mdns(mdnsServiceTagOf(anchor)),
      },
    });
    const channel = this.#createChannel(libp2p.services.pubsub, topic);
    return {
      libp2p,
      membership: this.#membership,
      channel,
      paths: this.#paths,
      reach: this.#reach,
      limit: this.#limit,
    };
  }

  get #membership(): Membership {
    if (this.#created === undefined) throw new Error('libp2p did not create the membership service');
    return this.#created;
  }

  #createMembership(components: MembershipComponents & ReachComponents): Membership {
    const { events, proofTimeoutMs, replacedAfterMs } = this.#options;
    this.#components = components;
    this.#reach.attach(components);
    this.#created = new Membership(components, {
      admission: trustOf(this.#options).admission,
      proofTimeoutMs: proofTimeoutMs ?? 1_500,
      ...(replacedAfterMs === undefined ? {} : { replacedAfterMs }),
      onConnected: (node, connection) => events.onMember(node, connection.remoteAddr.toString()),
      onLost: (node) => {
        this.#reach.memberLost(node);
        events.onMemberLost(node);
      },
      onPathOpened: (node, connection, rttMs) => this.#paths.opened(node, connection, rttMs),
      onPathClosed: (_node, connection) => this.#paths.closed(connection),
      onStream: (stream, connection, others) => {
        this.#reach.watch(stream, connection);
        this.#channel?.watch(stream, connection, others);
      },
      onProblem: events.onProblem,
    });
    return this.#created;
  }

  #createPaths(): PathTable {
    const { identity, events } = this.#options;
    return new PathTable({
      self: identity.node,
      membership: () => this.#membership,
      spares: this.#spares,
      dialAddress: async (address, signal) => this.#dialWithAnyKey(address, signal),
      prepare: async (kind) => this.#reach.transports.need(kind),
      onOpened: (path) => {
        this.#channel?.prefer(path.node);
        events.onPathOpened?.(path);
      },
      onClosed: (path) => events.onPathClosed?.(path),
    });
  }

  #createReach(): ReachKeeper {
    const { identity, listen, announce, reach, events } = this.#options;
    return new ReachKeeper({
      self: identity.node,
      settings: { ...REACH_DEFAULTS, ...reach, announce: announce ?? [], listenLazily: listen.filter(isLazy) },
      connections: (node) => this.#membership.connections(node),
      paths: (node) => this.#paths.paths(node),
      secureHandle: async (...parameters) => this.#membership.secureHandle(...parameters),
      onChanged: () => events.onOwnAddresses?.(),
      onProblem: events.onProblem,
    });
  }

  #createChannel(pubsub: GossipSub, topic: string): GossipChannel {
    const { events } = this.#options;
    if (this.#components === undefined) throw new Error('libp2p did not create the membership service');
    this.#channel = new GossipChannel(pubsub, this.#components.registrar, {
      topic,
      onMessage: events.onMessage,
      onProblem: events.onProblem,
      betterThan: (connection) => this.#membership.betterThan(connection),
    });
    return this.#channel;
  }

  #mdns(serviceTag: string): { mdns?: ReturnType<typeof mdnsDiscovery> } {
    const { mdns, events } = this.#options;
    if (mdns === false) return {};
    const onFound = (node: NodeId, addresses: readonly string[]): void => events.onAddresses(node, addresses, 'mdns');
    return { mdns: mdnsDiscovery({ serviceTag, loopback: mdns.loopback, onFound }) };
  }

  /** WebRTC is greeted over a proven connection, and relays are members: this says so once more, where it costs nothing. */
  #gater(): ConnectionGater {
    const isMember = (peer: { toString(): string }): boolean => {
      const node = parseNodeId(peer.toString());
      return node !== undefined && this.#membership.connections(node).length > 0;
    };
    return {
      ...this.#limit.gater(),
      denyInboundEncryptedConnection: (peer, { remoteAddr }) =>
        pathKindOf(remoteAddr.toString()) === 'webrtc' && !isMember(peer),
      denyInboundRelayedConnection: (relay) => !isMember(relay),
      denyOutboundEncryptedConnection: (peer, { remoteAddr }) =>
        this.#spares.notice(remoteAddr.toString(), parseNodeId(peer.toString())),
    };
  }

  /** While the keys of the swarm change: the protector takes the next one where one found nobody. */
  async #dialWithAnyKey(address: Multiaddr, signal: AbortSignal): Promise<Connection> {
    if (this.#components === undefined) throw new Error('the network is not up');
    for (let attempt = 1; ; attempt += 1) {
      try {
        // eslint-disable-next-line no-await-in-loop
        return await this.#components.transportManager.dial(address, { signal });
      } catch (error) {
        if (attempt >= this.#protector.attempts || signal.aborted) throw error;
      }
    }
  }
}

const REACH_DEFAULTS = {
  relay: 'auto',
  relayLimits: {},
  webrtc: true,
  upnp: false,
  addressesMax: GOSSIP.addressesPerNodeMax,
} as const;

/** Listened on once its transport is loaded, after the start. */
function isLazy(address: string): boolean {
  return pathKindOf(address) === 'webrtc-direct';
}

function trustOf({ trust, swarmKey }: NetworkOptions): NetworkTrust {
  return trust ?? { ring: () => ringOf(swarmKey), admission: openAdmission(swarmKey.memberKey()) };
}

/** libp2p puts a whole stack and advice for its own users into the message: the one line that says what is wrong. */
function listenReason(error: unknown): string {
  const text = reasonOf(error);
  return /\b(?:listen )?(E[A-Z]{4,}: [^\n]+)/.exec(text)?.[1] ?? text;
}
