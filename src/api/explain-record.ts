/**
 * Why was a request served where it was? One record per request that entered at this node, as `GET /api/requests/{id}`
 * shows it: who was considered at which cost, who was refused and why, which nodes were tried, and how it ended. It holds
 * ids, sizes and times, never a word of the prompt or the answer.
 */
import { unreachable } from '../assert.ts';
import type { Failure } from '../errors.ts';
import type { ModelId, NodeId, RequestId } from '../ids.ts';
import type { Considered, Refusal } from '../placement/placement.ts';

export type TryResult = 'running' | 'answered' | 'busy' | 'failed' | 'cancelled';

export interface ExplainTry {
  readonly node: NodeId;
  /** After the request arrived. */
  readonly startedAfterMs: number;
  readonly outcome: TryResult;
  /** Position at which this node took over: 0 unless an answer went on here. */
  readonly resumedAt: number;
  /** Tokens it produced. */
  readonly tokens: number;
  /** For `failed`: what happened, in one sentence. */
  readonly why?: string;
}

export interface ExplainRecord {
  readonly requestId: RequestId;
  readonly model: ModelId;
  /** Unix time, for people. */
  readonly arrivedAtMs: number;
  readonly result: 'running' | 'answered' | 'failed' | 'client-gone';
  /** Why, when `result` is `failed`. */
  readonly failure?: Failure;
  /** The placement in a sentence; '' before there is one. */
  readonly summary: string;
  readonly levelMs: number;
  /** Best first. */
  readonly ranked: readonly NodeId[];
  readonly considered: readonly Considered[];
  readonly refused: readonly { readonly node: NodeId; readonly why: string }[];
  /** In the order in which they were made. */
  readonly tries: readonly ExplainTry[];
  readonly firstTokenAfterMs?: number;
  readonly endedAfterMs?: number;
}

/** A placement's refusals as rows for people. */
export function explainRefusals(refused: ReadonlyMap<NodeId, Refusal>): ExplainRecord['refused'] {
  return [...refused].map(([node, refusal]) => ({ node, why: explainRefusal(refusal) }));
}

function explainRefusal(refusal: Refusal): string {
  switch (refusal.reason) {
    case 'excluded':
      return 'was tried already';
    case 'not-alive':
      return 'does not answer';
    case 'unusable':
      return refusal.detail;
    case 'context-too-short':
      return `takes ${refusal.contextTokens} tokens, ${refusal.neededTokens} are needed`;
    default:
      return unreachable(refusal);
  }
}
