/**
 * What the API shows of the node and its mesh, put together from what the core knows at that moment. Members that died
 * or left stay on the board for a while, because "where is my laptop?" is the question that people ask. Decides nothing.
 * Bounds: `DEPARTED_MAX` departed members, the oldest goes first.
 */
import type { ModelOffer } from '../api/models.ts';
import type {
  LiveRequest,
  ModelStatus,
  NodeRow,
  NodeStatus,
  PathStatus,
  ReachStatus,
  Readiness,
  Unreached,
} from '../api/status.ts';
import type { GossipMember } from '../gossip/gossip-core.ts';
import { compareIds, type NodeId, type SwarmFingerprint } from '../ids.ts';
import type { EngineModel } from '../inference/engine.ts';
import { absenceOf } from './absence.ts';
import type { Effect } from './events.ts';
import type { Mesh } from './mesh.ts';
import type { NetworkPath, NetworkReach } from './network.ts';

/** Source: guess: more than a home has machines. */
const DEPARTED_MAX = 64;
/** Source: guess, as long as a tombstone: after that the node is a stranger again. */
const DEPARTED_SHOWN_MS = 600_000;
/** Source: guess: a page of them is enough to see what is wrong. */
const UNREACHED_MAX = 64;
/** Incarnations rise by one for other reasons than a boot as well, and are whole seconds. Source: measured on one machine: under 1.2 s. */
const CLOCK_STEP_MS = 2_000;

/** What the network knows of the ways to the others. Nothing before the node listens. */
export interface WaysOfBoard {
  /** Best first. */
  readonly paths: (node: NodeId) => readonly NetworkPath[];
  /** The path in use, where one was chosen. */
  readonly preferred: (node: NodeId) => string | undefined;
  /** As that node said. */
  readonly natOf: (node: NodeId) => NetworkReach['nat'];
  /** Undefined before the node listens. */
  readonly reach: () => NetworkReach | undefined;
  /** Where this node listens. */
  readonly addresses: () => readonly string[];
}

export interface StatusBoardOptions {
  readonly self: NodeId;
  readonly name: string;
  readonly version: string;
  readonly swarm: SwarmFingerprint;
  readonly mesh: Mesh;
  /** Our own engines, with what is wrong with them: beacons do not tell that. */
  readonly engineModels: () => readonly EngineModel[];
  readonly sandbox: () => NodeStatus['sandbox'];
  readonly ways: WaysOfBoard;
  /** Why a node is not admitted, or does not admit us. */
  readonly refusalOf: (node: NodeId) => string | undefined;
  /** The calendar. */
  readonly wallMs: () => number;
  readonly requests: () => readonly LiveRequest[];
  readonly counters: () => Readonly<Record<string, number>>;
}

