/**
 * How do signed messages reach every member? Over gossipsub, with the settings that its traps call for, and with the
 * verdict on each new message left to the node's core. The traps, each of them measured:
 *  1 many nodes behind one address lost all gossip: no weight on shared addresses, other penalties mild.
 *  2 gossipsub's own signatures are verified for every duplicate: none, ours is inside the payload; the id is its hash.
 *  3 an unread peer filled memory, and with a limit its stream never came back: limit, and close the connection then.
 *  4, 5, 9 liveness, age and redials are decided elsewhere.  6 relayed connections carry gossip too.
 *  7 limits on incoming connections are the transport's.  8 short memory of seen ids, publishing alone is no error,
 *    own messages go to the mesh only, short prune back-off.  10 degree 6.
 * Limits: verdicts that wait are bounded in number and time; then the message is dropped, and gossip brings it again.
 */
import type { Connection, PeerId, Stream, Topology } from '@libp2p/interface';
import {
  gossipsub,
  type GossipSub,
  type GossipSubComponents,
  type Message,
  StrictNoSign,
  TopicValidatorResult,
} from '@libp2p/gossipsub';
import { createHash } from 'node:crypto';
import { type NodeId, parseNodeId } from '../ids.ts';
import { GOSSIP } from '../params.ts';

/** Verdicts that may wait at once. Source: guess: a second of the busiest mesh. */
const PENDING_MAX = 1_024;
/** A verdict that is not there by then is "ignore". Source: guess: far above a turn of the core, below gossipsub's memory. */
const VERDICT_MS_MAX = 2_000;
/** Source: measured (20 bytes instead of 46 halve the traffic of IHAVE). */
const MESSAGE_ID_BYTES = 20;
/** One RPC holds all answers to an IWANT, so this is no limit of a message but of many. Source: 64 messages of 16 kB. */
const RPC_BYTES_MAX = 64 * GOSSIP.messageBytesMax;
/** Bytes queued for one peer before its connection is closed. Source: four such RPCs. */
const OUTBOUND_BYTES_MAX = 4 * RPC_BYTES_MAX;
/** Source: measured: entries are N/T * 30 instead of * 120 s, and replays meet the sequence numbers anyway. */
const SEEN_MS = 30_000;
const PROTOCOL_PREFIX = '/meshsub/';

export interface GossipChannelOptions {
  readonly topic: string;
  readonly onMessage: (
    bytes: Uint8Array,
    from: NodeId,
    judge: (verdict: 'accept' | 'ignore' | 'reject') => void,
  ) => void;
  readonly onProblem: (where: string, error: unknown) => void;
  /** A connection to the same node over a better path, if there is one. */
  readonly betterThan?: (connection: Connection) => Connection | undefined;
}

/** The service factory for libp2p. */
export function gossipService(topic: string): (components: GossipSubComponents) => GossipSub {
  return gossipsub({
    globalSignaturePolicy: StrictNoSign, // trap 2
    msgIdFn: (message) => messageId(message.data), // trap 2
    allowedTopics: [topic],
    fallbackToFloodsub: false,
    scoreParams: { IPColocationFactorWeight: 0, behaviourPenaltyWeight: -1, behaviourPenaltyThreshold: 6 }, // trap 1
    maxOutboundBufferSize: OUTBOUND_BYTES_MAX, // trap 3
    runOnLimitedConnection: true, // trap 6
    seenTTL: SEEN_MS, // trap 8
    allowPublishToZeroTopicPeers: true, // trap 8
    ignoreDuplicatePublishError: true,
    floodPublish: false, // trap 8
    pruneBackoff: 10_000, // trap 8
    D: 6, // trap 10
    mcacheGossip: 2,
    tagMeshPeers: false, // trap 4: connections are kept by our own redial, not by tags
    maxInboundDataLength: RPC_BYTES_MAX,
    decodeRpcLimits: {
      maxSubscriptions: 8,
      maxMessages: GOSSIP.membersMax,
      maxIhaveMessageIDs: 4 * GOSSIP.membersMax,
      maxIwantMessageIDs: 4 * GOSSIP.membersMax,
      maxIdontwantMessageIDs: 512,
      maxControlMessages: 64,
      maxPeerInfos: 0,
    },
    maxInboundStreams: 2,
    maxOutboundStreams: 2,
  });
}

/** sha256 of the whole payload with its signature: an id made of less could be taken by somebody else first. */
export function messageId(payload: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(payload).digest().subarray(0, MESSAGE_ID_BYTES));
}

export class GossipChannel {
  readonly #pubsub: GossipSub;
  readonly #options: GossipChannelOptions;
  readonly #getTopologies: (protocol: string) => readonly Topology[];
  readonly #counters = new Map<string, number>();
  readonly #watched = new WeakSet<Stream>();
  /** Each node's outgoing stream. */
  readonly #outgoing = new Map<string, { readonly stream: Stream; readonly connection: Connection }>();
  #pending = 0;
  #stopped = false;

