/**
 * Which situations are compared? Thirty cells: 10, 50 and 200 nodes, offered work of 0.3, 0.5 and 0.7 of what all of them
 * can do, load figures told every 0.1, 0.5 and 2 s; and for each size the interval that real nodes use (1 s) at half
 * load, which makes ten cells per size. Larger meshes need less time for as many messages, so they run shorter.
 * Limits: one model, nobody comes or goes. Source: the placement study in docs/PROTOCOL.md; the tenth cell is ours.
 */

export interface Cell {
  readonly nodes: number;
  /** Work that comes in, prompts taken as wholly new, as a share of what all nodes can do. */
  readonly load: number;
  /** Between two load messages of a node. */
  readonly beaconMs: number;
}

/** How long a run is. */
export interface Span {
  /** Not measured: rates are learnt and queues fill. */
  readonly warmUpMs: number;
  readonly measuredMs: number;
}

const LONGEST: Span = { warmUpMs: 40_000, measuredMs: 70_000 };
/** Source: ours: about 2,000 to 4,000 messages at half load, of which a cell has as many as seeds. */
const SPANS: readonly (Span & { readonly nodesMax: number })[] = [
  { nodesMax: 10, warmUpMs: 120_000, measuredMs: 540_000 },
  { nodesMax: 50, warmUpMs: 60_000, measuredMs: 140_000 },
];

const NODES = [10, 50, 200] as const;
const LOADS = [0.3, 0.5, 0.7] as const;
const BEACONS_MS = [100, 500, 2_000] as const;

export const CELLS: readonly Cell[] = NODES.flatMap((nodes) => [
  ...LOADS.flatMap((load) => BEACONS_MS.map((beaconMs) => ({ nodes, load, beaconMs }))),
  { nodes, load: 0.5, beaconMs: 1_000 },
]);

/** For tests and a first look: a small and a middle one. */
export const QUICK_CELLS: readonly Cell[] = [
  { nodes: 10, load: 0.5, beaconMs: 500 },
  { nodes: 50, load: 0.5, beaconMs: 2_000 },
];

/** The cell of the lying nodes. */
export const LIARS_CELL: Cell = { nodes: 50, load: 0.5, beaconMs: 1_000 };

export function spanOf(cell: Cell, share = 1): Span {
  const { warmUpMs, measuredMs } = SPANS.find(({ nodesMax }) => cell.nodes <= nodesMax) ?? LONGEST;
  return { warmUpMs: Math.round(warmUpMs * share), measuredMs: Math.round(measuredMs * share) };
}

export function cellName({ nodes, load, beaconMs }: Cell): string {
  return `n=${nodes} load=${load} T=${beaconMs / 1_000}s`;
}
