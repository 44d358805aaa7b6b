/**
 * How long does a message take to reach an observer? The quantiles of `gossip-hop.ts`, measured once for meshes of several
 * sizes on the clean network of the scenarios, as multiples of the mean one-way delay. `npm run sim -- gossip-table`
 * measures them again; a test holds the two together.
 */

export interface GossipQuantiles {
  readonly nodes: number;
  /** Of the delay in units of the mean one-way delay: the 16 midpoints of equal shares of all observers. */
  readonly delays: readonly number[];
}

export const GOSSIP_QUANTILES: readonly GossipQuantiles[] = [
  { nodes: 10, delays: [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.3, 1.4, 1.5, 1.7, 2] },
];
