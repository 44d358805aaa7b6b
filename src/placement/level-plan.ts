/**
 * For prompts of about this size: what does each node cost, how high does the water stand, who is under it and by how
 * much? Prompt sizes are put into steps of an eighth to a quarter (three significant bits, their middle), so that a few
 * plans serve all requests of a view and a prompt is off by an eighth at most.
 * Nodes under the level are weighted by the requests they have room for. Those above are the fallback, always after the
 * others: a fixed small weight for them instead would, with thousands of nodes, win one first place in fifteen.
 * Among themselves they are weighted by 1 / cost. Source: the placement study; the two tiers are ours.
 */
import { invariant } from '../assert.ts';
import type { NodeId } from '../ids.ts';
import {
  believedSlotMs,
  chargeMs,
  COST_MS_MAX,
  type CostTerms,
  expectedMs,
  type Figures,
  type PlacementParams,
  type RateFloors,
  rateFloors,
} from './cost.ts';
import type { Considered } from './placement.ts';
import { fillOf, waterLevel } from './water-level.ts';

/** Rows of the explain record that every request gets: the cheapest nodes. Source: guess: more than a person reads. */
export const CONSIDERED_MAX = 64;
/** Weight of a node above the level whose cost is just the level. Source: ours: with a level of 2^30 ms still exact. */
const FALLBACK_WEIGHT = 1_048_576;
const FINEST_TOKENS = 32;

/** What a plan is made from: the rows of a prepared model. */
export interface PlanInput {
  readonly nodes: readonly NodeId[];
  readonly figures: Figures;
  readonly medians: RateFloors;
  /** In units of `FILL_ONE`. */
  readonly need: number;
}

export interface LevelPlan {
  readonly terms: CostTerms;
  readonly levelMs: number;
  /** By row of the prepared model; only those of `below` and `above` are set. */
  readonly expectedMs: Int32Array;
  readonly costsMs: Int32Array;
  readonly weights: Int32Array;
  /** Rows under the level, ascending. */
  readonly below: Int32Array;
  /** The other eligible rows, ascending. */
  readonly above: Int32Array;
  /** The rows of the cheapest nodes, cheapest first, as the explain record shows them. */
  readonly cheapest: readonly Considered[];
  readonly cheapestNodes: ReadonlySet<NodeId>;
}

/** The middle of the step that `tokens` falls into. */
export function bucketTokens(tokens: number): number {
  if (tokens < FINEST_TOKENS) return FINEST_TOKENS / 2;
  const step = 1 << (29 - Math.clz32(tokens));
  return Math.floor(tokens / step) * step + step / 2;
}

export function planLevel(
  prepared: PlanInput,
  request: { readonly promptTokens: number; readonly eligible: Int32Array },
  params: PlacementParams,
): LevelPlan {
  const { figures } = prepared;
  const { eligible } = request;
  const floors = rateFloors(prepared.medians, params.rateClamp);
  const terms = { newTokens: bucketTokens(request.promptTokens), floors, params };
  const size = prepared.nodes.length;
  const expected = new Int32Array(size);
  const costsMs = new Int32Array(size);
  const slotsMs = new Int32Array(size);
  for (const row of eligible) {
    expected[row] = expectedMs(figures, row, terms);
    costsMs[row] = Math.min(COST_MS_MAX, (expected[row] ?? 0) + chargeMs(figures, row, params));
    slotsMs[row] = believedSlotMs(figures, row, floors);
  }
  const { fillMax } = params;
  const levelMs = waterLevel({ costsMs, slotsMs, rows: eligible, need: prepared.need, fillMax });
  const weights = new Int32Array(size);
  for (const row of eligible) {
    const cost = costsMs[row] ?? 0;
    weights[row] =
      cost < levelMs
        ? fillOf(levelMs - cost, slotsMs[row] ?? 1, fillMax)
        : Math.max(1, Math.floor(((levelMs + 1) * FALLBACK_WEIGHT) / (cost + 1)));
  }
  const columns = {
    terms,
    levelMs,
    expectedMs: expected,
    costsMs,
    weights,
    below: eligible.filter((row) => (costsMs[row] ?? 0) < levelMs),
    above: eligible.filter((row) => (costsMs[row] ?? 0) >= levelMs),
  };
  const cheapest = cheapestRows(costsMs, eligible).map((row) => consideredRow(prepared, columns, row));
  return { ...columns, cheapest, cheapestNodes: new Set(cheapest.map(({ node }) => node)) };
}

/** The explain row of one node; weight 0 says that it is a fallback only. */
export function consideredRow(
  prepared: PlanInput,
  plan: Pick<LevelPlan, 'expectedMs' | 'costsMs' | 'weights' | 'levelMs'>,
  row: number,
): Considered {
  const costMs = plan.costsMs[row] ?? 0;
  return {
    node: nodeAt(prepared, row),
    expectedMs: plan.expectedMs[row] ?? 0,
    costMs,
    weight: costMs < plan.levelMs ? (plan.weights[row] ?? 0) : 0,
    affinity: false,
  };
}

export function nodeAt(prepared: Pick<PlanInput, 'nodes'>, row: number): NodeId {
  const node = prepared.nodes[row];
  invariant(node !== undefined, 'a row of the prepared nodes');
  return node;
}

/** At most `CONSIDERED_MAX` rows by (cost, id). */
function cheapestRows(costsMs: Int32Array, eligible: Int32Array): number[] {
  const rows: number[] = [];
  for (const row of eligible) {
    const cost = costsMs[row] ?? 0;
    if (rows.length === CONSIDERED_MAX && cost >= (costsMs[rows[CONSIDERED_MAX - 1] ?? 0] ?? 0)) continue;
    let place = rows.length;
    while (place > 0 && cost < (costsMs[rows[place - 1] ?? 0] ?? 0)) place -= 1;
    rows.splice(place, 0, row);
    if (rows.length > CONSIDERED_MAX) rows.pop();
  }
  return rows;
}
