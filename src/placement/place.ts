/**
 * Which nodes should serve this request, in which order, and why not the others? Filter, score, pick:
 *   1. filter: not tried yet, alive, usable, prompt and answer fit the context;
 *   2. score: the cost of each, the water level over the costs, the room under it as the weight (`level-plan.ts`);
 *   3. pick: weighted rendezvous with the request's key, first among those under the level, then among the rest;
 *   4. affinity: the cheapest node that holds the prompt's beginning goes first if its cost, cached tokens credited, is <= level.
 * Equal views and equal requests give equal lists on every node. Integers only, no clock, no randomness. The reasons
 * are bounded (`CONSIDERED_MAX`, `CONTEXT_REFUSALS_MAX`): cheapest nodes and longest contexts first.
 */
import { invariant } from '../assert.ts';
import type { NodeId } from '../ids.ts';
import { bounded, costMs, expectedMs, PROMPT_TOKENS_MAX, type PlacementParams } from './cost.ts';
import { bucketTokens, consideredRow, type LevelPlan, nodeAt, planLevel } from './level-plan.ts';
import type { Considered, Placement, PlacementRequest, Refusal } from './placement.ts';
import { type PreparedModel, rowOf } from './prepare.ts';
import { rankRows } from './rendezvous.ts';

export { prepare, type PreparedModel } from './prepare.ts';

/** Rows that say "context too short" for one request. Source: guess: the longest contexts are what people ask about. */
export const CONTEXT_REFUSALS_MAX = 64;

export function place(request: PlacementRequest, prepared: PreparedModel, params: PlacementParams): Placement {
  invariant(prepared.model === undefined || prepared.model === request.model, 'a view prepared for this model');
  const filtered = filter(request, prepared);
  const refused = refusals(filtered, prepared);
  const plan = planFor(filtered, prepared, params);
  if (plan === undefined) return { type: 'impossible', refused };
  const rows = pick(request, { prepared, plan, limit: params.rankedMax });
  const holder = prefixHolder(request, prepared, plan);
  if (holder !== undefined) {
    const others = rows.filter((row) => row !== holder.row);
    rows.splice(0, rows.length, holder.row, ...others.slice(0, params.rankedMax - 1));
  }
  return {
    type: 'placed',
    ranked: rows.map((row) => nodeAt(prepared, row)),
    levelMs: plan.levelMs,
    considered: consideredFor(rows, { prepared, plan, holder: holder?.considered }),
    refused,
  };
}

interface Filtered {
  readonly promptTokens: number;
  readonly neededTokens: number;
  /** Number of different contexts that are too short: names the set of nodes whose context fits. */
  readonly contextClass: number;
  /** Rows that were tried already. */
  readonly excludedRows: readonly number[];
}

function filter(request: PlacementRequest, prepared: PreparedModel): Filtered {
  const tokens = { min: 0, max: PROMPT_TOKENS_MAX };
  const promptTokens = bounded(request.promptTokens, tokens);
  const neededTokens = promptTokens + bounded(request.answerTokens, tokens);
  const longEnough = prepared.contexts.findIndex((context) => context >= neededTokens);
  const excludedRows: number[] = [];
  for (const node of request.excluded) {
    const row = rowOf(prepared, node);
    if (row >= 0) excludedRows.push(row);
  }
  return {
    promptTokens,
    neededTokens,
    contextClass: longEnough < 0 ? prepared.contexts.length : longEnough,
    excludedRows: excludedRows.toSorted((left, right) => left - right),
  };
}

/** Undefined when no node is left. Plans of a first try are kept; a retry leaves nodes out, so the level is its own. */
function planFor(filtered: Filtered, prepared: PreparedModel, params: PlacementParams): LevelPlan | undefined {
  const { contextClass, promptTokens, excludedRows } = filtered;
  const keep = excludedRows.length === 0;
  const key = contextClass * 2 * PROMPT_TOKENS_MAX + bucketTokens(promptTokens);
  const kept = keep ? prepared.plans.find(key, params) : undefined;
  if (kept !== undefined) return kept;
  const eligible = eligibleRows(prepared, { contextClass, excluded: new Set(excludedRows) });
  if (eligible.length === 0) return undefined;
  const plan = planLevel(prepared, { promptTokens, eligible }, params);
  if (keep) prepared.plans.keep(key, params, plan);
  return plan;
}

