/**
 * Which connections belong to members, and how is every protocol kept from everybody else? libp2p's pre-shared key does
 * not cover all transports, so each connection, in both directions, must show the membership proof before any stream
 * of any protocol is served or used. One gate stands in front of all of them, also of those that libp2p's own services
 * register: it holds a stream until the verdict. A connection that fails, or stays silent, is aborted, and what
 * libp2p learnt about the stranger is deleted. Our own protocols are registered through `secureHandle` only.
 * Limits: a bounded number of streams with little data waits per connection; a verdict takes at most the timeout.
 */
import type {
  Connection,
  Libp2pEvents,
  PeerId,
  PeerStore,
  Stream,
  StreamHandler,
  StreamHandlerOptions,
  StreamMiddleware,
  TypedEventTarget,
} from '@libp2p/interface';
import { randomBytes } from 'node:crypto';
import { type NodeId, parseNodeId } from '../ids.ts';
import { MembershipProof, NONCE_BYTES, PROOF_PROTOCOL, type ProofRefusal, type ProofStep } from './membership-proof.ts';

/** Streams that may wait for the verdict of one connection. Source: guess: identify, gossip both ways, a link. */
const STREAMS_WAITING_MAX = 16;
/** Bytes that may wait on each. Source: guess: more than a member sends before its own proof. */
const WAITING_BYTES_MAX = 65_536;
/** Two nodes may dial each other at once and both connections are good; a dial that began before the older of them was
 *  proven is over by then. Source: libp2p's dial timeout of 10 s, the proof, and slack. */
const REPLACED_AFTER_MS = 15_000;

/** What this needs of libp2p's components. */
export interface MembershipComponents {
  readonly peerId: PeerId;
  readonly events: TypedEventTarget<Libp2pEvents>;
  readonly peerStore: Pick<PeerStore, 'delete'>;
  readonly registrar: {
    handle(protocol: string, handler: StreamHandler, options?: StreamHandlerOptions): Promise<void>;
    getMiddleware(protocol: string): StreamMiddleware[];
  };
}

export interface MembershipOptions {
  readonly memberKey: Uint8Array;
  /** Silence after which a connection is no member's. */
  readonly proofTimeoutMs: number;
  /** A proven connection as old as this ends when its node proves a newer one. */
  readonly replacedAfterMs?: number;
  /** The first proven connection of a node, or one that took the place of all older ones. */
  readonly onConnected: (node: NodeId, connection: Connection) => void;
  /** The last proven connection of a node closed. */
  readonly onLost: (node: NodeId) => void;
  /** Every stream of a member, both directions, before it is used; `others` are the node's other connections. */
  readonly onStream: (stream: Stream, connection: Connection, others: () => readonly Connection[]) => void;
  /** What went wrong outside of any call; for a log line and a counter. */
  readonly onProblem: (where: string, error: unknown) => void;
}

/** `replaced`: by a newer one of its node. */
type Count = ProofRefusal | 'proven' | 'replaced';

interface Entry {
  readonly connection: Connection;
  readonly node: NodeId | undefined;
  readonly settled: Promise<boolean>;
  readonly settle: (proven: boolean) => void;
  state: 'pending' | 'proven' | 'refused';
  provenAtMs: number;
  timer: NodeJS.Timeout | undefined;
  proof: MembershipProof | undefined;
  waiting: number;
}

export class Membership {
  readonly #components: MembershipComponents;
  readonly #options: MembershipOptions;
  readonly #local: NodeId;
  readonly #entries = new Map<Connection, Entry>();
  readonly #members = new Map<NodeId, Set<Connection>>();
  readonly #counters = new Map<Count, number>();

