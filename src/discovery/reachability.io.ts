/**
 * What does a node do about its place in the network? It gathers the evidence for `reachability.ts`; found reachable, it
 * relays and answers STUN for members, who hear of it by identify; in every other case it keeps places at members that
 * do. What it tells of itself follows: its own addresses, those that others confirmed, and the ways through relays.
 * Nothing here delays a start: it all happens once the node listens.
 * Limits: one verdict at a time; members that relay are as many as there are members.
 */
import type { Connection, Stream } from '@libp2p/interface';
import {
  type CircuitRelayServerComponents,
  type CircuitRelayTransportComponents,
  RELAY_V2_HOP_CODEC,
} from '@libp2p/circuit-relay-v2';
import type { UPnPNATComponents } from '@libp2p/upnp-nat';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { type NodeId, parseNodeId } from '../ids.ts';
import type { NetworkPath } from '../node/network.ts';
import { type HeldRelay, RelayClient } from './relay-client.io.ts';
import type { RelayCandidate } from './relay-choice.ts';
import { type RelayLimits, RelayServer, type RelayServerOptions } from './relay-server.io.ts';
import { natOf, Reachability, type ReachVerdict, stunAddressOf } from './reachability.ts';
import { PortMapping } from './reachability-upnp.io.ts';
import { probeNat, secondDoor, StunResponder } from './stun.io.ts';
import type { StunAddress } from './stun.ts';
import { type TransportComponents, Transports, webrtcDirectTransport, webrtcTransport } from './transports.io.ts';
import { hostOf, ownAddresses, pathKindOf, portOf, scopeOf } from './transports.ts';

/** Confirmed addresses count until something says otherwise. Source: guess: longer than any node runs. */
const CONFIRMED_MS = 365 * 86_400_000;
/** Between two looks at the interfaces. Source: guess: as often as the node looks at its own addresses. */
const INTERFACE_CHECK_MS = 5_000;
/** STUN servers that are told to ICE, and asked about the NAT. Source: guess: two tell the kind of NAT, and one may be gone. */
const STUN_SERVERS_MAX = 3;
/** A probe of the NAT. Source: guess: four questions half a second apart, and a little. */
const PROBE_MS_MAX = 2_500;
/** Between two probes that did not tell. Source: guess: NATs stay what they are. */
const PROBE_AGAIN_MS = 30_000;

export interface ReachSettings {
  /** auto = relay when reachable; on = whatever the evidence; off = never. */
  readonly relay: 'auto' | 'on' | 'off';
  readonly relayLimits: RelayLimits;
  /** Where others reach this node, as its owner says: then it is reachable. */
  readonly announce: readonly string[];
  readonly webrtc: boolean;
  /** Addresses of transports that are loaded after the start. */
  readonly listenLazily: readonly string[];
  /** Ask the router to forward our ports. */
  readonly upnp: boolean;
  readonly addressesMax: number;
}

export type ReachComponents = CircuitRelayServerComponents &
  CircuitRelayTransportComponents &
  TransportComponents &
  UPnPNATComponents;

export interface ReachOptions {
  readonly self: NodeId;
  readonly settings: ReachSettings;
  readonly connections: (node: NodeId) => readonly Connection[];
  readonly paths: (node?: NodeId) => readonly NetworkPath[];
  readonly secureHandle: RelayServerOptions['secureHandle'];
  /** What this node tells of itself, or its verdict, is another one now. */
  readonly onChanged: () => void;
  readonly onProblem: (where: string, error: unknown) => void;
}

export interface Identified {
  readonly connection: Connection;
  readonly protocols: readonly string[];
  readonly listenAddrs: readonly Multiaddr[];
  readonly observedAddr?: Multiaddr;
}

