/**
 * The links to all members, by member: how many there are of each, and when they change, is `member-links.io.ts`. A member
 * is known here from its first connection, or from the first request for it, until nothing of it is left.
 * Limits: as many as the mesh has members; a request for a node without a connection waits for a short while only.
 */
import type { NodeId } from '../ids.ts';
import type { Opening, ServerLine } from './asking.ts';
import type { ByteStream } from './byte-stream.ts';
import { LinkPings } from './link-pings.ts';
import { MemberLinks, type MemberLinksPorts } from './member-links.io.ts';

export type PeersPorts = Omit<MemberLinksPorts, 'pings' | 'unused'>;

export class Peers {
  readonly #ports: MemberLinksPorts;
  readonly #members = new Map<NodeId, MemberLinks>();
  readonly #pings = new LinkPings();
  #closing = false;

  constructor(ports: PeersPorts) {
    this.#ports = {
      ...ports,
      pings: this.#pings,
      unused: (links) => {
        if (this.#members.get(links.node) === links) this.#members.delete(links.node);
      },
    };
  }

  /** Members with a link. */
  linked(): NodeId[] {
    return [...this.#members.values()].filter((links) => links.preferred !== undefined).map(({ node }) => node);
  }

  connectionOpened(node: NodeId): void {
    this.#linksTo(node).connectionOpened();
  }

  connectionLost(node: NodeId): void {
    this.#members.get(node)?.connectionLost();
  }

  /** There is a better connection to that member than the one its link is on. */
  moveLink(node: NodeId): void {
    this.#members.get(node)?.moveLink();
  }

  acceptLink(node: NodeId, stream: ByteStream): void {
    if (this.#closing) stream.abort('this node is stopping');
    else this.#linksTo(node).adopt(stream, 'them');
  }

  open(opening: Opening): ServerLine {
    return this.#linksTo(opening.node).open(opening);
  }

  heartbeat(nodes: readonly NodeId[]): void {
    for (const node of nodes) this.#linksTo(node).tell({ type: 'heartbeat' });
  }

  ping(node: NodeId): void {
    const nonce = this.#pings.send(node, this.#ports.clock.nowMs());
    this.#linksTo(node).tell({ type: 'ping', nonce });
  }

  /** Tells every member that nothing new is taken here. */
  drain(): void {
    for (const links of this.#members.values()) links.drain();
  }

  close(): void {
    this.#closing = true;
    for (const links of this.#members.values()) links.close();
    this.#members.clear();
  }

  #linksTo(node: NodeId): MemberLinks {
    const known = this.#members.get(node);
    if (known !== undefined) return known;
    const links = new MemberLinks(node, this.#ports);
    this.#members.set(node, links);
    return links;
  }
}
