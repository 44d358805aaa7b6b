/**
 * Joins links and paths: a link is opened on the path that its node's ladder prefers, what comes over it counts as a sign of
 * life of that path, and when the ladder prefers another one the link is told to move. When the last path of a
 * node with open requests is gone, it is dialled once more before the requests go elsewhere: where TCP ended, the same
 * host, which says at once when the process is dead; where a relay or a hole was lost, all of its addresses.
 * Limits: those of the parts (`path-keeper.io.ts`, the links of the data plane).
 */
import { hostOf, pathKindOf } from '../discovery/transports.ts';
import type { NodeId } from '../ids.ts';
import type { PlaneClock } from '../inference/alarm.ts';
import type { ByteStream } from '../inference/byte-stream.ts';
import type { Prng } from '../prng.ts';
import type { Network, NetworkEvents, NetworkStream } from './network.ts';
import { PathKeeper } from './path-keeper.io.ts';

/** Streams of links on one connection: one, and its successors while it moves. Source: guess: twice what a pair of nodes keeps. */
const LINK_STREAMS_MAX = 8;

const REDIAL = {
  /** Time to reach a node again whose relay, or hole, was lost. Source: under the time that its requests wait (`reattachMsMax`). */
  msMax: 1_500,
  /** ... whose TCP connection ended: as a rule it is dead, and every moment delays the next node. Source: guess: a round trip and a refusal. */
  sameHostMsMax: 300,
} as const;

/** What this needs of the data plane. */
export interface LinksOfPlane {
  busyNodes(): ReadonlySet<NodeId>;
  moveLink(node: NodeId): void;
  acceptLink(node: NodeId, stream: ByteStream): void;
}

export interface LinkPathsPorts {
  readonly self: NodeId;
  readonly clock: PlaneClock;
  readonly prng: Prng;
  /** Of the protocol of links. */
  readonly protocol: string;
  readonly over: (stream: NetworkStream) => ByteStream;
  addressesOf(node: NodeId): readonly string[];
  readonly plane: () => LinksOfPlane;
  heard(node: NodeId): void;
  onProblem(where: string, error: unknown): void;
}

export class LinkPaths {
  readonly #ports: LinkPathsPorts;
  readonly #keeper: PathKeeper;
  #network: Network | undefined;

  constructor(ports: LinkPathsPorts) {
    this.#ports = ports;
    this.#keeper = new PathKeeper({
      self: ports.self,
      clock: ports.clock,
      prng: ports.prng,
      addressesOf: (node) => ports.addressesOf(node),
      ownNat: () => this.#network?.reach().nat ?? 'unknown',
      busy: () => ports.plane().busyNodes(),
      heard: (node) => ports.heard(node),
      moveLink: (node) => ports.plane().moveLink(node),
      onProblem: (where, error) => ports.onProblem(where, error),
    });
  }

  get keeper(): PathKeeper {
    return this.#keeper;
  }

  /** What the network calls; given to it before it exists here. */
  events(): Pick<NetworkEvents, 'onPathOpened' | 'onPathClosed'> {
    return {
      onPathOpened: (path) => this.#keeper.pathOpened(path),
      onPathClosed: (path) => this.#keeper.pathClosed(path),
    };
  }

  async attach(network: Network): Promise<void> {
    const { protocol } = this.#ports;
    this.#network = network;
    await this.#keeper.attach(network);
    // What is here to begin with: of these, one may be gone later.
    this.#keeper.networkChanged(network.addresses());
    await network.handle(protocol, (stream, from, path) => this.#accept(stream, from, path), {
      maxInboundStreams: LINK_STREAMS_MAX,
      maxOutboundStreams: LINK_STREAMS_MAX,
    });
  }

  stop(): void {
    this.#keeper.stop();
    this.#network = undefined;
  }

  async openLink(node: NodeId, signal: AbortSignal): Promise<ByteStream> {
    const network = this.#network;
    if (network === undefined) throw new Error('the network is not up');
    const wanted = this.#keeper.preferred(node);
    const open = network.paths(node);
    // What is preferred may be closing; then the network's own order decides.
    const path = (open.find(({ id }) => id === wanted) ?? open[0])?.id;
    const stream = await network.openStream(node, this.#ports.protocol, signal, path);
    this.#keeper.linkOpened(node, path, 'us');
    return this.#watched(stream, node, path);
  }

  /** True when the node is reached again, by whichever way. */
  async redial(node: NodeId): Promise<boolean> {
    const { addresses, limitMs } = this.#whereAgain(node);
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const cancel = this.#ports.clock.after(limitMs, () => resolve(false));
    const dialled = this.#network?.dial(node, addresses).then(({ type }) => type === 'connected');
    const isReached = await Promise.race([dialled ?? false, late]);
    cancel();
    return isReached;
  }

  #whereAgain(node: NodeId): { readonly addresses: readonly string[]; readonly limitMs: number } {
    const all = this.#ports.addressesOf(node);
    const last = this.#keeper.lastClosed(node);
    if (last?.kind !== 'lan' && last?.kind !== 'tcp') return { addresses: all, limitMs: REDIAL.msMax };
    const host = hostOf(last.address);
    const same = all.filter((address) => pathKindOf(address) === last.kind && hostOf(address) === host);
    return { addresses: same, limitMs: REDIAL.sameHostMsMax };
  }

  #accept(stream: NetworkStream, from: NodeId, path: string): void {
    this.#keeper.linkOpened(from, path, 'them');
    this.#ports.plane().acceptLink(from, this.#watched(stream, from, path));
  }

  #watched(stream: NetworkStream, node: NodeId, path: string | undefined): ByteStream {
    const bytes = this.#ports.over(stream);
    if (path === undefined) return bytes;
    return {
      send: (chunk) => bytes.send(chunk),
      listen: (listener) =>
        bytes.listen({
          bytes: (chunk) => {
            this.#keeper.heard(node, path);
            listener.bytes(chunk);
          },
          drained: () => listener.drained(),
          closed: (reason) => listener.closed(reason),
        }),
      close: () => bytes.close(),
      abort: (reason) => bytes.abort(reason),
    };
  }
}
