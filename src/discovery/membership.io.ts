/**
 * Which connections belong to members, and how is every protocol kept from everybody else? libp2p's pre-shared key does
 * not cover all transports, so each connection, in both directions, must show the membership proof before any stream
 * of any protocol is served or used. One gate stands in front of all of them, also of those that libp2p's own services
 * register: it holds a stream until the verdict. A connection that fails, or stays silent, is aborted, and what
 * libp2p learnt about the stranger is deleted. Our own protocols are registered through `secureHandle` only.
 * Limits: a bounded number of streams with little data waits per connection; a verdict takes at most the timeout.
 */
import type { Connection, Stream, StreamHandler, StreamHandlerOptions, StreamMiddleware } from '@libp2p/interface';
import { randomBytes } from 'node:crypto';
import { type NodeId, parseNodeId } from '../ids.ts';
import type { AdmissionRefusal } from './admission.ts';
import {
  bestFirst,
  type Count,
  endStream,
  type Entry,
  isAdmissionRefusal,
  isByOneOf,
  type MembershipComponents,
  type MembershipOptions,
  newEntry,
  rankOf,
} from './membership-entry.io.ts';
import { MembershipProof, NONCE_BYTES, PROOF_PROTOCOL, type ProofRefusal, type ProofStep } from './membership-proof.ts';
import { wayOf } from './transports.ts';

/** Streams that may wait for the verdict of one connection. Source: guess: identify, gossip both ways, a link. */
const STREAMS_WAITING_MAX = 16;
/** Bytes that may wait on each. Source: guess: more than a member sends before its own proof. */
const WAITING_BYTES_MAX = 65_536;
/** Two nodes may dial each other at once and both connections are good; a dial that began before the older of them was
 *  proven is over by then. Source: libp2p's dial timeout of 10 s, the proof, and slack. */
const REPLACED_AFTER_MS = 15_000;
/** Where one side dialled both there is no such race, only its own dials beside each other: both sides must see the same
 *  one proven first. Source: guess: a proof takes two round trips of at most 500 ms, twice. */
