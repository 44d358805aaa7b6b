/**
 * Over which paths is a node connected, and how is another one opened? Every proven connection is a path; several may live
 * side by side, and what is opened without naming one takes the best. A dial tries direct addresses one after the other
 * with a short head start each, and the relayed ones a little later, all at once in flight: the first that proves its
 * membership is the answer, so that a request starts on whatever path exists; a direct connection that comes later stays.
 * Limits: addresses per dial; the time of each and of all.
 * Source: the staggered start is that of RFC 8305 (Happy Eyeballs).
 */
import type { Connection } from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf } from '../errors.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import type { DialResult, NetworkPath } from '../node/network.ts';
import type { Membership } from './membership.io.ts';
import type { SpareDials } from './spare-dials.ts';
import { pathKindOf, pathRank, relayOf, webrtcAddress, withNode, type PathKind } from './transports.ts';

/** All addresses of one dial together. Source: copied: libp2p's dial timeout. */
const DIAL_MS_MAX = 10_000;
/** A peer with another swarm key never answers in a way that can be read: this ends it. Source: guess: 2 lost SYNs are more. */
const DIAL_ADDRESS_MS_MAX = 2_500;
/** A path by WebRTC is there by then or never. Source: measured: 88 ms where ICE can; given up after 30 s by libp2p. */
const WEBRTC_MS_MAX = 5_000;
/** A second greeting starts after this: where a packet needs less than a millisecond, the library's handshake may outrun its own
 *  knowledge of the other's certificate, and fails without a word (libdatachannel 0.24). Source: measured: 15 of 100 on loopback. */
const WEBRTC_HEAD_START_MS = 1_500;
/** Head start of each address. Source: spec: RFC 8305, 5: "Connection Attempt Delay", 250 ms. */
const HEAD_START_MS = 250;
/** Source: the largest number that a node may announce. */
const ADDRESSES_MAX = 16;

export interface PathTableOptions {
  readonly self: NodeId;
  readonly membership: () => Membership;
  readonly spares: SpareDials;
  /** Opens one connection, without libp2p's queue, which would join two dials of one node. */
  readonly dialAddress: (address: Multiaddr, signal: AbortSignal) => Promise<Connection>;
  /** Makes sure that the transport of this kind is there. */
  readonly prepare: (kind: PathKind) => Promise<void>;
  readonly onOpened: (path: NetworkPath) => void;
  readonly onClosed: (path: NetworkPath) => void;
}

type Attempt =
  | { readonly type: 'connected'; readonly node: NodeId; readonly connection: Connection }
  | { readonly type: 'failed'; readonly reason: string; readonly reasons?: ReadonlyMap<string, string> };

export class PathTable {
  readonly #options: PathTableOptions;
  readonly #paths = new Map<Connection, NetworkPath>();
  readonly #stopping = new AbortController();

  constructor(options: PathTableOptions) {
    this.#options = options;
  }

  opened(node: NodeId, connection: Connection, rttMs: number): void {
    const address = connection.remoteAddr.toString();
    const path: NetworkPath = {
      id: connection.id,
      node,
      kind: pathKindOf(address),
      relay: pathKindOf(address) === 'relayed' ? relayOf(address)?.relay : undefined,
      address,
      direction: connection.direction,
      isLimited: connection.limits !== undefined,
      openedAtMs: performance.now(),
      rttMs,
    };
    this.#paths.set(connection, path);
    this.#options.onOpened(path);
  }

  closed(connection: Connection): void {
    const path = this.#paths.get(connection);
    if (path !== undefined && this.#paths.delete(connection)) this.#options.onClosed(path);
  }

  /** Best first. */
  paths(node?: NodeId): readonly NetworkPath[] {
    return [...this.#paths.values()]
      .filter((path) => node === undefined || path.node === node)
      .toSorted((left, right) => rankOf(left) - rankOf(right) || right.openedAtMs - left.openedAtMs);
  }

  connection(pathId: string): Connection | undefined {
    for (const connection of this.#paths.keys()) if (connection.id === pathId) return connection;
    return undefined;
  }

  async dial(node: NodeId | undefined, addresses: readonly string[]): Promise<DialResult> {
    const [first = ''] = addresses;
    if (addresses.length === 0) return { type: 'failed', address: first, reason: 'no address' };
    if (node === this.#options.self) return { type: 'failed', address: first, reason: 'that is this node itself' };
    const [known] = node === undefined ? [] : this.paths(node);
    if (known !== undefined) return connectedBy(known);
    const { spares } = this.#options;
    if (node === undefined) spares.expect(addresses);
    try {
      const attempt = await this.#race(node, addresses.slice(0, ADDRESSES_MAX));
      if (attempt.type === 'connected')
        return { type: 'connected', node: attempt.node, address: attempt.connection.remoteAddr.toString() };
      const spare = spares.found(addresses);
      if (spare !== undefined) return { type: 'connected', ...spare };
      return { ...attempt, address: first };
    } finally {
      spares.forget(addresses);
    }
  }

  /** Another path of this kind, whatever there is already. `addresses`: where the node is said to be. */
  async dialPath(node: NodeId, kind: PathKind, addresses: readonly string[]): Promise<DialResult> {
    const fitting = this.#addressesFor(node, kind, addresses);
    const [first = ''] = fitting;
    if (fitting.length === 0) return { type: 'failed', address: first, reason: `no ${kind} address` };
    const attempt = await this.#race(node, fitting.slice(0, ADDRESSES_MAX));
    return attempt.type === 'failed'
      ? { type: 'failed', address: first, reason: attempt.reason }
      : {
          type: 'connected',
          node,
          address: attempt.connection.remoteAddr.toString(),
          path: attempt.connection.id,
        };
  }

  closePath(pathId: string, reason: string): void {
    this.connection(pathId)?.abort(new Error(reason));
  }

  stop(): void {
    this.#stopping.abort(new Error('the node stops'));
  }

  #addressesFor(node: NodeId, kind: PathKind, addresses: readonly string[]): readonly string[] {
    if (kind !== 'webrtc') return addresses.filter((address) => pathKindOf(address) === kind);
    // Greeted over the relays that lead there: those that are in use first. Twice, over the same one if there is no other.
    const inUse = this.paths(node).map(({ address }) => address);
    const [first, second = first] = new Set(
      [...inUse, ...addresses].flatMap((address) => webrtcAddress(address) ?? []),
    );
    return first === undefined || second === undefined ? [] : [first, second];
  }

  /** The first that is proven. */
  async #race(node: NodeId | undefined, addresses: readonly string[]): Promise<Attempt> {
    const { promise, resolve } = Promise.withResolvers<Attempt>();
    const reasons = new Map<string, string>();
    void this.#tryAll(inOrder(addresses), async (address, signal) => {
      const attempt = await this.#attempt(node, address, signal);
      if (attempt.type === 'connected') resolve(attempt);
      else reasons.set(address, attempt.reason);
      return attempt.type;
    }).then(() => resolve({ type: 'failed', reason: [...new Set(reasons.values())].join('; '), reasons }));
    return promise;
  }

