/**
 * The simulated network as a host sees it: connections that carry payloads in order, break with or without a word, and
 * cost time. One connection is one TCP connection between two processes: gossip, heartbeats and requests share its order,
 * its bandwidth and its retransmissions. `network.ts` implements it.
 */

/** How a process goes away: the kernel tells its peers (reset), or nobody does. */
export type Departure = 'reset' | 'silent';

/** One end's handle of a connection. Object identity is the connection's identity at that end. */
export interface Connection {
  readonly id: number;
  readonly local: number;
  readonly remote: number;
  /** True at the end that dialled. */
  readonly dialled: boolean;
  /** 'direct', or the relay's number. */
  readonly path: 'direct' | number;
  readonly open: boolean;
}

export interface Endpoint<Payload> {
  connectionOpened(connection: Connection): void;
  /** Once, and never for one that this end closed itself. */
  connectionClosed(connection: Connection, reason: string): void;
  received(connection: Connection, payload: Payload): void;
}

export type DialOutcome =
  | { readonly type: 'connected'; readonly connection: Connection }
  /** refused comes after a round trip, unreachable after the dial's time limit. */
  | { readonly type: 'failed'; readonly reason: string };

export interface NetworkPort<Payload> {
  /** The process at this node listens from now on. */
  attach(node: number, endpoint: Endpoint<Payload>): void;
  /** Its process is gone; every connection of it ends. */
  detach(node: number, departure: Departure): void;
  /** connectionOpened comes before `done` at the dialler. */
  dial(from: number, to: number, done: (outcome: DialOutcome) => void): void;
  /** In order. False when this end is closed, or its buffer is full (`SEND_BUFFER_BYTES_MAX`): then the connection breaks. */
  send(connection: Connection, bytes: number, payload: Payload): boolean;
  /** Ends it; the other end hears of it as soon as the path allows. */
  close(connection: Connection): void;
  /** Bytes that this node sent and that nobody acknowledged yet. */
  bufferedBytes(node: number): number;
  /** A paused process: what arrives waits in its kernel and comes at once when it goes on. */
  pause(node: number): void;
  /** A sleeping machine: nothing arrives and nothing is acknowledged. */
  suspend(node: number): void;
  resume(node: number): void;
  isConnected(left: number, right: number): boolean;
  /** One of their connections would carry a message both ways now. */
  isCarried(left: number, right: number): boolean;
  /** Who relays their connections now. */
  relaysOf(left: number, right: number): readonly number[];
  /** The network would carry a message both ways now. */
  canTalk(left: number, right: number): boolean;
}

/** What faults do to the network. Each returns what undoes it. */
export interface NetworkFaults {
  /** Nothing passes from any of `from` to any of `to`. */
  cut(from: readonly number[], to: readonly number[]): () => void;
  worsen(
    node: number,
    change: { readonly loss?: number; readonly addedMs?: number; readonly bytesPerSecond?: number },
  ): () => void;
  dropRelaysOf(node: number): () => void;
  /** Every connection of the node falls silent for good. */
  rebind(node: number): void;
}