const REDIALLED_AFTER_MS = 2_000;
/** Time for proving again, in times of the first proof: nobody waits for it, and the line may be full. Source: guess. */
const RENEWAL_PROOFS = 4;
/** How long a node that is not admitted has to hear why. Source: guess: a round trip around the world. */
const FAREWELL_MS = 300;

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
      clearTimeout(entry.renewal);
      entry.settle(false);
    }
  }

  /**
   * The keys or the lists changed: who is not admitted any more goes, and who proved itself with a key that is not used any
   * more proves itself again on the same connection, so that no stream is cut. Who cannot, goes as well.
   */
  review(): void {
    const { admission, proofTimeoutMs } = this.#options;
    const keys = admission.memberKeys();
    for (const entry of this.#entries.values()) {
      const { node, proof } = entry;
      if (entry.state !== 'proven' || node === undefined || proof === undefined) continue;
      const refusal = admission.judge(node, proof.certificate);
      if (refusal !== undefined) this.#refuse(entry, refusal);
      else if (entry.renewal === undefined && !isByOneOf(keys, proof)) {
        entry.renewal = setTimeout(() => this.#refuse(entry, 'silent'), RENEWAL_PROOFS * proofTimeoutMs);
        this.#openProof(entry);
      }
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

  /** The best open connection to a node; of equals the newest, which proved last that it carries anything. */
  best(node: NodeId): Connection | undefined {
    return bestFirst(this.connections(node))[0];
  }

  /** A connection to the same node over a better kind of path. */
  betterThan(connection: Connection): Connection | undefined {
    const node = parseNodeId(connection.remotePeer.toString());
    const best = node === undefined ? undefined : this.best(node);
    return best !== undefined && rankOf(best) < rankOf(connection) ? best : undefined;
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
    if (connection.status !== 'open') throw this.#closedBefore(connection);
    const entry = this.#entryOf(connection);
    if (entry.state === 'pending') await this.#hold(entry, stream);
    if (!(await entry.settled)) {
      // libp2p stores what a stream tells about its peer before it asks us: delete it again.
      this.#forget(connection);
      throw new Error('the remote did not prove its membership');
    }
    const { node } = entry;
    const others = (): readonly Connection[] =>
      node === undefined ? [] : bestFirst(this.connections(node)).filter((other) => other !== connection);
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
    const entry = newEntry(connection);
    const { node } = entry;
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
        // A member that is asked again has its own deadline.
        if (entry.state === 'proven') return this.#options.onProblem('proving a membership again', error);
        if (entry.state !== 'pending') return;
        // A peer that does not speak the protocol at all, or went away, or never answered.
        const refusal = entry.connection.status === 'open' ? (signal.aborted ? 'silent' : 'garbage') : 'closed';
        this.#options.onProblem('membership proof', error);
        this.#refuse(entry, refusal);
      },
    );
  }

  readonly #onProofStream: StreamHandler = (stream, connection) => {
    if (connection.status !== 'open') return stream.abort(this.#closedBefore(connection));
    const entry = this.#entryOf(connection);
    // Each connection proves itself once, and the dialler asks; a member may ask again, when the keys changed.
    const isFirst = entry.proof === undefined && connection.direction === 'inbound';
    if (isFirst || entry.state === 'proven') this.#converse(entry, stream);
    else stream.abort(new Error('one membership proof per connection, opened by the dialler'));
  };

  #converse(entry: Entry, stream: Stream): void {
    const { node } = entry;
    if (entry.state === 'refused' || node === undefined) {
      stream.abort(new Error('the membership of this connection is decided'));
      return;
    }
    const { admission } = this.#options;
    const proof = new MembershipProof({
      role: entry.connection.direction === 'outbound' ? 'dialler' : 'listener',
      local: this.#local,
      remote: node,
      memberKeys: admission.memberKeys(),
      nonce: new Uint8Array(randomBytes(NONCE_BYTES)),
      certificate: admission.certificate(),
      judge: (certificate) => admission.judge(node, certificate),
    });
    // Until the renewed proof is done, the first one stands.
    if (entry.state === 'pending') entry.proof = proof;
    entry.askedAtMs = performance.now();
    let isDecided = false;
    const apply = (step: ProofStep): void => {
      if (step.refusedBy !== undefined) this.#refusedBy(entry, step.refusedBy);
      if (isDecided || entry.state === 'refused') return;
      isDecided = step.verdict !== 'pending';
      try {
        for (const bytes of step.send) stream.send(bytes);
      } catch (error) {
        this.#options.onProblem('membership proof', error);
        return this.#refuse(entry, 'closed');
      }
      if (step.verdict === 'proven') this.#proven(entry, proof, stream);
      if (step.verdict === 'refused') this.#refuse(entry, step.refusal ?? 'garbage');
    };
    stream.addEventListener('message', (event) => apply(proof.receive(event.data.subarray())));
    stream.addEventListener('remoteCloseWrite', () => apply(proof.ended()));
    stream.addEventListener('close', () => apply(proof.ended()));
    apply(proof.start());
  }

  #proven(entry: Entry, proof: MembershipProof, stream: Stream): void {
    const isInUse = isByOneOf(this.#options.admission.memberKeys(), proof);
    if (entry.state === 'pending') {
      // The keys changed meanwhile, and a remote decides how long a proof takes.
      if (!isInUse) return this.#refuse(entry, 'wrong-proof');
      return this.#accept(entry, stream);
    }
    // Proven again, with a key that is out by now: the deadline of the last review stands.
    if (!isInUse) return endStream(stream);
    clearTimeout(entry.renewal);
    entry.renewal = undefined;
    entry.proof = proof;
    this.#count('proven-again');
    endStream(stream);
  }

  /** The connection is of no use to either side: it ends here as well, so that a dial that led there counts as one in vain. */
  #refusedBy(entry: Entry, refusal: AdmissionRefusal): void {
    const { node, state } = entry;
    if (node !== undefined) this.#options.admission.refusedBy?.(node, refusal);
    if (state === 'refused') this.#count('refused-by-remote');
    else this.#refuse(entry, 'refused-by-remote');
  }

  #accept(entry: Entry, stream: Stream): void {
    clearTimeout(entry.timer);
    entry.state = 'proven';
    entry.provenAtMs = performance.now();
    this.#count('proven');
    endStream(stream);
    const { node, connection } = entry;
    if (node === undefined) return;
    const connections = this.#members.get(node) ?? new Set();
    const older = [...connections];
    connections.add(connection);
    this.#members.set(node, connections);
    entry.settle(true);
    for (const one of older) if (this.#isReplaced(one, entry)) this.#end(one, connections);
    // The dialler's proof takes two round trips, the listener's one.
    const roundTrips = connection.direction === 'outbound' ? 2 : 1;
    this.#options.onPathOpened?.(node, connection, (entry.provenAtMs - entry.askedAtMs) / roundTrips);
    if (connections.size === 1) this.#options.onConnected(node, connection);
  }

  /**
   * Nobody dials the same way to a node twice: that it was dialled again says that the old connection is dead over there
   * (it slept, its address changed), although no packet has told us yet. It would swallow what we send.
   * Connections over other ways live side by side, and so does a worse one that a better one of the same way follows.
   */
  #isReplaced(older: Connection, newer: Entry): boolean {
    const [before, now] = [older.remoteAddr.toString(), newer.connection.remoteAddr.toString()];
    if (wayOf(before) !== wayOf(now) || rankOf(older) > rankOf(newer.connection)) return false;
    const provenAtMs = this.#entries.get(older)?.provenAtMs ?? newer.provenAtMs;
    const { replacedAfterMs = REPLACED_AFTER_MS } = this.#options;
    const isRedialled = older.direction === newer.connection.direction;
    const afterMs = isRedialled ? Math.min(REDIALLED_AFTER_MS, replacedAfterMs) : replacedAfterMs;
    return newer.provenAtMs - provenAtMs >= afterMs;
  }

  #end(connection: Connection, connections: Set<Connection>): void {
    this.#count('replaced');
    connection.abort(new Error('its node connected anew'));
    // Whether its end was told already or comes later: it is a member's connection no more.
    if (connections.delete(connection)) this.#pathClosed(connection);
  }

  #pathClosed(connection: Connection): void {
    const node = parseNodeId(connection.remotePeer.toString());
    if (node !== undefined) this.#options.onPathClosed?.(node, connection);
  }

  #refuse(entry: Entry, refusal: ProofRefusal | 'refused-by-remote'): void {
    clearTimeout(entry.timer);
    clearTimeout(entry.renewal);
    const wasProven = entry.state === 'proven';
    entry.state = 'refused';
    this.#count(refusal);
    entry.settle(false);
    const { connection } = entry;
    const end = (): void => {
      if (connection.status === 'open') connection.abort(new Error(`membership refused: ${refusal}`));
    };
    // Who holds the key and is not admitted is told why, by the byte that is under way; nothing else is served meanwhile.
    const isTold = refusal !== 'refused-by-remote' && isAdmissionRefusal(refusal) && !wasProven;
    if (isTold) setTimeout(end, FAREWELL_MS).unref();
    else end();
    this.#forget(connection);
  }

  #onTimeout(entry: Entry): void {
    if (entry.state !== 'pending') return;
    this.#refuse(entry, entry.proof?.expired().refusal ?? 'silent');
  }

  #onClose(entry: Entry): void {
    if (entry.state === 'pending') this.#refuse(entry, 'closed');
    if (entry.state === 'refused') this.#forget(entry.connection);
    this.#entries.delete(entry.connection);
    const { node } = entry;
    const connections = node === undefined ? undefined : this.#members.get(node);
    if (node === undefined || connections?.delete(entry.connection) !== true) return;
    this.#pathClosed(entry.connection);
    if (connections.size > 0) return;
    this.#members.delete(node);
    this.#options.onLost(node);
  }

  #closedBefore(connection: Connection): Error {
    this.#forget(connection);
    return new Error('the connection closed before its membership was proven');
  }

  /** A stranger leaves nothing behind, unless the same node is a member over another connection. */
  #forget({ remotePeer }: Connection): void {
    const node = parseNodeId(remotePeer.toString());
    if (node !== undefined && this.#members.has(node)) return;
    this.#components.peerStore
      .delete(remotePeer)
      .catch((error: unknown) => this.#options.onProblem('deleting a stranger from the peer store', error));
  }

  #count(event: Count): void {
    this.#counters.set(event, (this.#counters.get(event) ?? 0) + 1);
  }
}
