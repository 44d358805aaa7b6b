/**
 * The vocabulary of a node on one page: everything that can happen to its core (`Input`, past tense) and everything the
 * core can ask for (`Effect`, imperative). `mesh.ts` turns the one into the other; `driver.io.ts` and the simulator are
 * two interpreters of the effects. Tokens never pass here: only the steps of a request that change a decision do.
 */
import type { Failure } from '../errors.ts';
import type { ModelLoad } from '../gossip/message.ts';
import type { ModelId, NodeId, RequestId } from '../ids.ts';
import type { EngineModel } from '../inference/engine.ts';
import type { ExplainRecord } from '../placement/explain.ts';

/** What can happen to a node's core. Times are ms of the node's monotonic clock, which counts suspend where the platform can tell. */
/** How others reach this node. */
export interface Listening {
  readonly addresses: readonly string[];
  /** Members may have a place here, as at a relay. */
  readonly relays?: boolean;
}

export type Input =
  /** The moment asked for by `wakeAtMs` came. */
  | { readonly type: 'woke' }
  // Connections and what comes over them. A node is named here only after its membership proof.
  | { readonly type: 'connection-opened'; readonly node: NodeId; readonly address: string }
  /** `isRefused`: it does not admit this node, and said so. */
  | { readonly type: 'connection-lost'; readonly node: NodeId; readonly isRefused?: boolean }
  | { readonly type: 'dial-failed'; readonly address: string; readonly reason: string }
  /** Any byte from a member: heartbeat, token, gossip. */
  | { readonly type: 'heard'; readonly node: NodeId }
  | { readonly type: 'pong-received'; readonly node: NodeId; readonly rttMs: number }
  | {
      readonly type: 'addresses-found';
      readonly node: NodeId | undefined;
      readonly addresses: readonly string[];
      readonly source: 'mdns' | 'bootstrap' | 'identify';
    }
  | ({ readonly type: 'listening' } & Listening)
  // Gossip.
  | { readonly type: 'message-received'; readonly messageId: number; readonly from: NodeId; readonly bytes: Uint8Array }
  | { readonly type: 'snapshot-received'; readonly from: NodeId; readonly messages: readonly Uint8Array[] }
  | { readonly type: 'snapshot-failed'; readonly from: NodeId; readonly reason: string }
  /** A member asks what we know that its digest (512 bytes, empty = all) lacks. */
  | {
      readonly type: 'snapshot-requested';
      readonly exchangeId: number;
      readonly from: NodeId;
      readonly digest: Uint8Array;
    }
  // Requests that entered at this node.
  | { readonly type: 'request-arrived'; readonly requestId: RequestId; readonly request: RequestSummary }
  /** A node took it, refused it or ended it; what was seen teaches the next placement. */
  | {
      readonly type: 'try-started';
      readonly requestId: RequestId;
      readonly node: NodeId;
      /** Position of the first token that is asked of it: 0 unless an answer goes on there. */
      readonly resumedAt: number;
    }
  | {
      readonly type: 'first-token-seen';
      readonly requestId: RequestId;
      readonly node: NodeId;
      readonly elapsedMs: number;
    }
  | {
      readonly type: 'try-ended';
      readonly requestId: RequestId;
      readonly node: NodeId;
      /** Tokens it produced. */ readonly tokens: number;
      readonly outcome: TryOutcome;
      /** Hashes of the growing beginnings of what it read and wrote (`prompt-prefixes.ts`); absent = nobody asked for them. */
      readonly prefixes?: readonly string[];
    }
  /** The ranked list is used up or out of date (an answer must go on elsewhere): place again without `excluded`. */
  | { readonly type: 'replan-wanted'; readonly requestId: RequestId; readonly excluded: readonly NodeId[] }
  | {
      readonly type: 'request-ended';
      readonly requestId: RequestId;
      readonly result: 'answered' | 'failed' | 'client-gone';
      readonly failure?: Failure;
    }
  // Requests that other nodes (or this one) want served here.
  | { readonly type: 'open-received'; readonly from: NodeId; readonly requestId: RequestId; readonly open: OpenSummary }
  | {
      readonly type: 'serve-first-token';
      readonly from: NodeId;
      readonly requestId: RequestId;
      /** Of the prompt, evaluated and not found in a cache. */
      readonly newTokens: number;
      readonly elapsedMs: number;
    }
  | {
      readonly type: 'serve-ended';
      readonly from: NodeId;
      readonly requestId: RequestId;
      readonly completionTokens: number;
      readonly decodeElapsedMs: number;
    }
  // Engines and the owner.
  | { readonly type: 'models-changed'; readonly models: readonly EngineModel[] }
  | { readonly type: 'drain-requested' }
  | { readonly type: 'stop-requested' };

