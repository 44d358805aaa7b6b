/**
 * By what kind of path does a multiaddr lead to a node, which of two paths is the better one, and which of its own
 * addresses does a node tell? Decided on the text of the address alone. A relayed address is
 * "<address of the relay>/p2p/<relay>/p2p-circuit", and whoever is sought follows; with "/webrtc" behind it, the relay
 * only carries the greeting of a direct connection. Limits: a private host counts as the local network, although it may be
 * a neighbour's behind the same carrier; names instead of numbers count as public.
 * Source: ours; address ranges of RFC 1918, 3927, 4193, 4291 and 6598.
 */
import { type NodeId, parseNodeId } from '../ids.ts';

/** Best first. */
export const PATH_KINDS = ['lan', 'tcp', 'webrtc-direct', 'webrtc', 'relayed'] as const;
export type PathKind = (typeof PATH_KINDS)[number];

export type HostScope = 'loopback' | 'link' | 'private' | 'global';

/** Addresses told per relay. Source: guess: one for each version of IP. */
const ADDRESSES_PER_RELAY_MAX = 2;

const CIRCUIT = '/p2p-circuit';

/** The kind of path over which a connection with this remote address runs. */
export function pathKindOf(address: string): PathKind {
  if (address.includes('/webrtc-direct')) return 'webrtc-direct';
  if (/\/webrtc(?:\/|$)/.test(address)) return 'webrtc';
  if (address.includes(CIRCUIT)) return 'relayed';
  const host = hostOf(address);
  return host !== undefined && scopeOf(host) !== 'global' ? 'lan' : 'tcp';
}

/** Smaller is better. A limited relay cuts what is long, so it comes last. */
export function pathRank(kind: PathKind, isLimited: boolean): number {
  return PATH_KINDS.indexOf(kind) + (isLimited ? PATH_KINDS.length : 0);
}

/**
 * What two paths have in common when the newer one says that the older one is dead: both need the same way through the
 * network. Local and public TCP are one way, two relays are two.
 */
export function wayOf(address: string): string {
  const kind = pathKindOf(address);
  if (kind === 'lan' || kind === 'tcp') return 'tcp';
  return kind === 'relayed' ? `relayed ${relayOf(address)?.relay ?? ''}` : kind;
}

/** The relay in a relayed address, and where it is dialled; undefined in any other. */
export function relayOf(address: string): { readonly relay: NodeId; readonly address: string } | undefined {
  const at = address.indexOf(CIRCUIT);
  if (at < 0) return undefined;
  const whole = address.slice(0, at);
  const relay = parseNodeId(whole.slice(whole.lastIndexOf('/p2p/') + '/p2p/'.length));
  return relay === undefined ? undefined : { relay, address: whole };
}

/** The same way to a node, but greeting over the relay and then direct: ".../p2p-circuit/webrtc". */
export function webrtcAddress(relayed: string): string | undefined {
  const at = relayed.indexOf(CIRCUIT);
  return at < 0 ? undefined : `${relayed.slice(0, at)}${CIRCUIT}/webrtc`;
}

/** Adds whose address it is, unless it says so. A relayed one names the relay, and then whoever is sought. */
export function withNode(address: string, node: NodeId | undefined): string {
  if (node === undefined) return address;
  const last = address.slice(Math.max(address.lastIndexOf(CIRCUIT), 0));
  return last.includes('/p2p/') ? address : `${address}/p2p/${node}`;
}

/** "192.0.2.1" of "/ip4/192.0.2.1/tcp/4001"; undefined without one. Of a relayed address, the relay's. */
export function hostOf(address: string): string | undefined {
  return /^\/(?:ip4|ip6|dns|dns4|dns6|dnsaddr)\/([^/]+)/.exec(address)?.[1];
}

