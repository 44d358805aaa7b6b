/**
 * Can this node be reached from outside, and what stands before it? Nobody's word alone is taken: that somebody out there
 * did connect to us, at an address that is ours, is the evidence. The dialler tells by identify which address it dialled.
 * One such connection is enough for an address on an interface of ours; behind a forwarded port, where only others can
 * say what the address is, two from different networks must agree, or the router itself says it. Without any evidence,
 * an address of ours that others see and no interface has means a NAT. What kind of NAT: see `natOf`.
 * Limits: witnesses are bounded. Wrongly "public" costs little: it offers a relay that some cannot reach.
 * Source: ours; the kinds of NAT are those of RFC 5780, 4.3, as far as ICE needs them.
 */
import { hostOf, portOf, scopeOf } from './transports.ts';

export type Reach = 'public' | 'private' | 'unknown';
/** none = no NAT; endpoint-independent = a hole can be punched; symmetric = it cannot. */
export type Nat = 'none' | 'endpoint-independent' | 'symmetric' | 'unknown';

export interface ReachVerdict {
  readonly reach: Reach;
  readonly nat: Nat;
  /** Where others reach us: multiaddrs without the node, the surest first. */
  readonly addresses: readonly string[];
  /** One sentence for people. */
  readonly reason: string;
}

export interface Witness {
  /** Our address as the other side has it: what it dialled, or where it sees us come from. */
  readonly ownAddress: string;
  readonly remoteAddress: string;
  readonly direction: 'inbound' | 'outbound';
}

/** Source: guess: what a router that needs two witnesses ever has, and room. */
const WITNESSES_MAX = 64;
/** Networks that must agree on an address that is not on an interface. Source: requirement. */
const NETWORKS_MIN = 2;

export class Reachability {
  #interfaces: ReadonlySet<string> = new Set();
  /** By own address: the networks that dialled it. */
  readonly #dialled = new Map<string, Set<string>>();
  /** Hosts that others see us as. */
  readonly #seenAs = new Set<string>();
  #mapped: readonly string[] = [];
  #configured: readonly string[] = [];
  #nat: Nat = 'unknown';

  /** What the owner says is reachable. */
  configure(addresses: readonly string[]): void {
    this.#configured = addresses;
  }

  /** Our interfaces have these hosts now. After a change, what was known about other hosts is no longer so. */
  setInterfaces(hosts: readonly string[]): void {
    const next = new Set(hosts.filter((host) => scopeOf(host) !== 'loopback'));
    const isSame = next.size === this.#interfaces.size && [...next].every((host) => this.#interfaces.has(host));
    if (isSame) return;
    this.#interfaces = next;
    this.#dialled.clear();
    this.#seenAs.clear();
    this.#mapped = [];
    this.#nat = 'unknown';
  }

  witnessed(witness: Witness): void {
    const [own, remote] = [hostOf(witness.ownAddress), hostOf(witness.remoteAddress)];
    if (own === undefined || remote === undefined || scopeOf(own) !== 'global') return;
    if (this.#seenAs.size < WITNESSES_MAX) this.#seenAs.add(own);
    // A neighbour in the same network passes no router and proves nothing.
    if (witness.direction !== 'inbound' || scopeOf(remote) !== 'global' || isSameIp6Network(own, remote)) return;
    const networks = this.#dialled.get(witness.ownAddress) ?? new Set();
    if (networks.size < WITNESSES_MAX) networks.add(networkOf(remote));
    if (this.#dialled.has(witness.ownAddress) || this.#dialled.size < WITNESSES_MAX)
      this.#dialled.set(witness.ownAddress, networks);
  }

  /** The router forwards these addresses to us, as it says. */
  mapped(addresses: readonly string[]): void {
    this.#mapped = addresses.filter((address) => scopeOf(hostOf(address) ?? '') === 'global');
  }

  /** What two STUN servers saw of one socket. */
  probed(nat: Nat): void {
    this.#nat = nat;
  }

  verdict(): ReachVerdict {
    const dialled = [...this.#dialled].filter(([address, networks]) => this.#isSure(address, networks));
    const addresses = [...new Set([...this.#configured, ...dialled.map(([address]) => address), ...this.#mapped])];
    const nat = this.#natNow();
    if (addresses.length > 0) {
      const reason = dialled.length > 0 ? 'others connected from outside' : 'the owner or the router says so';
      return { reach: 'public', nat, addresses, reason };
    }
    if (nat === 'endpoint-independent' || nat === 'symmetric' || this.#isTranslated())
      return { reach: 'private', nat, addresses, reason: 'others see an address that no interface here has' };
    return { reach: 'unknown', nat, addresses, reason: 'nobody from outside has connected yet' };
  }

  #isSure(address: string, networks: ReadonlySet<string>): boolean {
    return this.#interfaces.has(hostOf(address) ?? '') || networks.size >= NETWORKS_MIN;
  }

  #isTranslated(): boolean {
    return [...this.#seenAs].some((host) => !this.#interfaces.has(host));
  }

  #natNow(): Nat {
    if (this.#nat !== 'unknown') return this.#nat;
    const isUntouched = this.#seenAs.size > 0 && !this.#isTranslated();
    return isUntouched ? 'none' : 'unknown';
  }
}

/** The kind of NAT, from where two servers saw the same socket, and our own hosts. */
export function natOf(
  seen: readonly { readonly host: string; readonly port: number }[],
  own: ReadonlySet<string>,
): Nat {
  const [first, second] = seen;
  if (first === undefined) return 'unknown';
  if (seen.every(({ host }) => own.has(host))) return 'none';
  if (second === undefined) return 'unknown';
  const isOne = seen.every(({ host, port }) => host === first.host && port === first.port);
  return isOne ? 'endpoint-independent' : 'symmetric';
}

/** The first half of an IPv4 address, the first 48 bits of an IPv6 one: what one provider gives to one customer at most. */
function networkOf(host: string): string {
  return host.includes(':') ? expanded(host).slice(0, 3).join(':') : host.split('.').slice(0, 2).join('.');
}

function isSameIp6Network(left: string, right: string): boolean {
  if (!left.includes(':') || !right.includes(':')) return false;
  return expanded(left).slice(0, 4).join(':') === expanded(right).slice(0, 4).join(':');
}

/** The eight groups of an IPv6 address. */
function expanded(host: string): readonly string[] {
  const [head = '', tail] = host.toLowerCase().split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array.from({ length: zeros }, () => '0'), ...after].map((group) =>
    group.replace(/^0+(?=.)/, ''),
  );
}

/** Where a member that relays answers STUN: at the number of its TCP port, over UDP. */
export function stunAddressOf(address: string): { readonly host: string; readonly port: number } | undefined {
  const [host, port] = [hostOf(address), portOf(address)];
  const isUsable = address.includes('/tcp/') && !address.includes('/p2p-circuit');
  return !isUsable || host === undefined || port === undefined ? undefined : { host, port };
}
