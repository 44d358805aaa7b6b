/**
 * How long does a message take to reach an observer? The quantiles of `gossip-hop.ts`, measured once for meshes of several
 * sizes on the clean network of the scenarios, as multiples of the mean base delay. `npm run sim -- gossip-table`
 * measures them again; a test holds the two together.
 */

export interface GossipQuantiles {
  readonly nodes: number;
  /** Of the delay in units of the mean base delay: the 16 midpoints of equal shares of all observers. */
  readonly delays: readonly number[];
}

/** Source: measured, seed 1. */
export const GOSSIP_QUANTILES: readonly GossipQuantiles[] = [
  { nodes: 10, delays: [0.36, 0.48, 0.56, 0.64, 0.72, 0.8, 0.88, 0.92, 1, 1.04, 1.08, 1.16, 1.28, 1.36, 1.48, 1.56] },
  { nodes: 30, delays: [0.52, 0.8, 0.96, 1.08, 1.2, 1.28, 1.36, 1.44, 1.52, 1.64, 1.72, 1.8, 1.88, 2, 2.12, 2.36] },
  { nodes: 100, delays: [0.76, 1.12, 1.32, 1.48, 1.6, 1.72, 1.8, 1.92, 2, 2.08, 2.2, 2.28, 2.4, 2.56, 2.72, 3.04] },
  { nodes: 300, delays: [1.16, 1.6, 1.84, 2, 2.16, 2.28, 2.36, 2.48, 2.6, 2.68, 2.8, 2.88, 3, 3.16, 3.36, 3.68] },
];
