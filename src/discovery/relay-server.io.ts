/**
 * How does a node that everybody reaches carry the streams of those who reach each other not? It keeps a bounded number of
 * places for members, and joins two of their streams when one asks for the other. libp2p's limits, which cut an answer
 * after 128 KiB or two minutes, are off; in their place each member has a fair rate, and a stream whose other end reads
 * slowly is paused before it fills our memory, which libp2p's own joint does not do.
 * Limits: places, joined streams of a member, bytes per second of a member, bytes between two ends. Everything passes only as the members' own
 * ciphertext: a relay reads nothing.
 * Source: circuit relay v2; measured (NAT laboratory, docs/decisions).
 */
import type { Connection, ConnectionGater, PeerId, Stream, StreamHandler } from '@libp2p/interface';
import { start, stop } from '@libp2p/interface';
import {
  circuitRelayServer,
  type CircuitRelayServerComponents,
  type CircuitRelayService,
  RELAY_V2_STOP_CODEC,
} from '@libp2p/circuit-relay-v2';
import { AsyncLocalStorage } from 'node:async_hooks';
import { type NodeId, parseNodeId } from '../ids.ts';
import { RELAY_RATE, RelayMeter, type RelayRate } from './relay-rate.ts';
import { pathKindOf } from './transports.ts';

/** Places for members. Source: guess: as many connections as a node has (512), less those of its own. */
const RESERVATIONS_MAX = 256;
/** Joined streams. Source: guess: four for each place. */
const RELAYED_MAX = 1_024;
/** Of those, asked for by one member. Source: guess: one for each place, so that a member behind a NAT reaches everybody. */
const RELAYED_PER_MEMBER_MAX = 256;
/** Bytes taken from one end and not yet given to the other. Source: guess: four windows of a stream. */
const BETWEEN_BYTES_MAX = 1_048_576;
/** A new relayed connection has this long to be made. Source: guess: two round trips around the earth, thrice. */
const HOP_MS_MAX = 5_000;

export interface RelayLimits {
  readonly reservationsMax?: number;
  readonly relayedPerMemberMax?: number;
  /** Cuts as libp2p does by default; for tests, where we are somebody else's relay. */
  readonly applyDefaultLimit?: boolean;
  readonly rate?: RelayRate;
}

export interface RelayServerOptions extends RelayLimits {
  /** The proven connections of a member. */
  readonly connections: (node: NodeId) => readonly Connection[];
  readonly secureHandle: (
    protocol: string,
    handler: StreamHandler,
    options?: { readonly runOnLimitedConnection?: boolean },
  ) => Promise<void>;
  readonly nowMs: () => number;
}

interface Hop {
  readonly stream: Stream;
  readonly from: NodeId;
}

export class RelayServer {
  readonly #components: CircuitRelayServerComponents;
  readonly #options: RelayServerOptions;
  readonly #meter: RelayMeter;
  /** For whom the code that runs is opening a stream. */
  readonly #hop = new AsyncLocalStorage<Hop>();
  #service: CircuitRelayService | undefined;
  #relayed = 0;
  /** By the member that asked for them. */
  readonly #relayedFor = new Map<NodeId, number>();
  #bytes = 0;
  #pauses = 0;

  constructor(components: CircuitRelayServerComponents, options: RelayServerOptions) {
    this.#components = components;
    this.#options = options;
    this.#meter = new RelayMeter(options.rate ?? RELAY_RATE);
  }

  get isOn(): boolean {
    return this.#service !== undefined;
  }

