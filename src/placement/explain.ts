/**
 * Why did this request go where it went? Turns a placement into a record that is plain JSON and that a person can read:
 * who was considered at which cost and with which share, who was refused and why in a sentence, and how many further
 * nodes the bounded rows leave out. It reads the placement only and decides nothing. Source: ours.
 */
import { unreachable } from '../assert.ts';
import { compareIds, type ModelId, type NodeId, shortNodeId } from '../ids.ts';
import type { Considered, Placement, PlacementRequest, Refusal } from './placement.ts';

export interface ExplainInput {
  readonly request: Pick<PlacementRequest, 'model' | 'promptTokens' | 'answerTokens'>;
  readonly placement: Placement;
  /** How many candidates there were; more than the rows show where the view is large. */
  readonly candidates: number;
}

export interface ExplainRecord {
  readonly model: ModelId;
  readonly promptTokens: number;
  /** 0 = unknown. */
  readonly answerTokens: number;
  readonly result: Placement['type'];
  /** The whole decision in a sentence. */
  readonly summary: string;
  /** The cost up to which nodes get work now; absent when the request could not be placed. */
  readonly levelMs?: number;
  readonly ranked: readonly NodeId[];
  readonly considered: readonly ExplainedNode[];
  readonly refused: readonly ExplainedRefusal[];
  /** Candidates that are neither considered nor refused above, because the record is bounded. */
  readonly omitted: number;
}

interface ExplainedNode extends Considered {
  /** Place in the ranked list from 1; 0 = not on it. */
  readonly rank: number;
  /** Of requests like this one, how many of a thousand go there first, among the nodes shown. */
  readonly sharePerMille: number;
  readonly why: string;
}

interface ExplainedRefusal {
  readonly node: NodeId;
  readonly reason: Refusal['reason'];
  readonly why: string;
}

export function explain({ request, placement, candidates }: ExplainInput): ExplainRecord {
  const refused = [...placement.refused]
    .map(([node, refusal]) => ({ node, reason: refusal.reason, why: refusalSentence(node, refusal) }))
    .toSorted((left, right) => compareIds(left.node, right.node));
  const { model, promptTokens, answerTokens } = request;
  const common = { model, promptTokens, answerTokens, result: placement.type, refused };
  if (placement.type === 'impossible') {
    const summary =
      candidates === 0 ? `no node offers ${model}` : `none of ${plural(candidates, 'node')} can serve this request`;
    return { ...common, summary, ranked: [], considered: [], omitted: Math.max(0, candidates - refused.length) };
  }
  const { ranked, levelMs } = placement;
  const considered = explainNodes(placement);
  return {
    ...common,
    summary: summarySentence(considered, levelMs),
    levelMs,
    ranked,
    considered,
    omitted: Math.max(0, candidates - refused.length - considered.length),
  };
}

/** Why one node cannot serve one request, in a sentence. */
export function refusalSentence(node: NodeId, refusal: Refusal): string {
  const name = shortNodeId(node);
  switch (refusal.reason) {
    case 'excluded':
      return `${name} was already tried for this request`;
    case 'not-alive':
      return `${name} is silent or has left`;
    case 'unusable':
      return `${name} cannot serve this model: ${refusal.detail}`;
    case 'context-too-short':
      return `${name} has a context of ${refusal.contextTokens} tokens and the request needs ${refusal.neededTokens}`;
    default:
      return unreachable(refusal);
  }
}

function explainNodes(placement: Extract<Placement, { type: 'placed' }>): ExplainedNode[] {
  const total = placement.considered.reduce((sum, row) => sum + row.weight, 0);
  return placement.considered.map((row) => ({
    ...row,
    rank: placement.ranked.indexOf(row.node) + 1,
    sharePerMille: total === 0 ? 0 : Math.floor((row.weight * 1_000) / total),
    why: considerationSentence(row, placement.levelMs),
  }));
}

function considerationSentence(row: Considered, levelMs: number): string {
  const name = shortNodeId(row.node);
  const charged = row.costMs - row.expectedMs;
  const cost = `${row.costMs} ms${charged > 0 ? ` (${charged} ms of it for reliability and price)` : ''}`;
  if (row.affinity) return `${name} holds ${whatIsHeld(row)} and costs ${cost}, within the level of ${levelMs} ms`;
  if (row.weight > 0) return `${name} costs ${cost}, under the level of ${levelMs} ms`;
  return `${name} costs ${cost}, not under the level of ${levelMs} ms: a fallback`;
}

function whatIsHeld({ heldTokens }: Considered): string {
  return heldTokens === undefined ? "this session's prefix" : `about ${heldTokens} tokens of this prompt`;
}

function summarySentence(considered: readonly ExplainedNode[], levelMs: number): string {
  const first = considered.find((row) => row.rank === 1);
  const under = considered.filter((row) => row.weight > 0).length;
  const pool = `${plural(under, 'node')} under the level of ${levelMs} ms`;
  if (first === undefined) return pool;
  const name = shortNodeId(first.node);
  if (first.affinity)
    return `${name} goes first because it holds ${first.heldTokens === undefined ? "the session's prefix" : whatIsHeld(first)}; ${pool}`;
  return `${name} goes first with ${first.expectedMs} ms expected to the first token; ${pool}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
