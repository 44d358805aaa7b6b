/**
 * What the gossip core takes, asks for and shows: the part of the node's vocabulary (`node/events.ts`) that concerns
 * membership, and a member as placement, status pages and the mesh read it.
 */
import type { NodeId } from '../ids.ts';
import type { Effect, Input } from '../node/events.ts';
import type { Capability, ModelLoad } from './message.ts';

export type GossipInput = Extract<
  Input,
  {
    type:
      | 'woke'
      | 'connection-opened'
      | 'connection-lost'
      | 'heard'
      | 'pong-received'
      | 'message-received'
      | 'snapshot-received'
      | 'snapshot-failed'
      | 'snapshot-requested';
  }
>;

export type GossipEffect = Extract<
  Effect,
  {
    type:
      | 'publish'
      | 'judge-message'
      | 'send-heartbeat'
      | 'send-ping'
      | 'request-snapshot'
      | 'answer-snapshot'
      | 'member-changed'
      | 'persist-incarnation'
      | 'close-connection';
  }
>;

export interface GossipStep {
  readonly effects: readonly GossipEffect[];
  /** Members to dial at once, to see whether they are there: `GossipCore.unreachable` takes a failure. */
  readonly probes: readonly NodeId[];
  /** Members whose capability came, with their addresses. */
  readonly introduced: readonly NodeId[];
  readonly wakeAtMs: number;
}

export interface GossipMember {
  readonly node: NodeId;
  readonly self: boolean;
  /** What its owner calls it; empty until its capability is known. */
  readonly name: string;
  readonly verdict: 'alive' | 'suspect';
  readonly incarnation: number;
  readonly capability: Capability | undefined;
  /** Rows in the order of the capability's models. */
  readonly loads: readonly ModelLoad[];
  /** When the load rows were made, on this node's clock, and how long ago that is. */
  readonly loadsMadeAtMs: number;
  readonly ageMs: number;
  /** Running mean; 0 for this node, undefined until measured. */
  readonly rttMs: number | undefined;
  readonly connected: boolean;
}

export interface GossipCounters {
  readonly rejected: number;
  readonly ignored: number;
  readonly equivocations: number;
  readonly stalls: number;
}
