/**
 * Which members are on this LAN? Multicast DNS under a service name derived from the swarm key, so that only nodes of the
 * same swarm hear each other. Found addresses are handed out as hints and stored nowhere: libp2p's own discovery
 * would keep them before their node proved anything. Loopback addresses are ignored, because one cannot tell whether
 * they came from this host or another, unless the option says that several nodes share this host (the demo, tests).
 * Limits: one link; the first answer takes up to the query interval.
 */
import type { PeerDiscovery, PeerInfo } from '@libp2p/interface';
import { mdns } from '@libp2p/mdns';
import type { MulticastDNSComponents } from '@libp2p/mdns';
import { type NodeId, parseNodeId } from '../ids.ts';

/** Between two questions. Source: measured: the interval dominates how fast nodes find each other. */
const QUERY_INTERVAL_MS = 5_000;
const LOOPBACK = /^\/(?:ip4\/127\.|ip6\/::1\/)/;

export interface MdnsOptions {
  readonly serviceTag: string;
  readonly loopback: boolean;
  readonly onFound: (node: NodeId, addresses: readonly string[]) => void;
}

/** A libp2p service that only reports. */
export function mdnsDiscovery(options: MdnsOptions): (components: MulticastDNSComponents) => MdnsService {
  return (components) =>
    new MdnsService(mdns({ serviceTag: options.serviceTag, interval: QUERY_INTERVAL_MS })(components), options);
}

export class MdnsService {
  readonly #discovery: PeerDiscovery & { start?: () => unknown; stop?: () => unknown };

  constructor(discovery: PeerDiscovery, options: MdnsOptions) {
    this.#discovery = discovery;
    discovery.addEventListener('peer', (event) => {
      const found = usableAddresses(event.detail, options.loopback);
      if (found !== undefined) options.onFound(found.node, found.addresses);
    });
  }

  async start(): Promise<void> {
    await this.#discovery.start?.();
  }

  async stop(): Promise<void> {
    await this.#discovery.stop?.();
  }
}

/** What of an announcement may be dialled. */
export function usableAddresses(
  peer: Pick<PeerInfo, 'multiaddrs'> & { readonly id: { toString(): string } },
  loopback: boolean,
): { readonly node: NodeId; readonly addresses: readonly string[] } | undefined {
  const node = parseNodeId(peer.id.toString());
  const addresses = peer.multiaddrs.map((address) => address.toString());
  const usable = loopback ? addresses : addresses.filter((address) => !LOOPBACK.test(address));
  return node === undefined || usable.length === 0 ? undefined : { node, addresses: usable };
}
