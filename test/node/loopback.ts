/**
 * Nodes on loopback for the tests of the network: they listen on port 0 of 127.0.0.1, record what happens, and let a test
 * wait for an event instead of sleeping.
 */
import { SwarmKey } from '../../src/discovery/swarm-key.ts';
import type { NodeId } from '../../src/ids.ts';
import { createIdentity } from '../../src/node/identity.io.ts';
import { createNetwork, type NetworkOptions } from '../../src/node/libp2p.io.ts';
import type { Network, NetworkEvents, Verdict } from '../../src/node/network.ts';

export function testKey(seed: number): SwarmKey {
  return new SwarmKey(Uint8Array.from({ length: 32 }, (_, index) => (index * 7 + seed) % 256));
}

export interface Recorded {
  readonly type: 'member' | 'lost' | 'addresses' | 'message' | 'problem' | 'path' | 'path-closed' | 'own-addresses';
  readonly node?: NodeId;
  readonly text: string;
  readonly addresses?: readonly string[];
}

export class LoopbackNode {
  readonly log: Recorded[] = [];
  readonly #waiting = new Set<{ test: (event: Recorded) => boolean; resolve: (event: Recorded) => void }>();
  network!: Network;
  /** What the core would say about each gossip message. */
  verdict: Verdict = 'accept';

  static async start(
    key: SwarmKey,
    options: Partial<NetworkOptions> = {},
    also: Partial<NetworkEvents> = {},
  ): Promise<LoopbackNode> {
    const node = new LoopbackNode();
    node.network = await createNetwork({
      identity: await createIdentity(),
      swarmKey: key,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      mdns: false,
      events: {
        onMember: (member, address) => {
          also.onMember?.(member, address);
          node.#record({ type: 'member', node: member, text: address });
        },
        onMemberLost: (member) => {
          also.onMemberLost?.(member);
          node.#record({ type: 'lost', node: member, text: '' });
        },
        onAddresses: (member, addresses, source) =>
          node.#record({ type: 'addresses', node: member, text: source, addresses }),
        onMessage: (bytes, from, judge) => {
          judge(node.verdict);
          node.#record({ type: 'message', node: from, text: new TextDecoder().decode(bytes) });
        },
        onPathOpened: (path) => {
          also.onPathOpened?.(path);
          node.#record({ type: 'path', node: path.node, text: path.kind });
        },
        onPathClosed: (path) => {
          also.onPathClosed?.(path);
          node.#record({ type: 'path-closed', node: path.node, text: path.kind });
        },
        onOwnAddresses: () => node.#record({ type: 'own-addresses', text: '', addresses: node.network.addresses() }),
        onProblem: (where, error) => node.#record({ type: 'problem', text: `${where}: ${String(error)}` }),
      },
      ...options,
    });
    return node;
  }

  get id(): NodeId {
    return this.network.node;
  }

  /** The address without the node id. */
  get address(): string {
    const [address = ''] = this.network.addresses();
    return address.slice(0, address.lastIndexOf('/p2p/'));
  }

  get port(): number {
    return Number(this.address.split('/').at(-1));
  }

  /** The first event that fits, past or future. The test's own timeout is the deadline. */
  async until(test: (event: Recorded) => boolean): Promise<Recorded> {
    const past = this.log.find(test);
    if (past !== undefined) return past;
    return new Promise((resolve) => this.#waiting.add({ test, resolve }));
  }

  async untilMember(member: LoopbackNode): Promise<void> {
    await this.until((event) => event.type === 'member' && event.node === member.id);
  }

  /** The node keeps a place at this relay: a relayed address of its own. */
  async untilRelayed(relay: LoopbackNode): Promise<string> {
    const holds = (address: string): boolean => address.includes(`/p2p/${relay.id}/p2p-circuit`);
    const now = this.network.addresses().find(holds);
    if (now !== undefined) return now;
    const event = await this.until(
      ({ type, addresses }) => type === 'own-addresses' && addresses?.some(holds) === true,
    );
    return event.addresses?.find(holds) ?? '';
  }

  #record(event: Recorded): void {
    this.log.push(event);
    for (const waiter of this.#waiting) {
      if (!waiter.test(event)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve(event);
    }
  }
}

/** Starts nodes and stops them all after the test. */
export class LoopbackSwarm {
  readonly #nodes: LoopbackNode[] = [];

  /** `also`: who else hears of members and paths. */
  async start(
    key: SwarmKey = testKey(1),
    options: Partial<NetworkOptions> = {},
    also: Partial<NetworkEvents> = {},
  ): Promise<LoopbackNode> {
    const node = await LoopbackNode.start(key, options, also);
    this.#nodes.push(node);
    return node;
  }

  async connect(from: LoopbackNode, to: LoopbackNode): Promise<void> {
    const result = await from.network.dial(to.id, [to.address]);
    if (result.type === 'failed') throw new Error(result.reason);
    await Promise.all([from.untilMember(to), to.untilMember(from)]);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.splice(0).map(async (node) => node.network.stop()));
  }
}
