/**
 * Whose is an address that was dialled without a node id? It may be a member's to which there is a connection already:
 * one that was found by mDNS first, or has two names. A second connection would look to that member as if the first one
 * were dead, so the dial ends as soon as the remote has said who it is, and counts as connected all the same.
 * Limits: remembers one node per address, from the beginning to the end of its dial.
 */
import type { NodeId } from '../ids.ts';

export class SpareDials {
  readonly #isConnected: (node: NodeId) => boolean;
  readonly #expected = new Set<string>();
  readonly #owners = new Map<string, NodeId>();

  constructor(isConnected: (node: NodeId) => boolean) {
    this.#isConnected = isConnected;
  }

  /** A dial of these addresses begins, and nobody knows whose they are. */
  expect(addresses: readonly string[]): void {
    for (const address of addresses) this.#expected.add(withoutNode(address));
  }

  /** The remote of a dial is known: true when its connection is not needed. One that was sought by its id is wanted. */
  notice(address: string, node: NodeId | undefined): boolean {
    if (node === undefined || !this.#expected.has(withoutNode(address)) || !this.#isConnected(node)) return false;
    this.#owners.set(withoutNode(address), node);
    return true;
  }

  /** Which of these dialled addresses led to a node that was connected already. */
  found(addresses: readonly string[]): { readonly node: NodeId; readonly address: string } | undefined {
    for (const address of addresses) {
      const node = this.#owners.get(withoutNode(address));
      if (node !== undefined && this.#isConnected(node)) return { node, address };
    }
    return undefined;
  }

  forget(addresses: readonly string[]): void {
    for (const address of addresses) {
      this.#owners.delete(withoutNode(address));
      this.#expected.delete(withoutNode(address));
    }
  }
}

function withoutNode(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, '');
}