export function portOf(address: string): number | undefined {
  const port = /^\/[^/]+\/[^/]+\/(?:tcp|udp)\/(\d+)/.exec(address)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** How far away the hosts are that this one can be reached from. */
export function scopeOf(host: string): HostScope {
  if (host.includes(':')) return scopeOfIp6(host.toLowerCase());
  const parts = /^\d+\.\d+\.\d+\.\d+$/.test(host) ? host.split('.').map(Number) : [];
  const [first = -1, second = -1] = parts;
  return (
    IP4_SCOPES.find((range) => range.first === first && second >= range.from && second <= range.to)?.scope ?? 'global'
  );
}

const IP4_SCOPES: readonly { first: number; from: number; to: number; scope: HostScope }[] = [
  { first: 0, from: 0, to: 255, scope: 'loopback' },
  { first: 127, from: 0, to: 255, scope: 'loopback' },
  { first: 169, from: 254, to: 254, scope: 'link' },
  { first: 10, from: 0, to: 255, scope: 'private' },
  { first: 172, from: 16, to: 31, scope: 'private' },
  { first: 192, from: 168, to: 168, scope: 'private' },
  { first: 100, from: 64, to: 127, scope: 'private' },
];

function scopeOfIp6(host: string): HostScope {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(host)?.[1];
  if (mapped !== undefined) return scopeOf(mapped);
  if (host === '::1' || host === '::') return 'loopback';
  if (/^fe[89ab]/.test(host)) return 'link';
  return /^[23]/.test(host) ? 'global' : 'private';
}

export interface OwnAddresses {
  readonly self: NodeId;
  /** What the listeners are bound to, host by host. */
  readonly listening: readonly string[];
  /** What the owner or the router says. */
  readonly announced: readonly string[];
  /** For each relay that keeps a place for us, where it is reached. */
  readonly relays: readonly { readonly relay: NodeId; readonly addresses: readonly string[] }[];
  readonly max: number;
}

/** What a node tells the others, best first. Loopback and relays stand at the end: what does not fit is left out there. */
export function ownAddresses(own: OwnAddresses): readonly string[] {
  const direct = [...own.announced, ...own.listening]
    .filter((address) => !address.includes(CIRCUIT))
    .map((address, index) => ({ address: withoutNode(address, own.self), index }))
    .toSorted((left, right) => order(left.address) - order(right.address) || left.index - right.index)
    .map(({ address }) => address);
  const relayed = own.relays.flatMap(({ relay, addresses }) =>
    usableRelayAddresses(addresses).map((address) => `${withNode(address, relay)}${CIRCUIT}`),
  );
  // The relays have their places: a node behind a NAT is lost without them, however many interfaces it has.
  const room = Math.max(own.max - relayed.length, Math.min(direct.length, own.max / 2));
  const told = [...new Set(direct)].slice(0, room);
  return [...told, ...new Set(relayed)].slice(0, own.max).map((address) => withNode(address, own.self));
}

function order(address: string): number {
  const scope = scopeOf(hostOf(address) ?? '');
  const far = scope === 'loopback' ? 4 : scope === 'link' ? 2 : 0;
  return far + (pathKindOf(address) === 'webrtc-direct' ? 1 : 0);
}

/** Public ones if there are any; one for each version of IP. */
function usableRelayAddresses(addresses: readonly string[]): readonly string[] {
  const plain = [...new Set(addresses)].filter((address) => !address.includes(CIRCUIT) && address.includes('/tcp/'));
  const sorted = plain
    .map((address, index) => ({ address, index }))
    .toSorted((left, right) => scopeRank(left.address) - scopeRank(right.address) || left.index - right.index)
    .map(({ address }) => address);
  const chosen: string[] = [];
  for (const address of sorted) {
    const isTaken = chosen.some((other) => other.slice(0, 4) === address.slice(0, 4));
    if (!isTaken && chosen.length < ADDRESSES_PER_RELAY_MAX) chosen.push(address);
  }
  return chosen;
}

const SCOPES: readonly HostScope[] = ['global', 'private', 'link', 'loopback'];

function scopeRank(address: string): number {
  return SCOPES.indexOf(scopeOf(hostOf(address) ?? ''));
}

function withoutNode(address: string, node: NodeId): string {
  const ending = `/p2p/${node}`;
  return address.endsWith(ending) ? address.slice(0, -ending.length) : address;
}
