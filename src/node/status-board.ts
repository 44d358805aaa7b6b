/**
 * What the API shows of the node and its mesh, put together from what the core knows at that moment. Members that died
 * or left stay on the board for a while, because "where is my laptop?" is the question that people ask. Decides nothing.
 * Bounds: `DEPARTED_MAX` departed members, the oldest goes first.
 */
import type { ModelOffer } from '../api/models.ts';
import type { LiveRequest, ModelStatus, NodeRow, NodeStatus, Readiness } from '../api/status.ts';
import type { GossipMember } from '../gossip/gossip-core.ts';
import { compareIds, type NodeId, type SwarmFingerprint } from '../ids.ts';
import type { EngineModel } from '../inference/engine.ts';
import type { Effect } from './events.ts';
import type { Mesh } from './mesh.ts';

/** Source: guess: more than a home has machines. */
const DEPARTED_MAX = 64;
/** Source: guess, as long as a tombstone: after that the node is a stranger again. */
const DEPARTED_SHOWN_MS = 600_000;

export interface StatusBoardOptions {
  readonly self: NodeId;
  readonly name: string;
  readonly version: string;
  readonly swarm: SwarmFingerprint;
  readonly mesh: Mesh;
  /** Our own engines, with what is wrong with them: beacons do not tell that. */
  readonly engineModels: () => readonly EngineModel[];
  readonly requests: () => readonly LiveRequest[];
  readonly counters: () => Readonly<Record<string, number>>;
}

interface Departed {
  readonly row: NodeRow;
  readonly atMs: number;
}

export class StatusBoard {
  readonly #options: StatusBoardOptions;
  readonly #departed = new Map<NodeId, Departed>();
  /** Names and versions outlive the members that told them. */
  readonly #names = new Map<NodeId, { readonly name: string; readonly version: string }>();

  constructor(options: StatusBoardOptions) {
    this.#options = options;
  }

  effect(effect: Effect, nowMs: number): void {
    if (effect.type !== 'member-changed') return;
    const { node, verdict } = effect;
    this.#departed.delete(node);
    if (verdict !== 'dead' && verdict !== 'left') return;
    const { name = '', version = '' } = this.#names.get(node) ?? {};
    this.#departed.set(node, {
      row: { node, name, version, verdict, self: false, connected: false, models: [] },
      atMs: nowMs,
    });
    const [oldest] = this.#departed.keys();
    if (this.#departed.size > DEPARTED_MAX && oldest !== undefined) this.#departed.delete(oldest);
  }

  models(nowMs: number): readonly ModelOffer[] {
    const offers: ModelOffer[] = [];
    for (const { node, verdict, capability } of this.#options.mesh.members(nowMs)) {
      if (verdict !== 'alive') continue;
      for (const { model, contextTokens, loadMs } of capability?.models ?? [])
        offers.push({ model, node, contextTokens, state: loadMs === 0 ? 'ready' : 'on-disk' });
    }
    return offers;
  }

  status(nowMs: number): NodeStatus {
    const { self, name, version, swarm, mesh } = this.#options;
    const members = mesh.members(nowMs);
    for (const { node, capability } of members)
      if (capability !== undefined) this.#names.set(node, { name: capability.name, version: capability.version });
    const present = members.map((member) => this.#row(member));
    const shown = new Set(members.map(({ node }) => node));
    const departed = [...this.#departed.values()].filter(
      ({ row, atMs }) => !shown.has(row.node) && nowMs - atMs < DEPARTED_SHOWN_MS,
    );
    for (const node of this.#names.keys()) if (!shown.has(node) && !this.#departed.has(node)) this.#names.delete(node);
    const nodes = [
      ...present,
      ...departed.map(({ row, atMs }) => ({ ...row, lastHeardAgoMs: Math.round(nowMs - atMs) })),
    ];
    return {
      self,
      name,
      version,
      swarm,
      uptimeMs: Math.round(nowMs),
      draining: mesh.isDraining,
      nodes: nodes.toSorted((left, right) => compareIds(left.node, right.node)),
      requests: this.#options.requests(),
      counters: { ...this.#options.counters(), ...prefixed('view', mesh.counters) },
    };
  }

  readiness(): Readiness {
    const { mesh } = this.#options;
    const reasons: string[] = [];
    if (mesh.isDraining) reasons.push('this node is shutting down');
    if (mesh.isStale) reasons.push('this machine has just woken up and is asking the mesh what is new');
    return { ready: reasons.length === 0, reasons };
  }

  #row(member: GossipMember): NodeRow {
    const { node, self, verdict, capability, rttMs } = member;
    const problem = this.#options.mesh.problemOf(member);
    const [address] = this.#options.mesh.addressesOf(node);
    return {
      node,
      name: member.name,
      version: capability?.version ?? '',
      verdict,
      self,
      connected: member.connected,
      ...(problem === undefined ? {} : { problem }),
      models: self ? this.#ownModels(member) : offeredModels(member),
      ...(self || rttMs === undefined ? {} : { rttMs: Math.round(rttMs * 10) / 10 }),
      ...(self || address === undefined ? {} : { address }),
      ...(self ? {} : { lastHeardAgoMs: Math.round(member.ageMs) }),
    };
  }

  /** Our own engines say more than our beacon: also what failed, and why. */
  #ownModels(member: GossipMember): readonly ModelStatus[] {
    const offered = new Map(offeredModels(member).map((one) => [one.model, one]));
    return this.#options.engineModels().map(({ model, state, problem, contextTokens, slots }) => {
      const { busy = 0, queued = 0 } = offered.get(model) ?? {};
      return { model, state, contextTokens, slots, busy, queued, ...(problem === undefined ? {} : { problem }) };
    });
  }
}

function offeredModels({ capability, loads }: GossipMember): readonly ModelStatus[] {
  return (capability?.models ?? []).map(({ model, contextTokens, slots, loadMs }, index) => {
    const { busy = 0, queued = 0 } = loads[index] ?? {};
    return { model, state: loadMs === 0 ? 'ready' : 'on-disk', contextTokens, slots, busy, queued };
  });
}

function prefixed(prefix: string, counts: { readonly [name: string]: number } | object): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [`${prefix}-${name}`, Number(count)]));
}
