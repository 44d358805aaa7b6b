/**
 * What the gate of `membership.io.ts` works with: what it needs of libp2p and of its owner, what it remembers of each
 * connection, and which of several connections to one node is the better one. Nothing here decides who is a member.
 * Limits: one entry for each open connection; the gate removes it when that closes.
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
import { equalBytes } from '../bytes.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import { type Admission, ADMISSION_REFUSALS } from './admission.ts';
import type { MembershipProof, ProofRefusal } from './membership-proof.ts';
import { pathKindOf, pathRank } from './transports.ts';

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
  /** Which keys are members' at the moment, and who of those that hold one is admitted. */
  readonly admission: Admission;
  /** Silence after which a connection is no member's. */
  readonly proofTimeoutMs: number;
  /** A proven connection as old as this ends when its node proves a newer one. */
  readonly replacedAfterMs?: number;
  /** The first proven connection of a node, or one that took the place of all older ones. */
  readonly onConnected: (node: NodeId, connection: Connection) => void;
  /** The last proven connection of a node closed. */
  readonly onLost: (node: NodeId) => void;
  /** Any connection of a node was proven; the proof took about one round trip. */
  readonly onPathOpened?: (node: NodeId, connection: Connection, rttMs: number) => void;
  /** A proven connection is a member's no more. */
  readonly onPathClosed?: (node: NodeId, connection: Connection) => void;
  /** Every stream of a member, both directions, before it is used; `others` are the node's other connections. */
  readonly onStream: (stream: Stream, connection: Connection, others: () => readonly Connection[]) => void;
  /** What went wrong outside of any call; for a log line and a counter. */
  readonly onProblem: (where: string, error: unknown) => void;
}

/** `replaced`: by a newer one of its node; `refused-by-remote`: that node does not admit us. */
export type Count = ProofRefusal | 'proven' | 'replaced' | 'proven-again' | 'refused-by-remote';

export interface Entry {
  readonly connection: Connection;
  readonly node: NodeId | undefined;
  readonly settled: Promise<boolean>;
  readonly settle: (proven: boolean) => void;
  state: 'pending' | 'proven' | 'refused';
  askedAtMs: number;
  provenAtMs: number;
  timer: NodeJS.Timeout | undefined;
  proof: MembershipProof | undefined;
  /** Proves again, while the keys change. */
  renewal: NodeJS.Timeout | undefined;
  waiting: number;
}

export function newEntry(connection: Connection): Entry {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  return {
    connection,
    node: parseNodeId(connection.remotePeer.toString()),
    settled: promise,
    settle: resolve,
    state: 'pending',
    askedAtMs: 0,
    provenAtMs: 0,
    timer: undefined,
    proof: undefined,
    renewal: undefined,
    waiting: 0,
  };
}

export function rankOf(connection: Connection): number {
  return pathRank(pathKindOf(connection.remoteAddr.toString()), connection.limits !== undefined);
}

/** Of equals the newest first. */
export function bestFirst(connections: readonly Connection[]): readonly Connection[] {
  return connections.toReversed().toSorted((left, right) => rankOf(left) - rankOf(right));
}

export function isAdmissionRefusal(refusal: ProofRefusal): boolean {
  return ADMISSION_REFUSALS.some((one) => one === refusal);
}

/** The remote proved itself with a key that is in use. */
export function isByOneOf(keys: readonly Uint8Array[], { provenBy }: MembershipProof): boolean {
  return provenBy.some((key) => keys.some((one) => equalBytes(one, key)));
}

export function endStream(stream: Stream): void {
  stream.close().catch((error: unknown) => stream.abort(error instanceof Error ? error : new Error(String(error))));
}
