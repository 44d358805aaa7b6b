/**
 * How long does a message take to reach an observer, hop by hop? Runs meshes of several sizes with nothing wrong and nobody asking,
 * lets them settle, and takes the delay of every message at every node that heard it first by gossip. The answer is
 * the table of `gossip-table.ts`, in units of the mean base delay between two nodes, which makes it good for other
 * networks whose delays are spread in the same way. Limits: one seed a size; jitter is that of the scenarios (an eighth of the
 * mean delay), and its share is in the table; what nobody passed on (a snapshot brought it) has no delay.
 */
import type { GossipQuantiles } from './gossip-table.ts';
import { BASE } from '../scenarios/base.ts';
import type { Scenario } from '../scenario.ts';
import { worldSeed } from '../seeded-run.ts';
import { World } from '../world.ts';

export const MEASURED_SIZES = [10, 30, 100, 300] as const;
/** Midpoints of so many equal shares. */
export const SHARES = 16;

/** By then everybody is here, and the meshes of gossip have their shape. Source: starts within 5 s, and ten heartbeats. */
const SETTLED_MS = 15_000;
/** Source: 10 nodes send one message a second each, 300 nodes 25 a second together: thousands of delays in both. */
const MEASURED_MS = 20_000;

export interface MeasureOptions {
  readonly nodes: number;
  readonly seed: number;
  readonly gossip: Scenario['gossip'];
}

/** Nothing lost, nothing struck, nobody asks. */
export function cleanScenario({ nodes, gossip }: Pick<MeasureOptions, 'nodes' | 'gossip'>): Scenario {
  return {
    ...BASE,
    name: 'clean-gossip',
    question: 'How long does a message take to reach everybody?',
    nodes,
    workload: { ...BASE.workload, arrivals: 'none' },
    network: { ...BASE.network, loss: 0 },
    gossip,
    healAtMs: SETTLED_MS,
    durationMs: SETTLED_MS + MEASURED_MS,
    drainMs: 1_000,
  };
}

/** All delays of accepted messages, ascending, in ms. */
export function gossipDelays(options: MeasureOptions): Float64Array {
  const scenario = cleanScenario(options);
  const delays: number[] = [];
  const world = new World({
    scenario,
    seed: worldSeed(scenario, options.seed),
    plan: [],
    watch: (event, atMs) => {
      if (event.type !== 'judged' || event.way !== 'gossip' || event.verdict !== 'accept') return;
      if (event.madeAtMs >= SETTLED_MS) delays.push(atMs - event.madeAtMs);
    },
  });
  world.run(scenario.durationMs);
  return Float64Array.from(delays).toSorted();
}

/** One row of the table. */
export function measureGossip(nodes: number, seed: number): GossipQuantiles {
  const delays = gossipDelays({ nodes, seed, gossip: 'hop' });
  const { delayMsMin, delayMsMax } = BASE.network;
  const unitMs = (delayMsMin + delayMsMax) / 2;
  const midpoints = Array.from({ length: SHARES }, (_, share) => (share + 0.5) / SHARES);
  return { nodes, delays: midpoints.map((share) => Math.round((quantileOf(delays, share) / unitMs) * 100) / 100) };
}

/** Of sorted values, by nearest rank; 0 when there are none. */
export function quantileOf(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

/** The rows as they stand in `gossip-table.ts`. */
export function tableText(rows: readonly GossipQuantiles[]): string {
  return rows.map(({ nodes, delays }) => `  { nodes: ${nodes}, delays: [${delays.join(', ')}] },`).join('\n');
}
