/**
 * What a simulation is told: a scenario is data, one question each. It names machines, models, the network, the work that
 * comes in and which kinds of fault may strike; together with a seed it is the whole run. `scenario-check.ts` says what
 * is wrong with one, `fault-plan.ts` makes the list of faults of a seed, `world.ts` runs it.
 * Shares are relative weights: {gpu: 1, laptop: 3} is one in four.
 */
import type { FaultKind } from './faults/fault.ts';

/** A class of machine; the speeds behind each are in `machines.ts`. */
export type MachineKind = 'server' | 'gaming' | 'mac' | 'laptop' | 'mini';

/** How a machine can be reached: by anybody, after a hole was punched, or through a relay only. */
export type NatClass = 'public' | 'punchable' | 'relay-only';

export interface ModelSpec {
  readonly name: string;
  /** Share of the nodes that hold it, 0 to 1; at least one node does. */
  readonly holders: number;
  readonly contextTokens: number;
  /** Time to make it ready on first use; 0 = ready from the start. */
  readonly loadMs: number;
  /** Speed of the machine with this model: tokens per second of one stream are the machine's times this. */
  readonly speed: number;
  /** Share of the demand. */
  readonly demand: number;
}

export interface WorkloadSpec {
  /** steady = Poisson; bursts = Markov-modulated (0.6 of the rate, and 3 times for 4 s on average); none = no requests. */
  readonly arrivals: 'steady' | 'bursts' | 'none';
  /** Offered work as a share of the most that the holders of the models can do, 0 to 2 (`workload.ts`). */
  readonly load: number;
  /** Share of requests that are a further turn of a conversation, 0 to 1. */
  readonly followUps: number;
  /** Medians of lognormal lengths. */
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** Longest answer: bounds the run. */
  readonly answerTokensMax: number;
  /** Nodes at which requests enter; undefined = all. */
  readonly ingressNodes?: number;
}

export interface NetworkSpec {
  /** One-way delay of a path is uniform in this range, drawn once for each pair of homes. */
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Mean of the exponential jitter that is added to each packet. */
  readonly jitterMs: number;
  /** Mean loss, 0 to 0.5: Gilbert-Elliott on each machine's last mile, bursts of `lossBurstMs` with 80 % loss. */
  readonly loss: number;
  readonly lossBurstMs: number;
  /** Of each machine's uplink, in bytes per second; its queue holds `queueMs` of it. */
  readonly bytesPerSecond: number;
  readonly queueMs: number;
}

/** Which faults a seed may draw, and how often each strikes. */
export interface FaultMix {
  /** Mean number of faults per node and hour of each kind that a seed enables; a kind that is missing never strikes. */
  readonly perNodeHour: Readonly<Partial<Record<FaultKind, number>>>;
  /** Chance that a seed enables a kind at all (swarm testing). 1 = all of them always. */
  readonly enable: number;
  /** What owners do with their machines (`habits.ts`), this many times as fast as in life; undefined = nothing. */
  readonly habitSpeed?: number;
}

export interface Scenario {
  readonly name: string;
  /** The question that the run answers, as a person would ask it. */
  readonly question: string;
  readonly nodes: number;
  readonly machines: Readonly<Partial<Record<MachineKind, number>>>;
  readonly nat: Readonly<Partial<Record<NatClass, number>>>;
  /** Nodes that every other one is given as bootstrap, public ones first. */
  readonly bootstraps: number;
  readonly models: readonly ModelSpec[];
  readonly workload: WorkloadSpec;
  readonly network: NetworkSpec;
  /** hop = every message over every connection; aggregated = one delivery per observer, delay drawn from a measured table. */
  readonly gossip: 'hop' | 'aggregated';
  readonly faults: FaultMix;
  /** Nodes start within this time. */
  readonly startWithinMs: number;
  /** Faults strike between `faultsFromMs` and `healAtMs`; from then on the world is whole and liveness must hold. */
  readonly faultsFromMs: number;
  readonly healAtMs: number;
  /** The end; requests stop `drainMs` earlier so that the last ones can end. */
  readonly durationMs: number;
  readonly drainMs: number;
}