function eligibleRows(
  prepared: PreparedModel,
  { contextClass, excluded }: { contextClass: number; excluded: ReadonlySet<number> },
): Int32Array {
  const shortest = prepared.contexts[contextClass] ?? Number.MAX_SAFE_INTEGER;
  const rows = new Int32Array(prepared.nodes.length);
  let count = 0;
  for (const [row, context] of prepared.contextTokens.entries()) {
    if ((context !== 0 && context < shortest) || excluded.has(row)) continue;
    rows[count] = row;
    count += 1;
  }
  return rows.slice(0, count);
}

function pick(
  request: PlacementRequest,
  { prepared, plan, limit }: { prepared: PreparedModel; plan: LevelPlan; limit: number },
): number[] {
  const common = { key: request.keyHash, nodes: prepared.hashes, weights: plan.weights };
  const first = rankRows({ ...common, rows: plan.below, limit });
  if (first.length >= limit || plan.above.length === 0) return first;
  return [...first, ...rankRows({ ...common, rows: plan.above, limit: limit - first.length })];
}

function prefixHolder(
  request: PlacementRequest,
  prepared: PreparedModel,
  plan: LevelPlan,
): { row: number; considered: Considered } | undefined {
  const promptTokens = bounded(request.promptTokens, { min: 0, max: PROMPT_TOKENS_MAX });
  let best: { row: number; considered: Considered } | undefined;
  for (const { node, cachedTokens, knownBy } of request.holders ?? []) {
    const row = rowOf(prepared, node);
    // A weight of 0 marks a row that the filter left out.
    if (row < 0 || plan.weights[row] === 0) continue;
    const heldTokens = bounded(cachedTokens, { min: 0, max: promptTokens });
    const terms = { ...plan.terms, newTokens: promptTokens - heldTokens };
    const credited = costMs(prepared.figures, row, terms);
    if (credited > plan.levelMs || (best !== undefined && credited >= best.considered.costMs)) continue;
    const considered = {
      ...consideredRow(prepared, plan, row),
      expectedMs: expectedMs(prepared.figures, row, terms),
      costMs: credited,
      affinity: true,
      ...(knownBy === 'prompt' && { heldTokens }),
    };
    best = { row, considered };
  }
  return best;
}

/** The cheapest nodes, then those of the ranked list that are not among them. */
function consideredFor(
  rows: readonly number[],
  { prepared, plan, holder }: { prepared: PreparedModel; plan: LevelPlan; holder: Considered | undefined },
): readonly Considered[] {
  const further = rows.filter((row) => !plan.cheapestNodes.has(nodeAt(prepared, row)));
  if (further.length === 0 && holder === undefined) return plan.cheapest;
  const all = [...plan.cheapest, ...further.map((row) => consideredRow(prepared, plan, row))];
  return holder === undefined ? all : all.map((considered) => (considered.node === holder.node ? holder : considered));
}

function refusals(filtered: Filtered, prepared: PreparedModel): ReadonlyMap<NodeId, Refusal> {
  const { contextClass, excludedRows, neededTokens } = filtered;
  if (contextClass === 0 && excludedRows.length === 0) return prepared.refused;
  const refused = new Map(prepared.refused);
  for (const row of excludedRows) refused.set(nodeAt(prepared, row), { reason: 'excluded' });
  let room = CONTEXT_REFUSALS_MAX;
  for (let index = contextClass - 1; index >= 0 && room > 0; index -= 1) {
    const contextTokens = prepared.contexts[index] ?? 0;
    for (let row = prepared.contextTokens.indexOf(contextTokens); row >= 0 && room > 0; room -= 1) {
      const node = nodeAt(prepared, row);
      if (!refused.has(node)) refused.set(node, { reason: 'context-too-short', neededTokens, contextTokens });
      row = prepared.contextTokens.indexOf(contextTokens, row + 1);
    }
  }
  return refused;
}