  /** Ends with the first direct connection. A relayed one ends only what is relayed: a direct one may still come. */
  async #tryAll(
    addresses: readonly string[],
    tryOne: (address: string, signal: AbortSignal) => Promise<Attempt['type']>,
  ): Promise<void> {
    const direct = new AbortController();
    const relayed = new AbortController();
    const always = AbortSignal.any([this.#stopping.signal, direct.signal, AbortSignal.timeout(DIAL_MS_MAX)]);
    const attempts: Promise<void>[] = [];
    for (const address of addresses) {
      const own = pathKindOf(address) === 'relayed' ? relayed : direct;
      if (always.aborted || own.signal.aborted) continue;
      const attempt = tryOne(address, AbortSignal.any([always, own.signal])).then((outcome) => {
        if (outcome === 'connected') own.abort(new Error('another address was faster'));
      });
      attempts.push(attempt);
      const headStartMs = pathKindOf(address) === 'webrtc' ? WEBRTC_HEAD_START_MS : HEAD_START_MS;
      await Promise.race([attempt, delay(headStartMs, undefined, { ref: false })]);
    }
    await Promise.all(attempts);
  }

  async #attempt(node: NodeId | undefined, address: string, dialSignal: AbortSignal): Promise<Attempt> {
    const kind = pathKindOf(address);
    try {
      dialSignal.throwIfAborted();
      await this.#options.prepare(kind);
      await this.#reachRelay(address, dialSignal);
      const limitMs = kind === 'webrtc' || kind === 'webrtc-direct' ? WEBRTC_MS_MAX : DIAL_ADDRESS_MS_MAX;
      const connection = await whileWanted(dialSignal, limitMs, async (signal) =>
        this.#options.dialAddress(multiaddr(withNode(address, node)), signal),
      );
      return await this.#judge(connection);
    } catch (error) {
      return { type: 'failed', reason: reasonOf(error) };
    }
  }

  async #judge(connection: Connection): Promise<Attempt> {
    const remote = parseNodeId(connection.remotePeer.toString());
    if (remote === undefined) return { type: 'failed', reason: 'the remote is no node' };
    const isProven = await this.#options.membership().verdict(connection);
    return isProven
      ? { type: 'connected', node: remote, connection }
      : { type: 'failed', reason: 'the remote did not prove its membership' };
  }

  /** A relay is a member like any other: connected and proven before anything goes through it. */
  async #reachRelay(address: string, signal: AbortSignal): Promise<void> {
    const via = relayOf(address);
    if (via === undefined || this.#options.membership().connections(via.relay).length > 0) return;
    if (via.relay === this.#options.self) throw new Error('that relay is this node itself');
    const relay = await this.#attempt(via.relay, via.address, signal);
    if (relay.type === 'failed') throw new Error(`the relay: ${relay.reason}`);
  }
}

/** libp2p keeps the signal of a dial and ends what came of it when it fires later: this one never fires after the dial. */
async function whileWanted<Result>(
  wanted: AbortSignal,
  limitMs: number,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const scope = new AbortController();
  const cancel = (): void => scope.abort(wanted.reason);
  const timer = setTimeout(() => scope.abort(new Error(`no connection after ${limitMs} ms`)), limitMs);
  wanted.addEventListener('abort', cancel, { once: true });
  try {
    wanted.throwIfAborted();
    return await work(scope.signal);
  } finally {
    clearTimeout(timer);
    wanted.removeEventListener('abort', cancel);
  }
}

/** As they come, with the best relayed one second, so that it need not wait for all that leads nowhere. */
function inOrder(addresses: readonly string[]): readonly string[] {
  const direct = addresses.filter((address) => pathKindOf(address) !== 'relayed');
  const relayed = addresses.filter((address) => pathKindOf(address) === 'relayed');
  return [...direct.slice(0, 1), ...relayed.slice(0, 1), ...direct.slice(1), ...relayed.slice(1)];
}

function connectedBy(path: NetworkPath): DialResult {
  return { type: 'connected', node: path.node, address: path.address, path: path.id };
}

function rankOf(path: NetworkPath): number {
  return pathRank(path.kind, path.isLimited);
}
