/**
 * What the API tells about the node and its mesh: the port through which the routes for people and monitors read it. All
 * answers come at once from what the node knows. The types are the JSON of `GET /api/status` as it is served: ids,
 * counts and times, nothing secret (the fingerprint names a swarm, it opens nothing).
 */
import type { ModelId, NodeId, RequestId, SwarmFingerprint } from '../ids.ts';
import type { ModelState } from '../inference/engine.ts';
import type { NetworkPath, NetworkReach } from '../node/network.ts';
import type { ExplainRecord } from './explain-record.ts';
import type { ModelOffer } from './models.ts';

export interface ModelStatus {
  readonly model: ModelId;
  readonly state: ModelState;
  /** Why, when `state` is `failed`. */
  readonly problem?: string;
  readonly contextTokens: number;
  readonly slots: number;
  readonly busy: number;
  readonly queued: number;
}

/** One way to a node. */
export interface PathStatus {
  readonly kind: NetworkPath['kind'];
  /** No other member carries it. */
  readonly isDirect: boolean;
  readonly address: string;
  readonly direction: NetworkPath['direction'];
  /** As it was when the connection began. */
  readonly rttMs: number;
  /** Who carries it; its name is '' while unknown. */
  readonly relay?: { readonly node: NodeId; readonly name: string };
  /** The relay may cut it after some bytes or minutes. */
  readonly isLimited: boolean;
}

/** Why there is no connection, and what is done about it. */
export interface Absence {
  readonly type: 'refused' | 'left' | 'silent' | 'unreachable' | 'no-address' | 'not-needed';
  /** One sentence. */
  readonly reason: string;
  /** A dial is under way. */
  readonly isDialling: boolean;
  /** Dials that came to nothing, in a row. */
  readonly failures: number;
  /** Until the next dial. Absent while one is under way, and where none will be. */
  readonly nextDialInMs?: number;
  /** What was wrong with each address the last time. */
  readonly lastDials: readonly { readonly address: string; readonly reason: string; readonly agoMs: number }[];
}

/** Somebody who is sought and was never seen as a member: a node written down, or a bootstrap address. */
export interface Unreached {
  readonly node?: NodeId;
  readonly addresses: readonly string[];
  readonly absence: Absence;
}

/** Where this node stands in the network. */
export interface ReachStatus {
  readonly reach: NetworkReach['reach'];
  readonly nat: NetworkReach['nat'];
  /** One sentence: how that is known. */
  readonly reason: string;
  /** Where it listens and can be reached, as it tells the others. */
  readonly addresses: readonly string[];
  /** It relays for members. */
  readonly isRelay: boolean;
  /** Members that found a place here. */
  readonly reservations: number;
  /** Members that keep a place for this node. */
  readonly relays: readonly { readonly node: NodeId; readonly name: string }[];
}

export interface NodeRow {
  readonly node: NodeId;
  readonly name: string;
  readonly version: string;
  readonly verdict: 'alive' | 'suspect' | 'dead' | 'left';
  readonly self: boolean;
  /** True while a proven connection exists; ourselves always. */
  readonly connected: boolean;
  /** Why placement leaves it out, when it does. */
  readonly problem?: string;
  readonly models: readonly ModelStatus[];
  /** Absent for ourselves and while unknown. */
  readonly rttMs?: number;
  /** Where it is connected, or was last. */
  readonly address?: string;
  /** Absent for ourselves. */
  readonly lastHeardAgoMs?: number;
  /** The path in use; absent for ourselves and without a connection. */
  readonly path?: PathStatus;
  /** Other paths that are open. */
  readonly standby?: readonly PathStatus[];
  /** Behind what it finds itself: of ourselves as measured, of others as they said. */
  readonly nat?: NetworkReach['nat'];
  /** It says that it relays for members and answers STUN. */
  readonly relays?: true;
  /** Where there is no connection. */
  readonly absence?: Absence;
  /** How far its clock is ahead of ours (negative: behind), as far as its messages tell; absent while they do not. */
  readonly clockAheadMs?: number;
}

export interface LiveRequest {
  readonly requestId: RequestId;
  readonly model: string;
  /** Who serves it; absent while nobody does. */
  readonly node?: NodeId;
  /** `entered` here, or `served` here for another node. */
  readonly side: 'entered' | 'served';
  /** Since it entered; absent for those that only run here. */
  readonly ageMs?: number;
  readonly tokens: number;
}

export interface NodeStatus {
  readonly self: NodeId;
  readonly name: string;
  readonly version: string;
  readonly swarm: SwarmFingerprint;
  readonly uptimeMs: number;
  readonly draining: boolean;
  /** What stands between model files and this machine, from the outermost; and why not more. */
  readonly sandbox: { readonly layers: string; readonly problem?: string };
  /** Absent until the node listens. */
  readonly reach?: ReachStatus;
  /** Sought and not found, and on no list of members. */
  readonly unreached: readonly Unreached[];
  /** Ourselves included, by id. */
  readonly nodes: readonly NodeRow[];
  readonly requests: readonly LiveRequest[];
  readonly counters: Readonly<Record<string, number>>;
}

export interface Readiness {
  readonly ready: boolean;
  /** What is missing, one sentence each; empty when ready. */
  readonly reasons: readonly string[];
}

export interface StatusSource {
  /** Every model of every node that could serve it, ourselves included. */
  models(): readonly ModelOffer[];
  status(): NodeStatus;
  /** Undefined when there was no such request, or it was long ago. */
  request(requestId: RequestId): ExplainRecord | undefined;
  readiness(): Readiness;
}
