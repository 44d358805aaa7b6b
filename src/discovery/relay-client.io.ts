/**
 * How does a node keep its places at relays? Members say by identify that they relay; two of them are asked for a place,
 * which libp2p renews as long as the connection lasts; when one goes, the next best is asked. Which relays is decided in
 * `relay-choice.ts`; libp2p's own search, which walks the network at random, is not used, and neither are its listeners,
 * which stay behind for ever when they fail: the addresses that places give are told by gossip.
 * Limits: a bounded number of places and of streams through them.
 * Source: circuit relay v2; measured with @libp2p/circuit-relay-v2 4.2.
 */
import type { Connection, Transport } from '@libp2p/interface';
import { circuitRelayTransport, type CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import type { NodeId } from '../ids.ts';
import { RelayChoice, type RelayCandidate } from './relay-choice.ts';
import { pathKindOf } from './transports.ts';

/** Streams over which others reach us through relays. Source: guess: as many as members that may be connected. */
const RELAYED_MAX = 512;
/** Source: guess: a round trip around the earth, ten times. */
const RESERVATION_MS_MAX = 5_000;

/** libp2p's own search would ask every relay that we meet, and its refusal would be taken for the answer to our question. */
const NOTHING_NEW = { has: () => true, add: () => {}, remove: () => {} };

/** What is needed of libp2p's store of reservations, and is not part of its public types. */
interface ReservationStore {
  addRelay(peer: unknown, type: 'configured'): Promise<unknown>;
  hasReservation(peer: unknown): boolean;
  getReservation(peer: unknown): { readonly addrs: readonly Uint8Array[] } | undefined;
  addEventListener(type: 'relay:removed', listener: () => void): void;
}

export interface RelayClientOptions {
  /** Members that relay and are connected directly, with the time a round trip takes. */
  readonly candidates: () => readonly RelayCandidate[];
  /** It still says so: one that ceased to relay forgot our place. */
  readonly isRelay: (node: NodeId) => boolean;
  readonly connections: (node: NodeId) => readonly Connection[];
  /** Places were won or lost. */
  readonly onChanged: () => void;
  readonly onProblem: (where: string, error: unknown) => void;
  readonly nowMs: () => number;
}

export interface HeldRelay {
  readonly relay: NodeId;
  /** Where others reach it. */
  readonly addresses: readonly string[];
}

export class RelayClient {
  readonly #options: RelayClientOptions;
  readonly #choice = new RelayChoice();
  readonly #asked = new Set<NodeId>();
  readonly #held = new Set<NodeId>();
  #store: ReservationStore | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: RelayClientOptions) {
    this.#options = options;
  }

  /** The transport for libp2p; every node has it, because every node may have to dial through a relay. */
  transport(): (components: CircuitRelayTransportComponents) => Transport {
    return (components) => {
      const transport = circuitRelayTransport({
        maxInboundStopStreams: RELAYED_MAX,
        maxOutboundStopStreams: RELAYED_MAX,
        reservationCompletionTimeout: RESERVATION_MS_MAX,
        discoveryFilter: NOTHING_NEW,
      })(components);
      if (!('reservationStore' in transport) || !isReservationStore(transport.reservationStore))
        throw new Error('@libp2p/circuit-relay-v2 changed: its transport has no store of reservations');
      this.#store = transport.reservationStore;
      this.#store.addEventListener('relay:removed', () => this.#changed());
      return transport;
    };
  }

  /** Call it whenever a member that relays came, went, or began or ceased to relay. */
  update(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    const nowMs = this.#options.nowMs();
    const taken = new Set([...this.#heldRelays(), ...this.#asked]);
    const { ask, againAtMs } = this.#choice.next(this.#options.candidates(), taken, nowMs);
    for (const relay of ask) void this.#ask(relay);
    if (againAtMs < Infinity) this.#timer = setTimeout(() => this.update(), Math.max(0, againAtMs - nowMs)).unref();
  }

  held(): readonly HeldRelay[] {
    return this.#heldRelays().map((relay) => ({ relay, addresses: this.#addressesOf(relay) }));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #heldRelays(): NodeId[] {
    return [...this.#held].filter(
      (relay) => this.#options.isRelay(relay) && this.#store?.hasReservation(peerIdFromString(relay)) === true,
    );
  }

  async #ask(relay: NodeId): Promise<void> {
    const connection = this.#options
      .connections(relay)
      .find(({ remoteAddr }) => pathKindOf(remoteAddr.toString()) !== 'relayed');
    if (connection === undefined) return;
    this.#asked.add(relay);
    try {
      await this.#store?.addRelay(connection.remotePeer, 'configured');
      this.#held.add(relay);
      this.#choice.succeeded(relay);
    } catch (error) {
      this.#choice.failed(relay, this.#options.nowMs());
      if (!this.#stopped) this.#options.onProblem(`a place at the relay ${relay}`, error);
    } finally {
      this.#asked.delete(relay);
      this.#changed();
    }
  }

  #changed(): void {
    if (this.#stopped) return;
    this.#options.onChanged();
    this.update();
  }

  /** What the relay says, and what we dialled: it may not know its public address. */
  #addressesOf(relay: NodeId): readonly string[] {
    const told = (this.#store?.getReservation(peerIdFromString(relay))?.addrs ?? []).map((bytes) =>
      multiaddr(bytes).toString(),
    );
    const dialled = this.#options
      .connections(relay)
      .filter(({ direction }) => direction === 'outbound')
      .map(({ remoteAddr }) => remoteAddr.toString());
    const inbound = new Set(
      this.#options
        .connections(relay)
        .filter(({ direction }) => direction === 'inbound')
        .map(({ remoteAddr }) => remoteAddr.toString()),
    );
    return [...dialled, ...told].filter((address) => !inbound.has(address));
  }
}

function isReservationStore(value: unknown): value is ReservationStore {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['addRelay', 'hasReservation', 'getReservation', 'addEventListener'].every(
      (name) => name in value && typeof Reflect.get(value, name) === 'function',
    )
  );
}
