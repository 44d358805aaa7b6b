/**
 * What does an address say about whom and where? "/ip4/192.0.2.1/tcp/4001/p2p/12D3..." is an address and the node that listens
 * there; which machine it is shows the part before the port. Text only: whether it leads anywhere is for dials to find out.
 * Limits: addresses longer than `ADDRESS_CHARACTERS_MAX` are none.
 */
import { type NodeId, parseNodeId } from '../ids.ts';

/** Source: guess: a host name of the longest kind in an address, through a relay. */
const ADDRESS_CHARACTERS_MAX = 256;

/** "/ip4/192.0.2.1" of "/ip4/192.0.2.1/tcp/4001"; undefined for a relayed address, whose host is the relay's. */
export function machineOf(address: string): string | undefined {
  return address.includes('/p2p-circuit') ? undefined : /^\/[^/]+\/[^/]+/.exec(address)?.[0];
}

/** The address itself and whose it is. Relayed addresses stay whole. */
export function splitAddress(text: string): { address: string | undefined; node: NodeId | undefined } {
  if (!text.startsWith('/') || text.length > ADDRESS_CHARACTERS_MAX) return { address: undefined, node: undefined };
  const at = text.lastIndexOf('/p2p/');
  if (at <= 0) return { address: at === 0 ? undefined : text, node: undefined };
  const node = parseNodeId(text.slice(at + '/p2p/'.length));
  if (node === undefined) return { address: text.endsWith('/p2p-circuit') ? text : undefined, node: undefined };
  return { address: text.slice(0, at), node };
}
