/**
 * What nodes tell each other by gossip: capability (what I can do), load (how busy I am), goodbye, accusation (that
 * one fell silent). All are signed by their author inside the payload, so that snapshots and anti-entropy can pass
 * them on, and ordered by (incarnation, sequence). Peers' numbers are claims: bounds here, trust elsewhere.
 */
import type { ModelId, NodeId, ParamsFingerprint } from '../ids.ts';

export interface ModelCapability {
  readonly model: ModelId;
  /** sha256 of the weights as 64 hex digits, or '' = not provable. */
  readonly digest: string;
  /** Longest prompt + answer; 0 = unknown. */
  readonly contextTokens: number;
  readonly slots: number;
  /** Expected time to make it ready; 0 = ready now. */
  readonly loadMs: number;
}

/** How busy one model of a node is; the order is that of the capability's models. */
export interface ModelLoad {
  readonly busy: number;
  readonly queued: number;
  /** Mean time between departures of the whole node when it is full: service time / slots. */
  readonly slotMs: number;
  readonly prefillUsPerToken: number;
  /** Time of one token. */
  readonly decodeMs: number;
  /** Requests for this model that entered the mesh at this node, per 1000 seconds (EWMA). */
  readonly arrivalsPerKs: number;
}

export interface Capability {
  /** What a person calls this machine: 1 to 64 printable characters. */
  readonly name: string;
  readonly version: string;
  readonly params: ParamsFingerprint;
  /** Where others can dial it, best first, as multiaddr strings. */
  readonly addresses: readonly string[];
  readonly models: readonly ModelCapability[];
  /** It gives members a place as relay and answers STUN; absent where it does not. */
  readonly relays?: true;
}

export type GossipBody =
  | { readonly type: 'capability'; readonly capability: Capability; readonly loads: readonly ModelLoad[] }
  /** `capabilitySequence`: the capability message whose models the rows follow. */
  | { readonly type: 'load'; readonly capabilitySequence: number; readonly loads: readonly ModelLoad[] }
  | { readonly type: 'goodbye' }
  /** `evidenceAgeMs`: how long ago the accuser last heard the target. */
  | {
      readonly type: 'accusation';
      readonly target: NodeId;
      readonly targetIncarnation: number;
      readonly cause: 'closed' | 'silent';
      readonly evidenceAgeMs: number;
    };

/** One signed message. (incarnation, sequence) orders an author's messages of all types. */
export interface GossipMessage {
  readonly author: NodeId;
  /** Boot time in seconds, at least the last persisted + 1; rises also to refute an accusation. */
  readonly incarnation: number;
  readonly sequence: number;
  /** The author's monotonic clock: age is judged by it, never by arrival. */
  readonly uptimeMs: number;
  readonly body: GossipBody;
}