  constructor(
    pubsub: GossipSub,
    registrar: { getTopologies(protocol: string): Topology[] },
    options: GossipChannelOptions,
  ) {
    this.#pubsub = pubsub;
    this.#options = options;
    this.#getTopologies = (protocol) => registrar.getTopologies(protocol);
    pubsub.topicValidators.set(options.topic, (peer, message) => this.#validate(peer, message));
  }

  /** To be called once libp2p runs. */
  subscribe(): void {
    this.#pubsub.subscribe(this.#options.topic);
  }

  publish(bytes: Uint8Array): void {
    if (this.#stopped) return;
    this.#count('published');
    this.#pubsub.publish(this.#options.topic, bytes).catch((error: unknown) => {
      this.#count('publish-failed');
      this.#options.onProblem('gossip publish', error);
    });
  }

  /**
   * Trap 3: gossipsub keeps a peer whose outgoing stream ended, and sends it nothing any more.
   * 1. The stream ended but its connection lives (unread for too long, or garbage): close it; the redial starts afresh.
   * 2. The connection ended but the peer has another one (`others`): let gossipsub open a stream there.
   */
  watch(stream: Stream, connection: Connection, others: () => readonly Connection[]): void {
    if (!stream.protocol.startsWith(PROTOCOL_PREFIX) || stream.direction !== 'outbound') return;
    if (this.#watched.has(stream)) return;
    this.#watched.add(stream);
    const id = connection.remotePeer.toString();
    this.#outgoing.set(id, { stream, connection });
    // It may have been opened on the path that was there first, while a better one came. gossipsub knows of it a little later.
    setImmediate(() => this.prefer(id));
    stream.addEventListener('close', () => {
      const isCurrent = this.#outgoing.get(id)?.stream === stream;
      if (isCurrent) this.#outgoing.delete(id);
      // Otherwise it was moved.
      if (this.#stopped || !isCurrent) return;
      // The muxer ends its streams just before its connection: look once both are through.
      setImmediate(() => this.#onStreamEnded(stream.protocol, connection, others()));
    });
  }

  /** A path to this node was opened: if it is better than the one in use, the outgoing stream moves there. */
  prefer(node: string): void {
    const outgoing = this.#outgoing.get(node);
    const better = outgoing === undefined ? undefined : this.#options.betterThan?.(outgoing.connection);
    if (outgoing === undefined || better === undefined || this.#stopped) return;
    if (!forgetOutgoing(this.#pubsub, node)) return;
    this.#outgoing.delete(node);
    outgoing.stream.close().catch((error: unknown) => this.#options.onProblem('gossip on the old path', error));
    this.#openOn(better, outgoing.stream.protocol);
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...Object.fromEntries(this.#counters),
      'mesh-peers': this.#pubsub.getSubscribers(this.#options.topic).length,
    };
  }

  stop(): void {
    this.#stopped = true;
  }

  #onStreamEnded(protocol: string, connection: Connection, others: readonly Connection[]): void {
    if (this.#stopped) return;
    if (connection.status === 'open') {
      this.#count('stream-lost');
      connection.abort(new Error('the gossip stream ended while its connection was open'));
      return;
    }
    const [other] = others;
    if (other !== undefined) this.#openOn(other, protocol);
  }

  #openOn(connection: Connection, protocol: string): void {
    this.#count('stream-moved');
    for (const topology of this.#getTopologies(protocol))
      Promise.resolve(topology.onConnect?.(connection.remotePeer, connection)).catch((error: unknown) =>
        this.#options.onProblem('gossip on another connection', error),
      );
  }

  async #validate(peer: PeerId, message: Message): Promise<TopicValidatorResult> {
    const from = parseNodeId(peer.toString());
    if (from === undefined || message.data.length > GOSSIP.messageBytesMax) {
      this.#count('oversized');
      return TopicValidatorResult.Reject;
    }
    if (this.#pending >= PENDING_MAX) {
      this.#count('overflowed');
      return TopicValidatorResult.Ignore;
    }
    this.#pending += 1;
    const verdict = await this.#askCore(message.data, from);
    this.#pending -= 1;
    this.#count(verdict);
    return RESULTS[verdict];
  }

  async #askCore(data: Uint8Array, from: NodeId): Promise<'accept' | 'ignore' | 'reject'> {
    const { promise, resolve } = Promise.withResolvers<'accept' | 'ignore' | 'reject'>();
    const timer = setTimeout(() => resolve('ignore'), VERDICT_MS_MAX);
    try {
      this.#options.onMessage(data, from, resolve);
      return await promise;
    } catch (error) {
      this.#options.onProblem('gossip message', error);
      return 'ignore';
    } finally {
      clearTimeout(timer);
    }
  }

  #count(event: string): void {
    this.#counters.set(event, (this.#counters.get(event) ?? 0) + 1);
  }
}

const RESULTS = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
} as const;

/** gossipsub keeps one outgoing stream for each peer, in a public field that its types do not show; no other is opened before it is gone. */
function forgetOutgoing(pubsub: object, node: string): boolean {
  return 'streamsOutbound' in pubsub && pubsub.streamsOutbound instanceof Map && pubsub.streamsOutbound.delete(node);
}
