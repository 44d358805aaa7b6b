/**
 * The words of placement: what is asked, who could serve, and the answer with its reasons. Everything is an integer
 * (milliseconds, microseconds, per-mille), because every node must compute the same list from the same view.
 */
import type { Hash64 } from '../bytes.ts';
import type { ModelId, NodeId } from '../ids.ts';

export interface PlacementRequest {
  /** Session id if there is one, else request id mixed with the first block of the prompt; hashed. */
  readonly keyHash: Hash64;
  readonly model: ModelId;
  /** Prompt tokens, estimated (`ceil(bytes / 4)` where nobody counted). */
  readonly promptTokens: number;
  /** Prompt + the answer's bound must fit; 0 = unknown. */
  readonly answerTokens: number;
  /** Who holds the beginning of this prompt. */
  readonly holders?: readonly PrefixHolder[];
  /** Nodes already tried for this request. */
  readonly excluded: ReadonlySet<NodeId>;
}

export interface PrefixHolder {
  readonly node: NodeId;
  /** So many tokens of it. */
  readonly cachedTokens: number;
  /** By the session's key, or by what the prompt says. */
  readonly knownBy: 'session' | 'prompt';
}

/** One (node, model) pair as the view shows it, corrected by what this node observed. */
export interface Candidate {
  readonly node: NodeId;
  readonly model: ModelId;
  readonly alive: boolean;
  /** False: the model failed to load there, the params differ, or the node drains; `problem` says which. */
  readonly usable: boolean;
  readonly problem?: string;
  readonly contextTokens: number;
  readonly slots: number;
  readonly busy: number;
  readonly queued: number;
  /** What this node sent there since that beacon was made. */
  readonly ownInFlight: number;
  readonly slotMs: number;
  readonly prefillUsPerToken: number;
  readonly decodeMs: number;
  readonly loadMs: number;
  readonly rttMs: number;
  /** Actual / predicted time to first token, as this node saw it, in per-mille: 700 to 50 000. */
  readonly correctionPerMille: number;
  /** 1 to 1000. */
  readonly reliabilityPerMille: number;
  readonly priceMs: number;
  /** Age of the load figures. */
  readonly ageMs: number;
}

export type Refusal =
  | { readonly reason: 'excluded' }
  | { readonly reason: 'not-alive' }
  | { readonly reason: 'unusable'; readonly detail: string }
  | { readonly reason: 'context-too-short'; readonly neededTokens: number; readonly contextTokens: number };

/** One row of the explain record. */
export interface Considered {
  readonly node: NodeId;
  /** Expected ms to the first token, before the fixed charges for reliability and price. */
  readonly expectedMs: number;
  /** The full cost the level compares. */
  readonly costMs: number;
  readonly weight: number;
  readonly affinity: boolean;
  /** Tokens of the prompt that it holds; absent unless the prompt itself told. */
  readonly heldTokens?: number;
}

export type Placement =
  | {
      readonly type: 'placed';
      /** Best first, at most `rankedMax`. */
      readonly ranked: readonly NodeId[];
      readonly levelMs: number;
      readonly considered: readonly Considered[];
      readonly refused: ReadonlyMap<NodeId, Refusal>;
    }
  | { readonly type: 'impossible'; readonly refused: ReadonlyMap<NodeId, Refusal> };
