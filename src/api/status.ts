/**
 * What the API tells about the node and its mesh: the port through which the routes for people and monitors read it. All
 * answers come at once from what the node knows. The types are the JSON of `GET /api/status` as it is served: ids,
 * counts and times, nothing secret (the fingerprint names a swarm, it opens nothing).
 */
import type { ModelId, NodeId, RequestId, SwarmFingerprint } from '../ids.ts';
import type { ModelState } from '../inference/engine.ts';
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