export interface RequestSummary {
  readonly model: ModelId;
  readonly sessionKey: string;
  /** The first block of the prompt, for spreading equal prompts over nodes (at most 256 bytes). */
  readonly promptHead: string;
  readonly promptBytes: number;
  readonly answerTokens: number;
  /** Keyed hashes of the prompt's growing beginnings (`prompt-prefixes.ts`); absent = not to be recognised. */
  readonly prefixes?: readonly string[];
}

export interface OpenSummary {
  readonly model: ModelId;
  readonly promptBytes: number;
  /** The water level of the placement that chose us: admission's yardstick. */
  readonly levelMs: number;
}

export type TryOutcome =
  | { readonly type: 'answered' }
  /** Full now; `load` is fresher than any beacon. Never counts against reliability. */
  | { readonly type: 'busy'; readonly load: ModelLoad | undefined }
  | { readonly type: 'failed'; readonly failure: Failure }
  | { readonly type: 'cancelled' };

export type Effect =
  // Connections.
  | { readonly type: 'dial'; readonly node: NodeId | undefined; readonly addresses: readonly string[] }
  | { readonly type: 'close-connection'; readonly node: NodeId; readonly reason: string }
  | { readonly type: 'send-heartbeat'; readonly to: readonly NodeId[] }
  | { readonly type: 'send-ping'; readonly to: NodeId }
  // Gossip.
  | { readonly type: 'publish'; readonly bytes: Uint8Array }
  /** accept = pass on, ignore = drop silently, reject = drop and hold it against the sender. */
  | {
      readonly type: 'judge-message';
      readonly messageId: number;
      readonly verdict: 'accept' | 'ignore' | 'reject';
      readonly reason: string;
    }
  | { readonly type: 'request-snapshot'; readonly from: NodeId; readonly digest: Uint8Array }
  | { readonly type: 'answer-snapshot'; readonly exchangeId: number; readonly messages: readonly Uint8Array[] }
  // Requests that entered here.
  | { readonly type: 'dispatch'; readonly requestId: RequestId; readonly plan: DispatchPlan }
  | {
      readonly type: 'refuse-request';
      readonly requestId: RequestId;
      readonly failure: Failure;
      readonly plan: DispatchPlan;
    }
  // Requests served here.
  | { readonly type: 'serve'; readonly from: NodeId; readonly requestId: RequestId }
  | { readonly type: 'queue-serve'; readonly from: NodeId; readonly requestId: RequestId; readonly position: number }
  | {
      readonly type: 'refuse-serve';
      readonly from: NodeId;
      readonly requestId: RequestId;
      readonly failure: Failure;
      readonly load: ModelLoad | undefined;
    }
  // State that must outlive the process, and what people should see.
  | { readonly type: 'persist-incarnation'; readonly incarnation: number }
  | {
      readonly type: 'persist-peers';
      readonly peers: readonly { readonly node: NodeId; readonly addresses: readonly string[] }[];
    }
  | {
      readonly type: 'member-changed';
      readonly node: NodeId;
      readonly verdict: 'alive' | 'suspect' | 'dead' | 'left';
      readonly reason: string;
    }
  | { readonly type: 'drained' };

/** What placement decided, and the record that explains it to people. */
export interface DispatchPlan {
  readonly ranked: readonly NodeId[];
  readonly levelMs: number;
  readonly explain: ExplainRecord;
}

export interface StepResult {
  readonly effects: readonly Effect[];
  /** When to call `step({ type: 'woke' })` at the latest. */
  readonly wakeAtMs: number;
}