  constructor(components: MembershipComponents, options: MembershipOptions) {
    const local = parseNodeId(components.peerId.toString());
    if (local === undefined) throw new Error('a node has an Ed25519 key');
    this.#local = local;
    this.#components = components;
    this.#options = options;
    // libp2p's `use(protocol, middleware)` takes one protocol at a time and pushes each stream's handler into the very
    // array it was given, so that later streams run the handlers of earlier ones. A fresh array for each stream, here.
    components.registrar.getMiddleware = (protocol) => (protocol === PROOF_PROTOCOL ? [] : [this.#gate]);
    components.events.addEventListener('connection:open', this.#onOpen);
  }

  /** Registers the proof's own protocol; libp2p calls it before it listens. */
  async start(): Promise<void> {
    await this.#components.registrar.handle(PROOF_PROTOCOL, this.#onProofStream, {
      maxInboundStreams: 1,
      maxOutboundStreams: 1,
      runOnLimitedConnection: true,
    });
  }

  stop(): void {
    this.#components.events.removeEventListener('connection:open', this.#onOpen);
    for (const entry of this.#entries.values()) {
      clearTimeout(entry.timer);
      entry.settle(false);
    }
  }

  /** The only way a protocol of ours is registered. */
  async secureHandle(protocol: string, handler: StreamHandler, options: StreamHandlerOptions = {}): Promise<void> {
    const checked: StreamHandler = async (stream, connection) => {
      // The gate has waited already; this holds should anything ever hand out streams around it.
      if (this.isMember(connection)) await handler(stream, connection);
      else stream.abort(new Error('not a member'));
    };
    await this.#components.registrar.handle(protocol, checked, { runOnLimitedConnection: true, ...options });
  }

  isMember(connection: Connection): boolean {
    return this.#entries.get(connection)?.state === 'proven';
  }

  /** Resolves with the verdict on a connection. */
  async verdict(connection: Connection): Promise<boolean> {
    if (connection.status !== 'open') return false;
    return this.#entryOf(connection).settled;
  }

  /** The proven, open connections to a node, oldest first. */
  connections(node: NodeId): readonly Connection[] {
    return [...(this.#members.get(node) ?? [])].filter((connection) => connection.status === 'open');
  }

  members(): readonly NodeId[] {
    return [...this.#members.keys()];
  }

  /** Connections that proved themselves, or did not, by reason. */
  counters(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counters);
  }

  readonly #onOpen = (event: CustomEvent<Connection>): void => {
    this.#entryOf(event.detail);
  };

  readonly #gate: StreamMiddleware = async (stream, connection, next) => {
    if (connection.status !== 'open') throw new Error('the connection closed before its membership was proven');
    const entry = this.#entryOf(connection);
    if (entry.state === 'pending') await this.#hold(entry, stream);
    if (!(await entry.settled)) {
      // libp2p stores what a stream tells about its peer before it asks us: delete it again.
      this.#forget(entry);
      throw new Error('the remote did not prove its membership');
    }
    const { node } = entry;
    const others = (): readonly Connection[] =>
      node === undefined ? [] : this.connections(node).filter((other) => other !== connection);
    this.#options.onStream(stream, connection, others);
    next(stream, connection);
  };

  async #hold(entry: Entry, stream: Stream): Promise<void> {
    if (entry.waiting >= STREAMS_WAITING_MAX) throw new Error('too many streams wait for a membership proof');
    entry.waiting += 1;
    const readBufferBytesMax = stream.maxReadBufferLength;
    stream.maxReadBufferLength = WAITING_BYTES_MAX;
    await entry.settled;
    stream.maxReadBufferLength = readBufferBytesMax;
    entry.waiting -= 1;
  }

  #entryOf(connection: Connection): Entry {
    const known = this.#entries.get(connection);
    if (known !== undefined) return known;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const node = parseNodeId(connection.remotePeer.toString());
    const entry: Entry = {
      connection,
      node,
      settled: promise,
      settle: resolve,
      state: 'pending',
      provenAtMs: 0,
      timer: undefined,
      proof: undefined,
      waiting: 0,
    };
    this.#entries.set(connection, entry);
    connection.addEventListener('close', () => this.#onClose(entry));
    if (node === undefined) {
      this.#refuse(entry, 'not-a-node');
      return entry;
    }
    entry.timer = setTimeout(() => this.#onTimeout(entry), this.#options.proofTimeoutMs);
    if (connection.direction === 'outbound') this.#openProof(entry);
    return entry;
  }

  #openProof(entry: Entry): void {
    const signal = AbortSignal.timeout(this.#options.proofTimeoutMs);
    entry.connection.newStream(PROOF_PROTOCOL, { signal, runOnLimitedConnection: true }).then(
      (stream) => this.#converse(entry, stream),
      (error: unknown) => {
        if (entry.state !== 'pending') return;
        // A peer that does not speak the protocol at all, or went away, or never answered.
        const refusal = entry.connection.status === 'open' ? (signal.aborted ? 'silent' : 'garbage') : 'closed';
        this.#options.onProblem('membership proof', error);
        this.#refuse(entry, refusal);
      },
    );
  }

  readonly #onProofStream: StreamHandler = (stream, connection) => {
    const entry = this.#entryOf(connection);
    // Each connection proves itself once, and the dialler asks.
    if (entry.proof === undefined && connection.direction === 'inbound') this.#converse(entry, stream);
    else stream.abort(new Error('one membership proof per connection, opened by the dialler'));
  };

