/**
 * What does the rest of a node see of the network? Members, their streams, and gossip: nothing of libp2p. A node is named
 * here only after its membership proof. `src/node/libp2p.io.ts` is the implementation; tests bring their own.
 * Streams deliver what arrives through `message` events, which start to flow when a listener is added; bytes may be cut
 * anywhere. `send` returns false when the caller should wait for `onDrain`.
 */
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

export interface NetworkEvents {
  /** The first proven connection of a node, or one that took the place of all older ones. */
  readonly onMember: (node: NodeId, address: string) => void;
  /** The last proven connection of a node closed. */
  readonly onMemberLost: (node: NodeId) => void;
  /** Hints where a node may be dialled. */
  readonly onAddresses: (node: NodeId, addresses: readonly string[], source: 'mdns' | 'identify') => void;
  /** A gossip message that was not seen before; it is passed on when `judge('accept')` is called soon. */
  readonly onMessage: (bytes: Uint8Array, from: NodeId, judge: (verdict: Verdict) => void) => void;
  /** Any byte-carrying sign of life is the protocols' business; this is for the log and a counter. */
  readonly onProblem: (where: string, error: unknown) => void;
}

export type DialResult =
  | { readonly type: 'connected'; readonly node: NodeId; readonly address: string }
  | { readonly type: 'failed'; readonly address: string; readonly reason: string };

export interface StreamOptions {
  readonly maxInboundStreams?: number;
  readonly maxOutboundStreams?: number;
}

export interface Network {
  readonly node: NodeId;
  /** Where this node listens, with its id. */
  addresses(): readonly string[];
  members(): readonly NodeId[];
  isConnected(node: NodeId): boolean;
  /** Tries the addresses in turn; connected means that the membership is proven. Never rejects. */
  dial(node: NodeId | undefined, addresses: readonly string[]): Promise<DialResult>;
  /** Closes all connections to a node. */
  close(node: NodeId, reason: string): void;
  /** A new stream to a connected member. Rejects when there is no connection or the signal fires. */
  openStream(node: NodeId, protocol: string, signal: AbortSignal): Promise<NetworkStream>;
  /** Serves a protocol to members. */
  handle(
    protocol: string,
    handler: (stream: NetworkStream, from: NodeId) => void | Promise<void>,
    options?: StreamOptions,
  ): Promise<void>;
  /** Gossips to all members. */
  publish(bytes: Uint8Array): void;
  /** What happened so far, for metrics and `doctor`: counts by name. */
  counters(): Readonly<Record<string, number>>;
  stop(): Promise<void>;
}
