/**
 * Up to which cost should nodes get work? The requests that arrive before anybody's next beacon are poured like water
 * over the nodes' costs: each node takes one request per `slotMs` of room under the level, at most `fillMax`. The level
 * is the least whole number of ms at which the room holds the need, found by bisection on integers. When load figures
 * are fresh (small need) only the best nodes get wet; when they are old, work spreads, and nobody herds.
 * Limits: at most 2^21 nodes (the sum stays under 2^53). Source: Dahlin, "Interpreting stale load information", 2000.
 */

/** One request, in the units in which room and need are counted. Source: ours: 64 requests times a log stay under 2^53. */
export const FILL_ONE = 131_072;

export interface WaterInput {
  readonly costsMs: Int32Array;
  readonly slotsMs: Int32Array;
  /** Which rows of the columns take part. */
  readonly rows: Int32Array;
  /** In units of `FILL_ONE`. */
  readonly need: number;
  /** Most requests of one node. */
  readonly fillMax: number;
}

/** max(1, arrival rate * age), in units of `FILL_ONE`. */
export function needOf(arrivalsPerKs: number, viewAgeMs: number): number {
  const millionths = Math.min(arrivalsPerKs, 1e9) * Math.min(viewAgeMs, 4e6);
  const whole = Math.floor(millionths / 1e6);
  const part = Math.floor(((millionths % 1e6) * FILL_ONE) / 1e6);
  return Math.max(FILL_ONE, whole * FILL_ONE + part);
}

/** How much of the need a node of this cost takes under the level, in units of `FILL_ONE`: at least 1 below it. */
export function fillOf(roomMs: number, slotMs: number, fillMax: number): number {
  if (roomMs <= 0) return 0;
  if (roomMs >= fillMax * slotMs) return fillMax * FILL_ONE;
  return Math.max(1, Math.floor((roomMs * FILL_ONE) / slotMs));
}

/** The least level whose room holds the need; where all nodes together cannot, the least that fills every one. */
export function waterLevel(input: WaterInput): number {
  const { low, high } = bracket(input);
  // Nodes at or above `high` are dry at every level that is tried.
  const rows = input.rows.filter((row) => (input.costsMs[row] ?? 0) < high);
  if (!holds(input, rows, high)) return high;
  let dry = low;
  let wet = high;
  while (wet - dry > 1) {
    const middle = Math.floor((dry + wet) / 2);
    if (holds(input, rows, middle)) wet = middle;
    else dry = middle;
  }
  return wet;
}

/** `low` holds nothing; `high` holds the need or all there is. */
function bracket(input: WaterInput): { low: number; high: number } {
  const { costsMs, slotsMs, rows, fillMax } = input;
  const needWhole = Math.ceil(input.need / FILL_ONE);
  let low = Number.MAX_SAFE_INTEGER;
  let full = 0;
  let alone = Number.MAX_SAFE_INTEGER;
  for (const row of rows) {
    const cost = costsMs[row] ?? 0;
    const slot = slotsMs[row] ?? 1;
    low = Math.min(low, cost);
    full = Math.max(full, cost + fillMax * slot);
    // At this level the node could take the whole need by itself.
    alone = Math.min(alone, cost + needWhole * slot);
  }
  return { low, high: needWhole <= fillMax ? Math.min(alone, full) : full };
}

function holds(input: WaterInput, rows: Int32Array, level: number): boolean {
  const { costsMs, slotsMs, need, fillMax } = input;
  let sum = 0;
  for (const row of rows) {
    sum += fillOf(level - (costsMs[row] ?? 0), slotsMs[row] ?? 1, fillMax);
    if (sum >= need) return true;
  }
  return false;
}