export class ReachKeeper {
  readonly #options: ReachOptions;
  readonly #reach = new Reachability();
  readonly #client: RelayClient;
  /** Members that relay, and where they say that they listen. */
  readonly #relays = new Map<NodeId, readonly string[]>();
  readonly #transports: Transports;
  #server: RelayServer | undefined;
  #components: ReachComponents | undefined;
  #verdict: ReachVerdict;
  #stun: StunResponder | undefined;
  #ports: PortMapping | undefined;
  #probedAtMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: ReachOptions) {
    const { settings, onProblem } = options;
    this.#options = options;
    this.#reach.configure(settings.announce);
    this.#verdict = this.#reach.verdict();
    this.#client = new RelayClient({
      candidates: () => this.#candidates(),
      isRelay: (node) => this.#relays.has(node),
      connections: options.connections,
      onChanged: () => this.#relaysChanged(),
      onProblem,
      nowMs: () => performance.now(),
    });
    this.#transports = new Transports(
      settings.webrtc
        ? [webrtcTransport({ stunServers: () => this.stunServers() }), webrtcDirectTransport(settings.listenLazily)]
        : [],
    );
  }

  get transports(): Transports {
    return this.#transports;
  }

  get verdict(): ReachVerdict {
    return this.#verdict;
  }

  get isRelay(): boolean {
    return this.#server?.isOn === true;
  }

  relayTransport(): ReturnType<RelayClient['transport']> {
    return this.#client.transport();
  }

  attach(components: ReachComponents): void {
    this.#components = components;
    this.#transports.attach(components);
    const { connections, secureHandle, settings } = this.#options;
    if (settings.upnp) this.#ports = new PortMapping(components, this.#options.onProblem);
    this.#server = new RelayServer(components, {
      ...settings.relayLimits,
      connections,
      secureHandle,
      nowMs: () => performance.now(),
    });
  }

  /** Once libp2p listens. */
  start(): void {
    const { settings, onChanged, onProblem } = this.#options;
    this.#look();
    this.#ports?.start(this.#listening());
    if (settings.listenLazily.length > 0)
      this.#transports.listen('webrtc-direct').then(onChanged, (error: unknown) => onProblem('WebRTC', error));
    this.#timer = setInterval(() => this.#look(), INTERFACE_CHECK_MS).unref();
  }

  /** Every stream of a member, before it is used. */
  watch(stream: Stream, connection: Connection): void {
    this.#server?.watch(stream, connection);
  }

  /** A member said who it is, what it speaks, and how it sees us. */
  identified({ connection, protocols, listenAddrs, observedAddr }: Identified): void {
    const node = parseNodeId(connection.remotePeer.toString());
    if (node === undefined) return;
    if (protocols.includes(RELAY_V2_HOP_CODEC)) this.#relays.set(node, listenAddrs.map(String));
    else this.#relays.delete(node);
    const remoteAddress = connection.remoteAddr.toString();
    const kind = pathKindOf(remoteAddress);
    if (observedAddr !== undefined && (kind === 'tcp' || kind === 'lan')) {
      const ownAddress = withoutNode(observedAddr.toString());
      this.#reach.witnessed({ ownAddress, remoteAddress, direction: connection.direction });
      this.#judge();
    }
    this.#client.update();
    this.#probe();
  }

  memberLost(node: NodeId): void {
    this.#relays.delete(node);
  }

  relays(): readonly HeldRelay[] {
    return this.#client.held();
  }

  addresses(): readonly string[] {
    const { self, settings } = this.#options;
    return ownAddresses({
      self,
      listening: this.#listening(),
      announced: [...settings.announce, ...this.#verdict.addresses],
      relays: this.#client.held(),
      max: settings.addressesMax,
    });
  }

  /** Where members answer STUN, for ICE. */
  stunServers(): readonly string[] {
    return this.#stunAddresses().map(({ host, port }) => `stun:${host.includes(':') ? `[${host}]` : host}:${port}`);
  }

  counters(): Readonly<Record<string, number>> {
    const stun = { 'stun-answered': this.#stun?.answered ?? 0, 'stun-refused': this.#stun?.refused ?? 0 };
    return { ...this.#server?.counters(), ...stun, 'relays-held': this.#client.held().length };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#client.stop();
    this.#stun?.close();
    await Promise.all([this.#server?.stop(), this.#transports.stop(), this.#ports?.stop()]);
  }

  #candidates(): readonly RelayCandidate[] {
    if (this.isRelay) return [];
    return [...this.#relays.keys()].flatMap((node) => {
      const direct = this.#options.paths(node).filter(({ kind }) => kind !== 'relayed');
      return direct.length === 0 ? [] : [{ node, rttMs: Math.min(...direct.map(({ rttMs }) => rttMs)) }];
    });
  }

  #look(): void {
    this.#reach.setInterfaces([...new Set(this.#listening().flatMap((address) => hostOf(address) ?? []))]);
    this.#reach.mapped((this.#ports?.mapped() ?? []).map(withoutNode));
    this.#judge();
    this.#client.update();
    this.#probe();
  }

  #judge(): void {
    const before = this.#verdict;
    this.#verdict = this.#reach.verdict();
    const { relay } = this.#options.settings;
    const shouldRelay = relay === 'on' || (relay === 'auto' && this.#verdict.reach === 'public');
    if (shouldRelay !== this.isRelay && !this.#stopped) this.#serve(shouldRelay);
    if (JSON.stringify(before) === JSON.stringify(this.#verdict)) return;
    this.#confirm(this.#verdict.addresses);
    this.#options.onChanged();
  }

  #serve(isOn: boolean): void {
    const { onProblem } = this.#options;
    const done = isOn ? this.#server?.start() : this.#server?.stop();
    done?.catch((error: unknown) => onProblem('the relay', error));
    this.#stun?.close();
    this.#stun = undefined;
    if (!isOn) return;
    const ports = this.#listening().flatMap((address) => (address.includes('/tcp/') ? (portOf(address) ?? []) : []));
    const [port] = ports;
    if (port === undefined) return;
    this.#stun = new StunResponder();
    this.#stun.listen(port).catch((error: unknown) => onProblem(`STUN at UDP port ${port}`, error));
  }

  #listening(): readonly string[] {
    const addresses = (this.#components?.transportManager.getAddrs() ?? []).map(String);
    return addresses.filter((address) => !address.includes('/p2p-circuit'));
  }

  /** Where we dialled them is sure; where they say they listen is next best, if it is not somewhere inside. */
  #stunAddresses(): readonly StunAddress[] {
    return [...this.#relays]
      .flatMap(([node, told]) => {
        const dialled = this.#options.paths(node).filter(({ direction }) => direction === 'outbound');
        const outside = told.filter((address) => scopeOf(hostOf(address) ?? '') === 'global');
        const [best] = [...dialled.map(({ address }) => address), ...outside].flatMap(
          (one) => stunAddressOf(one) ?? [],
        );
        return best === undefined ? [] : [best];
      })
      .slice(0, STUN_SERVERS_MAX);
  }

  /** Asks what stands between us and the others, while nobody knows and somebody can tell. */
  #probe(): void {
    const { host = '' } = this.#stunAddresses()[0] ?? {};
    const servers = this.#stunAddresses().filter((server) => server.host.includes(':') === host.includes(':'));
    const nowMs = performance.now();
    const isTold = this.#verdict.nat !== 'unknown' || this.isRelay;
    if (isTold || this.#stopped || servers.length === 0 || nowMs < this.#probedAtMs + PROBE_AGAIN_MS) return;
    this.#probedAtMs = nowMs;
    const [first] = servers;
    const asked = servers.length === 1 && first !== undefined ? [first, secondDoor(first)] : servers;
    probeNat(asked, AbortSignal.timeout(PROBE_MS_MAX)).then(
      (seen) => {
        const own = new Set(this.#listening().flatMap((address) => hostOf(address) ?? []));
        this.#reach.probed(natOf(seen, own));
        this.#judge();
      },
      (error: unknown) => this.#options.onProblem('asking what NAT there is', error),
    );
  }

  /** libp2p keeps public addresses to itself until somebody confirms them. */
  #confirm(addresses: readonly string[]): void {
    for (const address of addresses) {
      if (scopeOf(hostOf(address) ?? '') !== 'global') continue;
      this.#components?.addressManager.confirmObservedAddr(multiaddr(address), {
        type: 'transport',
        ttl: CONFIRMED_MS,
      });
    }
  }

  /** With a place at a relay others may greet us over it: WebRTC must be there by then. */
  #relaysChanged(): void {
    const { settings, onChanged, onProblem } = this.#options;
    if (settings.webrtc && this.#client.held().length > 0)
      this.#transports.need('webrtc').catch((error: unknown) => onProblem('WebRTC', error));
    onChanged();
  }
}

function withoutNode(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, '');
}