interface Departed {
  readonly row: NodeRow;
  readonly reason: string;
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
    const { node, verdict, reason } = effect;
    this.#departed.delete(node);
    if (verdict !== 'dead' && verdict !== 'left') return;
    const { name = '', version = '' } = this.#names.get(node) ?? {};
    this.#departed.set(node, {
      row: { node, name, version, verdict, self: false, connected: false, models: [] },
      reason,
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
    const present = members.map((member) => this.#row(member, nowMs));
    const shown = new Set(members.map(({ node }) => node));
    const departed = [...this.#departed.values()].filter(
      ({ row, atMs }) => !shown.has(row.node) && nowMs - atMs < DEPARTED_SHOWN_MS,
    );
    for (const node of this.#names.keys()) if (!shown.has(node) && !this.#departed.has(node)) this.#names.delete(node);
    const nodes = [
      ...present,
      ...departed.map((one) => ({
        ...one.row,
        lastHeardAgoMs: Math.round(nowMs - one.atMs),
        absence: this.#absence({ node: one.row.node, verdict: one.row.verdict, reason: one.reason }, nowMs),
      })),
    ];
    const counters = this.#options.counters();
    const reach = this.#reach(counters['relay-reservations'] ?? 0);
    return {
      self,
      name,
      version,
      swarm,
      uptimeMs: Math.round(nowMs),
      draining: mesh.isDraining,
      sandbox: this.#options.sandbox(),
      ...(reach === undefined ? {} : { reach }),
      unreached: this.#unreached(new Set(nodes.map(({ node }) => node)), nowMs),
      nodes: nodes.toSorted((left, right) => compareIds(left.node, right.node)),
      requests: this.#options.requests(),
      counters: { ...counters, ...prefixed('view', mesh.counters) },
    };
  }

  readiness(): Readiness {
    const { mesh } = this.#options;
    const reasons: string[] = [];
    if (mesh.isDraining) reasons.push('this node is shutting down');
    if (mesh.isStale) reasons.push('this machine has just woken up and is asking the mesh what is new');
    return { ready: reasons.length === 0, reasons };
  }

  #row(member: GossipMember, nowMs: number): NodeRow {
    const { node, self, verdict, capability } = member;
    const problem = this.#options.mesh.problemOf(member);
    return {
      node,
      name: member.name,
      version: capability?.version ?? '',
      verdict,
      self,
      connected: member.connected,
      ...(problem === undefined ? {} : { problem }),
      models: self ? this.#ownModels(member) : offeredModels(member),
      ...(capability?.relays === true ? { relays: true } : {}),
      ...natIfKnown(self ? this.#options.ways.reach()?.nat : this.#options.ways.natOf(node)),
      ...(self ? {} : this.#apart(member, nowMs)),
    };
  }

  /** What is true of the others only. */
  #apart({ node, verdict, connected, rttMs, ageMs }: GossipMember, nowMs: number): Partial<NodeRow> {
    const paths = this.#pathsTo(node);
    const address = paths.path?.address ?? this.#options.mesh.addressesOf(node)[0];
    return {
      ...(rttMs === undefined ? {} : { rttMs: Math.round(rttMs * 10) / 10 }),
      ...(address === undefined ? {} : { address }),
      lastHeardAgoMs: Math.round(ageMs),
      ...paths,
      ...this.#clockOf(node, nowMs),
      ...(connected ? {} : { absence: this.#absence({ node, verdict }, nowMs) }),
    };
  }

  #pathsTo(node: NodeId): Pick<NodeRow, 'path' | 'standby'> {
    const { ways } = this.#options;
    const open = ways.paths(node);
    const preferred = ways.preferred(node);
    const used = open.find(({ id }) => id === preferred) ?? open[0];
    if (used === undefined) return {};
    const standby = open.filter((path) => path !== used).map((path) => this.#path(path));
    return { path: this.#path(used), ...(standby.length === 0 ? {} : { standby }) };
  }

  #path({ kind, address, direction, rttMs, relay, isLimited }: NetworkPath): PathStatus {
    return {
      kind,
      isDirect: kind !== 'relayed',
      address,
      direction,
      rttMs: Math.round(rttMs * 10) / 10,
      ...(relay === undefined ? {} : { relay: this.#named(relay) }),
      isLimited,
    };
  }

  #absence(
    {
      node,
      verdict,
      reason,
    }: { readonly node: NodeId; readonly verdict: NodeRow['verdict']; readonly reason?: string },
    nowMs: number,
  ): NonNullable<NodeRow['absence']> {
    const { mesh, refusalOf } = this.#options;
    return absenceOf({ verdict, verdictReason: reason, refusal: refusalOf(node), dials: mesh.dialsOf(node), nowMs });
  }

  #unreached(shown: ReadonlySet<NodeId>, nowMs: number): readonly Unreached[] {
    const { mesh, refusalOf } = this.#options;
    return mesh
      .unreached()
      .filter(({ node }) => node === undefined || !shown.has(node))
      .slice(0, UNREACHED_MAX)
      .map((dials) => {
        const { node, addresses } = dials;
        const refusal = node === undefined ? undefined : refusalOf(node);
        const absence = absenceOf({ verdict: 'unknown', refusal, dials, nowMs });
        return { ...(node === undefined ? {} : { node }), addresses, absence };
      });
  }

  /**
   * An incarnation is the second of the member's boot by its own calendar, and its messages tell when that was by our
   * clock. Nothing is told of small differences, which incarnations have for other reasons.
   */
  #clockOf(node: NodeId, nowMs: number): Pick<NodeRow, 'clockAheadMs'> {
    const birth = this.#options.mesh.birthOf(node);
    if (birth === undefined) return {};
    const bornWallMs = this.#options.wallMs() - (nowMs - birth.bornAtMs);
    const aheadMs = Math.round(birth.incarnation * 1_000 - bornWallMs);
    return { clockAheadMs: Math.abs(aheadMs) <= CLOCK_STEP_MS ? 0 : aheadMs };
  }

  #reach(reservations: number): ReachStatus | undefined {
    const { ways } = this.#options;
    const known = ways.reach();
    if (known === undefined) return undefined;
    const { reach, nat, reason, isRelay, relays } = known;
    return {
      reach,
      nat,
      reason,
      addresses: ways.addresses(),
      isRelay,
      reservations,
      relays: relays.map((relay) => this.#named(relay)),
    };
  }

  #named(node: NodeId): { readonly node: NodeId; readonly name: string } {
    return { node, name: this.#names.get(node)?.name ?? '' };
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

function natIfKnown(nat: NetworkReach['nat'] | undefined): Pick<NodeRow, 'nat'> {
  return nat === undefined || nat === 'unknown' ? {} : { nat };
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
