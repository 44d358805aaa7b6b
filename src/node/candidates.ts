/**
 * What the view says of the nodes that offer a model, corrected by what this node saw: the rows that placement scores.
 * A beacon's figures are claims; a busy answer is fresher than they are, and outcomes weigh more than both.
 * Our own row is exact and needs no correction. Pure mapping, no decision: who is refused and why is placement's.
 */
import { compareIds, type ModelId, type NodeId, type ParamsFingerprint } from '../ids.ts';
import type { Capability, ModelLoad } from '../gossip/message.ts';
import type { Observations } from '../placement/observations.ts';
import type { Candidate } from '../placement/placement.ts';

/** What the core knows of one member, itself included. */
export interface MemberFacts {
  readonly node: NodeId;
  readonly verdict: 'alive' | 'suspect' | 'dead' | 'left';
  readonly capability: Capability | undefined;
  /** In the order of the capability's models. */
  readonly loads: readonly ModelLoad[];
  /** On this node's clock. */
  readonly loadsMadeAtMs: number;
  /** Undefined until a ping came back. */
  readonly rttMs: number | undefined;
}

/** Round trip to a member that was never measured. Source: guess: a home's Internet uplink. */
const UNKNOWN_RTT_MS = 50;

/** What a model costs before anybody measured it there. Source: guess: a small model on a laptop. */
const UNKNOWN_LOAD: ModelLoad = {
  busy: 0,
  queued: 0,
  slotMs: 5_000,
  prefillUsPerToken: 2_000,
  decodeMs: 50,
  arrivalsPerKs: 0,
};

export interface CandidateSource {
  readonly self: NodeId;
  readonly params: ParamsFingerprint;
  readonly observations: Observations;
}

export function candidatesFor(
  model: ModelId,
  members: readonly MemberFacts[],
  source: CandidateSource & { readonly nowMs: number },
): Candidate[] {
  return members.flatMap((member) => {
    const index = member.capability?.models.findIndex((one) => one.model === model) ?? -1;
    return index < 0 ? [] : candidateOf(member, index, source);
  });
}

function candidateOf(
  member: MemberFacts,
  index: number,
  source: CandidateSource & { readonly nowMs: number },
): Candidate[] {
  const { node, capability, loadsMadeAtMs } = member;
  const offered = capability?.models[index];
  if (capability === undefined || offered === undefined) return [];
  const { model, contextTokens, slots, loadMs } = offered;
  const mine = node === source.self;
  const observed = source.observations.observed({ node, model, loadAtMs: loadsMadeAtMs }, source.nowMs);
  const load = observed.freshLoad?.load ?? member.loads[index] ?? UNKNOWN_LOAD;
  const { arrivalsPerKs: _, ...figures } = load;
  const ageMs = Math.max(0, source.nowMs - (observed.freshLoad?.atMs ?? loadsMadeAtMs));
  const problem = `it runs other protocol parameters (${capability.params}, here ${source.params}): update skein there or here`;
  return [
    {
      ...figures,
      node,
      model,
      contextTokens,
      slots,
      loadMs,
      alive: member.verdict === 'alive',
      ...(capability.params === source.params ? { usable: true } : { usable: false, problem }),
      correctionPerMille: observed.correctionPerMille,
      reliabilityPerMille: observed.reliabilityPerMille,
      priceMs: 0,
      // Our own load figures are exact: they already count what we sent to ourselves.
      ...(mine
        ? { ownInFlight: 0, rttMs: 0, ageMs: 0 }
        : { ownInFlight: observed.ownInFlight, rttMs: member.rttMs ?? UNKNOWN_RTT_MS, ageMs }),
    },
  ];
}

/** Requests for a model that enter the whole mesh, per 1000 s: the sum of what each node says enters at it. */
export function arrivalsPerKs(model: ModelId, members: readonly MemberFacts[]): number {
  let sum = 0;
  for (const { capability, loads, verdict } of members) {
    const index = capability?.models.findIndex((one) => one.model === model) ?? -1;
    if (verdict === 'alive' && index >= 0) sum += loads[index]?.arrivalsPerKs ?? 0;
  }
  return sum;
}

/** Every model that a living member offers, in the order of names. */
export function modelsOffered(members: readonly MemberFacts[]): ReadonlySet<ModelId> {
  const models = members
    .filter(({ verdict }) => verdict === 'alive')
    .flatMap(({ capability }) => capability?.models.map(({ model }) => model) ?? []);
  return new Set(models.toSorted(compareIds));
}
