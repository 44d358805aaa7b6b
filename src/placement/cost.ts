/**
 * What would it cost to send this request to that node? One currency: expected milliseconds to the first token.
 *
 *   expected = f * (rtt + max(0, busy + queued + own + 1 - slots) * slotMs + prefillUs * newTokens / 1000 + decodeMs + loadMs)
 *   cost     = expected + retryMs * (1000 - reliability) / reliability + priceMs
 *
 * `f` is this node's own measured ratio of actual to predicted. A rate that claims to be more than `rateClamp` times
 * the median is taken as that multiple, so that a liar gains little before `f` finds it out. All figures are integers
 * in the ranges of `BOUNDS`, in which every intermediate value stays under 2^53. Source: the placement study.
 */
import type { PLACEMENT } from '../params.ts';
import type { Candidate } from './placement.ts';

export type PlacementParams = { readonly [Key in keyof typeof PLACEMENT]: number };

/** Costs saturate here (about twelve days): far above any useful answer, and 32-bit. Source: ours. */
export const COST_MS_MAX = 1_073_741_824;
/** Longest prompt that costs are computed for. Source: ours, 16 times the longest context sold today. */
export const PROMPT_TOKENS_MAX = 16_777_216;

/** Inclusive ranges of the figures; values outside are moved to the nearer end. Source: ours, chosen for 53-bit products. */
export const BOUNDS = {
  count: { min: 0, max: 65_535 },
  slots: { min: 1, max: 65_535 },
  slotMs: { min: 1, max: 10_000_000 },
  prefillUsPerToken: { min: 0, max: 10_000_000 },
  decodeMs: { min: 0, max: 600_000 },
  loadMs: { min: 0, max: 86_400_000 },
  rttMs: { min: 0, max: 60_000 },
  correctionPerMille: { min: 1, max: 50_000 },
  reliabilityPerMille: { min: 1, max: 1_000 },
  priceMs: { min: 0, max: 86_400_000 },
} as const;

/** The figures of many nodes, one column each: costs of thousands are computed per view. */
export interface Figures {
  readonly rttMs: Int32Array;
  /** busy + queued + own + 1 - slots: how many must leave before this request starts; not above 0 = at once. */
  readonly backlog: Int32Array;
  readonly slotMs: Int32Array;
  readonly prefillUsPerToken: Int32Array;
  readonly decodeMs: Int32Array;
  readonly loadMs: Int32Array;
  readonly correctionPerMille: Int32Array;
  readonly reliabilityPerMille: Int32Array;
  readonly priceMs: Int32Array;
}

/** The least time per unit that is believed: a `rateClamp`th of the median. */
export interface RateFloors {
  readonly slotMs: number;
  readonly prefillUsPerToken: number;
  readonly decodeMs: number;
}

export interface CostTerms {
  /** Prompt tokens that the node would have to evaluate. */
  readonly newTokens: number;
  readonly floors: RateFloors;
  readonly params: PlacementParams;
}

export function figuresOf(candidates: readonly Candidate[]): Figures {
  const column = (): Int32Array => new Int32Array(candidates.length);
  const figures = {
    rttMs: column(),
    backlog: column(),
    slotMs: column(),
    prefillUsPerToken: column(),
    decodeMs: column(),
    loadMs: column(),
    correctionPerMille: column(),
    reliabilityPerMille: column(),
    priceMs: column(),
  };
  for (const [row, candidate] of candidates.entries()) {
    figures.rttMs[row] = bounded(candidate.rttMs, BOUNDS.rttMs);
    figures.backlog[row] = backlogOf(candidate);
    figures.slotMs[row] = bounded(candidate.slotMs, BOUNDS.slotMs);
    figures.prefillUsPerToken[row] = bounded(candidate.prefillUsPerToken, BOUNDS.prefillUsPerToken);
    figures.decodeMs[row] = bounded(candidate.decodeMs, BOUNDS.decodeMs);
    figures.loadMs[row] = bounded(candidate.loadMs, BOUNDS.loadMs);
    figures.correctionPerMille[row] = bounded(candidate.correctionPerMille, BOUNDS.correctionPerMille);
    figures.reliabilityPerMille[row] = bounded(candidate.reliabilityPerMille, BOUNDS.reliabilityPerMille);
    figures.priceMs[row] = bounded(candidate.priceMs, BOUNDS.priceMs);
  }
  return figures;
}

/** The medians of the three rates; of an even number the slower one, so that one liar of two cannot set the measure. */
export function medianRates(figures: Figures): RateFloors {
  return {
    slotMs: slowerMedian(figures.slotMs),
    prefillUsPerToken: slowerMedian(figures.prefillUsPerToken),
    decodeMs: slowerMedian(figures.decodeMs),
  };
}

export function rateFloors(medians: RateFloors, rateClamp: number): RateFloors {
  return {
    slotMs: Math.ceil(medians.slotMs / rateClamp),
    prefillUsPerToken: Math.ceil(medians.prefillUsPerToken / rateClamp),
    decodeMs: Math.ceil(medians.decodeMs / rateClamp),
  };
}

/** The slot time that is believed of node `index`. */
export function believedSlotMs(figures: Figures, index: number, floors: RateFloors): number {
  return Math.max(figures.slotMs[index] ?? 0, floors.slotMs);
}

/** Expected ms to the first token at node `index`. */
export function expectedMs(figures: Figures, index: number, terms: CostTerms): number {
  const { floors } = terms;
  const prefillUs = Math.max(figures.prefillUsPerToken[index] ?? 0, floors.prefillUsPerToken);
  const uncorrected =
    (figures.rttMs[index] ?? 0) +
    Math.max(0, figures.backlog[index] ?? 0) * believedSlotMs(figures, index, floors) +
    Math.floor((prefillUs * terms.newTokens) / 1_000) +
    Math.max(figures.decodeMs[index] ?? 0, floors.decodeMs) +
    (figures.loadMs[index] ?? 0);
  const corrected = Math.floor((Math.min(uncorrected, COST_MS_MAX) * (figures.correctionPerMille[index] ?? 0)) / 1_000);
  return Math.min(corrected, COST_MS_MAX);
}

/** The fixed charges: what failures cost on average, and the price the owner puts on this node. */
export function chargeMs(figures: Figures, index: number, params: PlacementParams): number {
  const reliability = figures.reliabilityPerMille[index] ?? 1;
  return Math.floor((params.retryMs * (1_000 - reliability)) / reliability) + (figures.priceMs[index] ?? 0);
}

export function costMs(figures: Figures, index: number, terms: CostTerms): number {
  return Math.min(COST_MS_MAX, expectedMs(figures, index, terms) + chargeMs(figures, index, terms.params));
}

/** The nearest whole number inside the range; what is not a number counts as the low end. */
export function bounded(value: number, range: { readonly min: number; readonly max: number }): number {
  if (!(value >= range.min)) return range.min;
  return value <= range.max ? Math.floor(value) : range.max;
}

function backlogOf(candidate: Candidate): number {
  const waiting =
    bounded(candidate.busy, BOUNDS.count) +
    bounded(candidate.queued, BOUNDS.count) +
    bounded(candidate.ownInFlight, BOUNDS.count);
  return waiting + 1 - bounded(candidate.slots, BOUNDS.slots);
}

function slowerMedian(values: Int32Array): number {
  return values.toSorted()[values.length >> 1] ?? 0;
}
