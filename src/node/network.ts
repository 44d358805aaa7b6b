/**
 * What does the rest of a node see of the network? Members, their streams, and gossip: nothing of libp2p. A node is named
 * here only after its membership proof. `src/node/libp2p.io.ts` is the implementation; tests bring their own.
 * Streams deliver what arrives through `message` events, which start to flow when a listener is added; bytes may be cut
 * anywhere. `send` returns false when the caller should wait for `onDrain`.
 */
import type { ReachVerdict } from '../discovery/reachability.ts';
import type { PathKind } from '../discovery/transports.ts';
import type { NodeId } from '../ids.ts';

/** The part of a libp2p stream that protocols use. */
export interface NetworkStream {
  readonly status: 'open' | 'closing' | 'closed' | 'aborted' | 'reset';
  readonly writableNeedsDrain: boolean;
  send(bytes: Uint8Array): boolean;
  onDrain(options?: { readonly signal?: AbortSignal }): Promise<void>;
  pause(): void;
  resume(): void;
  /** Sends what is queued, then ends the writable side. */
  close(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Ends both sides at once and tells the remote. */
  abort(error: Error): void;
  addEventListener(type: 'message', listener: (event: { readonly data: NetworkBytes }) => void): void;
  /** Ended for good; `error` when it was not graceful. */
  addEventListener(type: 'close', listener: (event: { readonly error?: Error }) => void): void;
  /** `remoteCloseWrite`: the remote sends no more. Lost when it happened before the listener was added. */
  addEventListener(type: 'drain' | 'remoteCloseWrite', listener: () => void): void;
}

/** One or several buffers; `subarray()` gives them as one. */
export interface NetworkBytes {
  readonly byteLength: number;
  subarray(): Uint8Array;
}

/** accept = pass on, ignore = drop silently, reject = drop and hold it against the sender. */
export type Verdict = 'accept' | 'ignore' | 'reject';

/** One proven connection to a node. Several may live side by side. */
export interface NetworkPath {
  readonly id: string;
  readonly node: NodeId;
  readonly kind: PathKind;
  /** Who carries it, when it is relayed. */
  readonly relay: NodeId | undefined;
  readonly address: string;
  readonly direction: 'inbound' | 'outbound';
  /** A relay of somebody else's may cut it after some bytes or minutes. */
  readonly isLimited: boolean;
  /** By this process's monotonic clock. */
  readonly openedAtMs: number;
  /** As the membership proof took it, once, at the beginning. */
  readonly rttMs: number;
}

/** Where this node stands in the network. */
export interface NetworkReach extends ReachVerdict {
  /** It relays for members. */
  readonly isRelay: boolean;
  /** Members that keep a place for it, so that others find it. */
  readonly relays: readonly NodeId[];
}

export interface NetworkEvents {
  /** The first proven connection of a node, or one that took the place of all older ones. */
  readonly onMember: (node: NodeId, address: string) => void;
  /** The last proven connection of a node closed. */
  readonly onMemberLost: (node: NodeId) => void;
  /** Any path of a node, before `onMember` when it is the first. */
  readonly onPathOpened?: (path: NetworkPath) => void;
  /** Before `onMemberLost` when it was the last. */
  readonly onPathClosed?: (path: NetworkPath) => void;
  /** What `addresses` or `reach` answers changed. */
  readonly onOwnAddresses?: () => void;
  /** Hints where a node may be dialled. */
  readonly onAddresses: (node: NodeId, addresses: readonly string[], source: 'mdns' | 'identify') => void;
  /** A gossip message that was not seen before; it is passed on when `judge('accept')` is called soon. */
  readonly onMessage: (bytes: Uint8Array, from: NodeId, judge: (verdict: Verdict) => void) => void;
  /** Any byte-carrying sign of life is the protocols' business; this is for the log and a counter. */
  readonly onProblem: (where: string, error: unknown) => void;
}

export type DialResult =
  | { readonly type: 'connected'; readonly node: NodeId; readonly address: string; readonly path?: string }
  | {
      readonly type: 'failed';
      readonly address: string;
      readonly reason: string;
      /** By address, where each was tried. */
      readonly reasons?: ReadonlyMap<string, string>;
    };

export interface StreamOptions {
  readonly maxInboundStreams?: number;
  readonly maxOutboundStreams?: number;
}

export interface Network {
  readonly node: NodeId;
  /** Where this node listens, with its id. */
  addresses(): readonly string[];
  reach(): NetworkReach;
  members(): readonly NodeId[];
  isConnected(node: NodeId): boolean;
  /** Tries the addresses in turn; connected means that the membership is proven. Never rejects. */
  dial(node: NodeId | undefined, addresses: readonly string[]): Promise<DialResult>;
  /** Closes all connections to a node. */
  close(node: NodeId, reason: string): void;
  /** The open paths, of one node or of all, best first. */
  paths(node?: NodeId): readonly NetworkPath[];
  /**
   * Opens another path of this kind, whatever there is already, to one of the addresses of the node that fit; WebRTC is
   * greeted over a relay that leads there. Connected means that the membership is proven on it. Never rejects.
   */
  dialPath(node: NodeId, kind: PathKind, addresses: readonly string[]): Promise<DialResult>;
  /** Ends one path at once. */
  closePath(path: string, reason: string): void;
  /** A new stream to a connected member, on the best path or on this one. Rejects when there is none or the signal fires. */
  openStream(node: NodeId, protocol: string, signal: AbortSignal, path?: string): Promise<NetworkStream>;
  /** Serves a protocol to members; `path` is the one that the stream came over. */
  handle(
    protocol: string,
    handler: (stream: NetworkStream, from: NodeId, path: string) => void | Promise<void>,
    options?: StreamOptions,
  ): Promise<void>;
  /** The keys or the lists of who is admitted changed: looks at every connection again. */
  reviewMembers(): void;
  /** Gossips to all members. */
  publish(bytes: Uint8Array): void;
  /** What happened so far, for metrics and `doctor`: counts by name. */
  counters(): Readonly<Record<string, number>>;
  stop(): Promise<void>;
}
