/**
 * What goes wrong in the run of this seed? The whole list is made before the run. Which kinds strike at all depends on
 * the seed (swarm testing: Groce et al. 2012, a run without some kinds finds what they would hide); each kind strikes
 * each node as a Poisson process of its own, and each fault draws its details from randomness keyed by (kind, node,
 * number), so that none depends on another. What cannot happen together is resolved by time: the first one stays.
 * Everything is over when the world heals, so nobody, no bootstrap node either, is away for good.
 */
import type { Fault, FaultKind, FaultPlan } from './fault.ts';
import { drawFault } from './fault-draws.ts';
import { FAULT_KINDS, compareFaults, endOf, isMeshWide, liarsMax, occupies } from './fault-kinds.ts';
import { habitFaults } from './habits.ts';
import type { KeyedRandom } from '../kernel/kernel-port.ts';
import { populate } from '../work/population.ts';
import type { Scenario } from '../scenario.ts';

const HOUR_MS = 3_600_000;

/** Between two faults that occupy the same, so that a process lives before it dies again. Source: guess. */
const GAP_MS = 1_000;

interface PlanSource {
  readonly scenario: Scenario;
  /** That of the seed: who has which machine, and so which habits, is drawn from it as in the run itself. */
  readonly random: KeyedRandom;
}

export function generatePlan({ scenario, random }: PlanSource): FaultPlan {
  const machines = populate(scenario, random).map(({ machine }) => machine.kind);
  const drawn = FAULT_KINDS.filter((kind) => isEnabled(kind, scenario, random)).flatMap((kind) =>
    strikes(kind, scenario, random),
  );
  const faults = [...drawn, ...habitFaults(scenario, machines, random)];
  return settle(
    faults.flatMap((fault) => cut(fault, scenario) ?? []),
    scenario,
  );
}

function isEnabled(kind: FaultKind, { faults }: Scenario, random: KeyedRandom): boolean {
  return (faults.perNodeHour[kind] ?? 0) > 0 && random.stream(`fault-enabled/${kind}`).ratio() < faults.enable;
}

/** All strikes of one kind. What strikes the mesh as a whole comes as often as all of its nodes together would cause. */
function strikes(kind: FaultKind, scenario: Scenario, random: KeyedRandom): readonly Fault[] {
  const perNodeHour = scenario.faults.perNodeHour[kind] ?? 0;
  const targets = isMeshWide(kind) ? 1 : scenario.nodes;
  const meanGapMs = (HOUR_MS * targets) / (perNodeHour * scenario.nodes);
  return Array.from({ length: targets }, (_, node) => {
    const gaps = random.stream(`fault-gap/${kind}`, node);
    const struck: Fault[] = [];
    let atMs = scenario.faultsFromMs + gaps.exponential(meanGapMs);
    while (atMs < scenario.healAtMs) {
      const place = { atMs: Math.floor(atMs), node, nodes: scenario.nodes };
      struck.push(drawFault(kind, place, random.stream(`fault/${kind}`, node, struck.length)));
      atMs += gaps.exponential(meanGapMs);
    }
    return struck;
  }).flat();
}

/** Cut to the time for faults: what lasts longer ends when the world heals. undefined = nothing is left. */
function cut(fault: Fault, { faultsFromMs, healAtMs }: Scenario): Fault | undefined {
  const atMs = Math.max(fault.atMs, faultsFromMs);
  if (!('durationMs' in fault)) return fault;
  const endMs = Math.min(endOf(fault), healAtMs);
  return endMs > atMs ? { ...fault, atMs, durationMs: endMs - atMs } : undefined;
}

/** In the order of time, a fault stays where nothing that stayed stands in its way and there are not too many liars. */
function settle(faults: readonly Fault[], { nodes }: Scenario): FaultPlan {
  const freeAtMs = new Map<string, number>();
  const liars = new Set<number>();
  return faults.toSorted(compareFaults).filter((fault) => {
    const what = occupies(fault);
    if (what !== undefined && fault.atMs < (freeAtMs.get(what) ?? 0)) return false;
    if (fault.kind === 'liar' && !liars.has(fault.node) && liars.size >= liarsMax(nodes)) return false;
    if (what !== undefined) freeAtMs.set(what, endOf(fault) + GAP_MS);
    if (fault.kind === 'liar') liars.add(fault.node);
    return true;
  });
}