  /** Members hear of it by identify. */
  async start(): Promise<void> {
    if (this.#service !== undefined) return;
    const service = circuitRelayServer({
      hopTimeout: HOP_MS_MAX,
      maxInboundHopStreams: RELAYED_MAX,
      maxOutboundHopStreams: RELAYED_MAX,
      maxOutboundStopStreams: RELAYED_MAX,
      reservations: {
        applyDefaultLimit: this.#options.applyDefaultLimit ?? false,
        maxReservations: this.#options.reservationsMax ?? RESERVATIONS_MAX,
      },
    })(this.#guarded());
    this.#service = service;
    await start(service);
  }

  async stop(): Promise<void> {
    const service = this.#service;
    this.#service = undefined;
    await stop(service);
  }

  /** Every stream of a member, before it is used: those that we open to carry somebody's bytes are joined here. */
  watch(stream: Stream, connection: Connection): void {
    const hop = this.#hop.getStore();
    if (hop === undefined || stream.protocol !== RELAY_V2_STOP_CODEC || stream.direction !== 'outbound') return;
    const to = parseNodeId(connection.remotePeer.toString());
    if (to === undefined) return;
    this.#count(hop.from, 1);
    this.#meterWay({ source: hop.stream, sink: stream, from: hop.from });
    this.#meterWay({ source: stream, sink: hop.stream, from: to });
    stream.addEventListener('close', () => this.#count(hop.from, -1), { once: true });
  }

  #count(from: NodeId, more: number): void {
    this.#relayed += more;
    const count = (this.#relayedFor.get(from) ?? 0) + more;
    if (count === 0) this.#relayedFor.delete(from);
    else this.#relayedFor.set(from, count);
  }

  #isFull(source: PeerId): boolean {
    const node = parseNodeId(source.toString());
    const own = node === undefined ? 0 : (this.#relayedFor.get(node) ?? 0);
    return this.#relayed >= RELAYED_MAX || own >= (this.#options.relayedPerMemberMax ?? RELAYED_PER_MEMBER_MAX);
  }

  counters(): Readonly<Record<string, number>> {
    return {
      reservations: this.#service?.reservations.size ?? 0,
      relayed: this.#relayed,
      'relayed-bytes': this.#bytes,
      pauses: this.#pauses,
    };
  }

  /** The server sees members only, and opens streams on direct connections only. */
  #guarded(): CircuitRelayServerComponents {
    const { connections, secureHandle } = this.#options;
    const isMember = (peer: PeerId): boolean => directOf(peer, connections).length > 0;
    const connectionGater: ConnectionGater = {
      denyInboundRelayReservation: (source) => !isMember(source),
      denyOutboundRelayedConnection: (source, destination) =>
        this.#isFull(source) || !isMember(source) || !isMember(destination),
    };
    const { registrar, connectionManager } = this.#components;
    const guarded = Object.create(registrar, {
      handle: {
        value: async (protocol: string, handler: StreamHandler, options: { runOnLimitedConnection?: boolean }) =>
          secureHandle(protocol, this.#inHop(handler), options),
      },
    });
    const manager = Object.create(connectionManager, {
      getConnections: { value: (peer: PeerId) => directOf(peer, connections) },
    });
    return { ...pick(this.#components), connectionGater, registrar: guarded, connectionManager: manager };
  }

  #inHop(handler: StreamHandler): StreamHandler {
    return async (stream, connection) => {
      const from = parseNodeId(connection.remotePeer.toString());
      if (from !== undefined) await this.#hop.run({ stream, from }, async () => handler(stream, connection));
    };
  }

  /** From one end to the other: counted as they come, and no longer as they leave. */
  #meterWay({ source, sink, from }: { source: Stream; sink: Stream; from: NodeId }): void {
    if (!('onData' in source) || typeof source.onData !== 'function') return;
    const receive = source.onData.bind(source);
    const send = sink.send.bind(sink);
    let between = 0;
    let waitsForRate = false;
    const resume = (): void => {
      if (waitsForRate || between > BETWEEN_BYTES_MAX / 2 || source.readStatus !== 'paused') return;
      source.resume();
    };
    const pause = (): void => {
      if (source.readStatus !== 'readable') return;
      this.#pauses += 1;
      source.pause();
    };
    source.onData = (data: { readonly byteLength: number }) => {
      const { byteLength } = data;
      this.#bytes += byteLength;
      between += byteLength;
      receive(data);
      const waitMs = this.#meter.take(from, byteLength, this.#options.nowMs());
      if (between > BETWEEN_BYTES_MAX) pause();
      if (waitMs === 0 || waitsForRate) return;
      waitsForRate = true;
      pause();
      setTimeout(() => {
        waitsForRate = false;
        resume();
      }, waitMs).unref();
    };
    sink.send = (data) => {
      between = Math.max(0, between - data.byteLength);
      const canSendMore = send(data);
      resume();
      return canSendMore;
    };
  }
}

function pick(components: CircuitRelayServerComponents): CircuitRelayServerComponents {
  const { registrar, peerStore, addressManager, peerId, privateKey, connectionManager, connectionGater, logger } =
    components;
  return { registrar, peerStore, addressManager, peerId, privateKey, connectionManager, connectionGater, logger };
}

/** The connections of a member that need no relay themselves. */
function directOf(peer: PeerId, connections: RelayServerOptions['connections']): Connection[] {
  const node = parseNodeId(peer.toString());
  const all = node === undefined ? [] : connections(node);
  return all.filter(({ remoteAddr }) => pathKindOf(remoteAddr.toString()) !== 'relayed');
}