  #converse(entry: Entry, stream: Stream): void {
    if (entry.state !== 'pending' || entry.node === undefined) {
      stream.abort(new Error('the membership of this connection is decided'));
      return;
    }
    const proof = new MembershipProof({
      role: entry.connection.direction === 'outbound' ? 'dialler' : 'listener',
      local: this.#local,
      remote: entry.node,
      memberKey: this.#options.memberKey,
      nonce: new Uint8Array(randomBytes(NONCE_BYTES)),
    });
    entry.proof = proof;
    const apply = (step: ProofStep): void => {
      if (entry.state !== 'pending') return;
      try {
        for (const bytes of step.send) stream.send(bytes);
      } catch (error) {
        this.#options.onProblem('membership proof', error);
        return this.#refuse(entry, 'closed');
      }
      if (step.verdict === 'proven') this.#accept(entry, stream);
      if (step.verdict === 'refused') this.#refuse(entry, step.refusal ?? 'garbage');
    };
    stream.addEventListener('message', (event) => apply(proof.receive(event.data.subarray())));
    stream.addEventListener('remoteCloseWrite', () => apply(proof.ended()));
    stream.addEventListener('close', () => apply(proof.ended()));
    apply(proof.start());
  }

  #accept(entry: Entry, stream: Stream): void {
    clearTimeout(entry.timer);
    entry.state = 'proven';
    entry.provenAtMs = performance.now();
    this.#count('proven');
    stream.close().catch((error: unknown) => stream.abort(error instanceof Error ? error : new Error(String(error))));
    const { node, connection } = entry;
    if (node === undefined) return;
    const connections = this.#members.get(node) ?? new Set();
    const older = [...connections];
    connections.add(connection);
    this.#members.set(node, connections);
    entry.settle(true);
    for (const one of older) if (this.#isReplaced(one, entry)) this.#end(one, connections);
    if (connections.size === 1) this.#options.onConnected(node, connection);
  }

  /**
   * Nobody dials a node that it is connected to: that it dialled again says that the old connection is dead over there
   * (it slept, its address changed), although no packet has told us yet. It would swallow what we send.
   */
  #isReplaced(older: Connection, newer: Entry): boolean {
    const provenAtMs = this.#entries.get(older)?.provenAtMs ?? newer.provenAtMs;
    return newer.provenAtMs - provenAtMs >= (this.#options.replacedAfterMs ?? REPLACED_AFTER_MS);
  }

  #end(connection: Connection, connections: Set<Connection>): void {
    this.#count('replaced');
    connection.abort(new Error('its node connected anew'));
    // Whether its end was told already or comes later: it is a member's connection no more.
    connections.delete(connection);
  }

  #refuse(entry: Entry, refusal: ProofRefusal): void {
    clearTimeout(entry.timer);
    entry.state = 'refused';
    this.#count(refusal);
    entry.settle(false);
    if (entry.connection.status === 'open') entry.connection.abort(new Error(`membership refused: ${refusal}`));
    this.#forget(entry);
  }

  #onTimeout(entry: Entry): void {
    if (entry.state !== 'pending') return;
    this.#refuse(entry, entry.proof?.expired().refusal ?? 'silent');
  }

  #onClose(entry: Entry): void {
    if (entry.state === 'pending') this.#refuse(entry, 'closed');
    if (entry.state === 'refused') this.#forget(entry);
    this.#entries.delete(entry.connection);
    const { node } = entry;
    const connections = node === undefined ? undefined : this.#members.get(node);
    if (node === undefined || connections?.delete(entry.connection) !== true || connections.size > 0) return;
    this.#members.delete(node);
    this.#options.onLost(node);
  }

  /** A stranger leaves nothing behind, unless the same node is a member over another connection. */
  #forget(entry: Entry): void {
    if (entry.node !== undefined && this.#members.has(entry.node)) return;
    this.#components.peerStore
      .delete(entry.connection.remotePeer)
      .catch((error: unknown) => this.#options.onProblem('deleting a stranger from the peer store', error));
  }

  #count(event: Count): void {
    this.#counters.set(event, (this.#counters.get(event) ?? 0) + 1);
  }
}
