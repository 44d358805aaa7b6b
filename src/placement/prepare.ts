/**
 * What of a placement can be done once per view instead of once per request? Sorting by id, setting aside the nodes
 * that nobody may use, the columns of figures, the medians, the hashes of the node ids. What depends on the size of the
 * prompt is worked out at its first use and kept (`LevelPlan`), for prompts of nearly the same size together.
 * A prepared model holds for one view: prepare again when a load figure, a verdict or an own dispatch changed, and give
 * the last one as `previous` to save hashing the ids again. Keeping plans never changes a result, only its price.
 */
import { invariant } from '../assert.ts';
import { compareIds, type ModelId, type NodeId } from '../ids.ts';
import { bounded, type Figures, figuresOf, medianRates, type PlacementParams, type RateFloors } from './cost.ts';
import type { LevelPlan } from './level-plan.ts';
import type { Candidate, Refusal } from './placement.ts';
import { type HashedNodes, scrambleNode } from './rendezvous.ts';
import { needOf } from './water-level.ts';

/** Most nodes of one model. Source: ours: the sums of the water level stay under 2^53. */
const CANDIDATES_MAX = 1_048_576;
/** Longer contexts count as this. Source: ours: 32-bit columns. */
const CONTEXT_TOKENS_MAX = 1_073_741_824;

export interface Conditions {
  /** Requests for this model that enter the whole mesh, per 1000 s. */
  readonly arrivalsPerKs: number;
  /** Mean age of the load figures plus the way of a message. */
  readonly viewAgeMs: number;
  /** An earlier result whose node hashes may be used again. */
  readonly previous?: PreparedModel;
}

export interface PreparedModel {
  /** Undefined when there was no candidate. */
  readonly model: ModelId | undefined;
  /** Alive and usable, ascending by id; the rows of all columns. */
  readonly nodes: readonly NodeId[];
  readonly hashes: HashedNodes;
  readonly figures: Figures;
  readonly medians: RateFloors;
  /** 0 = unknown. */
  readonly contextTokens: Int32Array;
  /** The different known contexts, ascending. */
  readonly contexts: readonly number[];
  /** Why the others are out, whatever the request. */
  readonly refused: ReadonlyMap<NodeId, Refusal>;
  /** Requests to place before anybody's load shows them, in units of `FILL_ONE`. */
  readonly need: number;
  readonly plans: PlanCache;
}

/** The plans of one prepared model; full = all are dropped and made again as they are asked for. */
export class PlanCache {
  /** Source: guess: a plan of 10,000 nodes is 250 kB, and a mesh sees about 20 sizes of prompts. */
  static readonly plansMax = 32;
  readonly #plans = new Map<number, LevelPlan>();
  #params: PlacementParams | undefined;

  /** Plans hold for one set of params only. */
  find(key: number, params: PlacementParams): LevelPlan | undefined {
    return this.#params === params ? this.#plans.get(key) : undefined;
  }

  keep(key: number, params: PlacementParams, plan: LevelPlan): void {
    if (this.#params !== params || this.#plans.size >= PlanCache.plansMax) this.#plans.clear();
    this.#params = params;
    this.#plans.set(key, plan);
  }
}

/** All candidates must be of one model, each node once; their order does not matter. */
export function prepare(candidates: readonly Candidate[], conditions: Conditions): PreparedModel {
  invariant(candidates.length <= CANDIDATES_MAX, `at most ${CANDIDATES_MAX} candidates`);
  const sorted = sortedByNode(candidates);
  const model = sorted[0]?.model;
  const usable: Candidate[] = [];
  const refused = new Map<NodeId, Refusal>();
  for (const candidate of sorted) {
    invariant(candidate.model === model, 'all candidates are of one model');
    if (!candidate.alive) refused.set(candidate.node, { reason: 'not-alive' });
    else if (!candidate.usable)
      refused.set(candidate.node, { reason: 'unusable', detail: candidate.problem ?? 'no reason given' });
    else usable.push(candidate);
  }
  const nodes = usable.map((candidate) => candidate.node);
  const figures = figuresOf(usable);
  const contextTokens = new Int32Array(usable.length);
  for (const [row, candidate] of usable.entries())
    contextTokens[row] = bounded(candidate.contextTokens, { min: 0, max: CONTEXT_TOKENS_MAX });
  const known = new Set(contextTokens);
  known.delete(0);
  return {
    model,
    nodes,
    hashes: hashNodes(nodes, conditions.previous),
    figures,
    medians: medianRates(figures),
    contextTokens,
    contexts: [...known].toSorted((left, right) => left - right),
    refused,
    need: needOf(conditions.arrivalsPerKs, conditions.viewAgeMs),
    plans: new PlanCache(),
  };
}

/** The row of `node`, or -1. */
export function rowOf(prepared: PreparedModel, node: NodeId): number {
  let low = 0;
  let high = prepared.nodes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((prepared.nodes[middle] ?? '') < node) low = middle + 1;
    else high = middle;
  }
  return prepared.nodes[low] === node ? low : -1;
}

function sortedByNode(candidates: readonly Candidate[]): readonly Candidate[] {
  if (ascending(candidates)) return candidates;
  const sorted = candidates.toSorted((left, right) => compareIds(left.node, right.node));
  invariant(ascending(sorted), 'each node is a candidate once');
  return sorted;
}

function ascending(candidates: readonly Candidate[]): boolean {
  let last = '';
  for (const { node } of candidates) {
    if (node <= last) return false;
    last = node;
  }
  return true;
}

function hashNodes(nodes: readonly NodeId[], previous: PreparedModel | undefined): HashedNodes {
  const low = new Int32Array(nodes.length);
  const high = new Int32Array(nodes.length);
  const oldNodes = previous?.nodes ?? [];
  let old = 0;
  for (const [row, node] of nodes.entries()) {
    while ((oldNodes[old] ?? node) < node) old += 1;
    if (previous !== undefined && oldNodes[old] === node) {
      low[row] = previous.hashes.low[old] ?? 0;
      high[row] = previous.hashes.high[old] ?? 0;
    } else {
      const scrambled = scrambleNode(node);
      low[row] = scrambled.low;
      high[row] = scrambled.high;
    }
  }
  return { low, high };
}
