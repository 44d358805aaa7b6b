/**
 * Under which of its addresses can other machines reach this node? Loopback goes last: it is of use on this machine only,
 * and all there is on one without a network. A code that works once has a port of its own, so only the hosts count there.
 */

export function reachableFirst(addresses: readonly string[]): readonly string[] {
  return addresses.toSorted((left, right) => Number(isLoopback(left)) - Number(isLoopback(right)));
}

/** The hosts in multiaddrs, each once, in order; what is reached through a relay has none. */
export function hostsOf(addresses: readonly string[]): readonly string[] {
  const hosts = addresses.flatMap((address) => {
    if (address.includes('/p2p-circuit')) return [];
    return /^\/(?:ip4|ip6|dns|dns4|dns6)\/(?<host>[^/]+)/.exec(address)?.groups?.['host'] ?? [];
  });
  return [...new Set(hosts)];
}

function isLoopback(address: string): boolean {
  return address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/');
}
