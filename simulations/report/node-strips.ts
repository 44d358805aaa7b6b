/**
 * What became of each node over time, as intervals: what is true (up, asleep, paused, stopped) and what the majority
 * believes (trusted, suspect, dead). Changes in one ms are one. Limits: about 40,000 intervals in all and between 40 and
 * 1,000 a node; a node that has no more room keeps its last interval open and counts what is left out. Source: ours.
 */
const INTERVALS_MAX = 40_000;

export type TruthState = 'unborn' | 'up' | 'asleep' | 'paused' | 'stopped';
export type Belief = 'trusted' | 'suspect' | 'dead';

export interface StripInterval {
  readonly fromMs: number;
  readonly toMs: number;
  readonly truth: TruthState;
  readonly belief: Belief;
}

export interface NodeStrip {
  readonly node: number;
  readonly intervals: readonly StripInterval[];
  /** Changes that found no room: the last interval before the end covers them. */
  readonly leftOut: number;
}

interface Row {
  readonly intervals: StripInterval[];
  fromMs: number;
  truth: TruthState;
  belief: Belief;
  leftOut: number;
}

export class NodeStrips {
  readonly #rows: readonly Row[];
  readonly #rowMax: number;

  constructor(nodes: number) {
    this.#rowMax = Math.min(1_000, Math.max(40, Math.floor(INTERVALS_MAX / Math.max(1, nodes))));
    this.#rows = Array.from({ length: nodes }, () => ({
      intervals: [],
      fromMs: 0,
      truth: 'unborn',
      belief: 'trusted',
      leftOut: 0,
    }));
  }

  setTruth(node: number, truth: TruthState, atMs: number): void {
    const row = this.#rows[node];
    if (row === undefined || row.truth === truth) return;
    if (this.#cut(row, atMs)) row.truth = truth;
  }

  setBelief(node: number, belief: Belief, atMs: number): void {
    const row = this.#rows[node];
    if (row === undefined || row.belief === belief) return;
    if (this.#cut(row, atMs)) row.belief = belief;
  }

  finish(atMs: number): void {
    for (const row of this.#rows) {
      if (atMs > row.fromMs) row.intervals.push(closed(row, atMs));
      row.fromMs = atMs;
    }
  }

  all(): readonly NodeStrip[] {
    return this.#rows.map(({ intervals, leftOut }, node) => ({ node, intervals, leftOut }));
  }

  /** False when there is no room for a change. */
  #cut(row: Row, atMs: number): boolean {
    if (atMs === row.fromMs) return true;
    if (row.intervals.length >= this.#rowMax - 1) {
      row.leftOut += 1;
      return false;
    }
    row.intervals.push(closed(row, atMs));
    row.fromMs = atMs;
    return true;
  }
}

function closed({ fromMs, truth, belief }: Row, toMs: number): StripInterval {
  return { fromMs, toMs, truth, belief };
}
