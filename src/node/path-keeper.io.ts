/**
 * Runs a ladder for every node that is connected, and carries out what it wants: dials of better paths, the end of surplus
 * ones, and the news that the link to a node had better be on another path. So that a ladder can tell a path that
 * carries from one that does not, both sides beat on each path while there are several; a single path is the mesh's own
 * business, and costs nothing here. The link's bytes count as well.
 * Limits: a ladder for each connected node, one beat stream for each path and side, one timer for all.
 */
import { NatMemory } from '../discovery/nat-memory.ts';
import { PathBeat } from '../discovery/path-beat.ts';
import { type LadderInput, type LadderOutput, PathLadder } from '../discovery/path-ladder.ts';
import type { Nat } from '../discovery/reachability.ts';
import { hostOf, relayOf, scopeOf } from '../discovery/transports.ts';
import { compareIds, type NodeId } from '../ids.ts';
import type { PlaneClock } from '../inference/alarm.ts';
import type { Prng } from '../prng.ts';
import type { Network, NetworkPath, NetworkStream } from './network.ts';

export const BEAT_PROTOCOL = '/skein/beat/1';

const KEEPER = {
  /** Between two looks at who is busy, and at which addresses are known. Source: guess: as often as a heartbeat. */
  lookMs: 500,
  /** Time to open a stream for beats. Source: guess: under the time in which a path has to be heard. */
  openMsMax: 3_000,
  /** Between two moves of a link. Source: guess: a failed one is not repeated in the same breath. */
  moveGapMs: 1_000,
  /** The core hears of a node's beats at most this often. Source: as of link bytes. */
  heardMs: 100,
  /** Nodes whose past is kept, without a path as well: what flaps must not begin anew each time. Source: guess. */
  nodesMax: 1_024,
} as const;

type NetworkOfPaths = Pick<Network, 'node' | 'paths' | 'dialPath' | 'closePath' | 'openStream' | 'handle'>;

export interface PathKeeperPorts {
  readonly self: NodeId;
  readonly clock: PlaneClock;
  readonly prng: Prng;
  /** All that are known of a node, best first. */
  addressesOf(node: NodeId): readonly string[];
  /** Behind what this node finds itself. */
  ownNat(): Nat;
  /** Nodes that requests run with. */
  busy(): ReadonlySet<NodeId>;
  /** A path of the node carried something. */
  heard(node: NodeId): void;
  /** Its link would be better elsewhere. */
  moveLink(node: NodeId): void;
  onProblem(where: string, error: unknown): void;
}

interface Beating {
  readonly stream: NetworkStream;
  readonly beat: PathBeat;
}

interface Kept {
  readonly node: NodeId;
  readonly ladder: PathLadder;
  readonly paths: Map<string, NetworkPath>;
  readonly beating: Map<string, Beating>;
  readonly opening: Set<string>;
  wakeAtMs: number;
  beatMs: number | undefined;
  beatAtMs: number;
  preferred: string | undefined;
  /** Where the link was opened last. */
  linkPath: string | undefined;
  movedAtMs: number;
  heardAtMs: number;
  /** By path. */
  readonly linkHeardAtMs: Map<string, number>;
  lastClosed: NetworkPath | undefined;
  remoteNat: Nat;
  addresses: string;
}

export class PathKeeper {
  readonly #ports: PathKeeperPorts;
  readonly #natMemory = new NatMemory();
  /** Where this machine is by itself. */
  #ownHosts: readonly string[] = [];
  readonly #kept = new Map<NodeId, Kept>();
  #network: NetworkOfPaths | undefined;
  #ownNat: Nat = 'unknown';
  #cancelTimer: (() => void) | undefined;
  #timerForMs = Number.POSITIVE_INFINITY;

  constructor(ports: PathKeeperPorts) {
    this.#ports = ports;
  }

  async attach(network: NetworkOfPaths): Promise<void> {
    this.#network = network;
    for (const path of network.paths()) this.pathOpened(path);
    await network.handle(BEAT_PROTOCOL, (stream, from, path) => this.#accept(stream, from, path), {
      maxInboundStreams: 2,
      maxOutboundStreams: 2,
    });
  }

  stop(): void {
    this.#network = undefined;
    this.#cancelTimer?.();
    this.#kept.clear();
  }

  /** The path for what is opened to that node; undefined: whichever the network thinks best. */
  preferred(node: NodeId): string | undefined {
    return this.#kept.get(node)?.preferred;
  }

  /** The path of that node that ended last. */
  lastClosed(node: NodeId): NetworkPath | undefined {
    return this.#kept.get(node)?.lastClosed;
  }

  /** Behind what that node said that it finds itself. */
  natOf(node: NodeId): Nat {
    return this.#kept.get(node)?.remoteNat ?? 'unknown';
  }

  pathOpened(path: NetworkPath): void {
    const { id, node, kind, isLimited, direction, rttMs } = path;
    const kept = this.#kept.get(node) ?? this.#keep(node);
    if (kept.paths.has(id)) return;
    kept.paths.set(id, path);
    this.#learn(kept);
    this.#step(kept, { type: 'path-opened', path: { id, kind, isLimited, direction, rttMs } });
  }

  pathClosed({ id, node }: Pick<NetworkPath, 'id' | 'node'>): void {
    const kept = this.#kept.get(node);
    const path = kept?.paths.get(id);
    if (kept === undefined || path === undefined) return;
    kept.paths.delete(id);
    kept.lastClosed = path;
    kept.beating.delete(id);
    kept.linkHeardAtMs.delete(id);
    if (kept.linkPath === id) kept.linkPath = undefined;
    this.#step(kept, { type: 'path-closed', path: id });
    if (kept.paths.size === 0) this.#makeRoom();
  }

  /** A link runs over this path from now on. Of two the one that the smaller id opened is used. */
  linkOpened(node: NodeId, path: string | undefined, openedBy: 'us' | 'them'): void {
    const kept = this.#kept.get(node);
    if (kept === undefined) return;
    const isUsed = openedBy === 'us' || kept.linkPath === undefined || compareIds(this.#ports.self, node) > 0;
    if (isUsed) kept.linkPath = path;
  }

  /** The link brought something over this path. */
  heard(node: NodeId, path: string): void {
    const kept = this.#kept.get(node);
    // Told a thousand times a second; and one path alone is not watched here.
    if (kept?.beatMs === undefined || !kept.paths.has(path)) return;
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs < (kept.linkHeardAtMs.get(path) ?? Number.NEGATIVE_INFINITY) + KEEPER.heardMs) return;
    kept.linkHeardAtMs.set(path, nowMs);
    this.#step(kept, { type: 'path-heard', path });
  }

  /** This machine has other addresses than before. */
  networkChanged(addresses: readonly string[]): void {
    // Those of relays come and go with the relays, which says nothing about this machine's own connections.
    const hosts = addresses.flatMap((address) => (relayOf(address) === undefined ? (hostOf(address) ?? []) : []));
    const isAddressGone = this.#ownHosts.some((host) => !hosts.includes(host));
    this.#ownHosts = hosts;
    this.#natMemory.forget();
    for (const kept of this.#kept.values()) this.#step(kept, { type: 'network-changed', isAddressGone });
  }

  #keep(node: NodeId): Kept {
    const { self, prng, clock } = this.#ports;
    const isSmaller = compareIds(self, node) < 0;
    const setup = { isSmaller, prng: prng.fork(node), natMemory: this.#natMemory };
    const kept: Kept = {
      node,
      ladder: new PathLadder(setup, clock.nowMs()),
      paths: new Map(),
      beating: new Map(),
      opening: new Set(),
      wakeAtMs: Number.POSITIVE_INFINITY,
      beatMs: undefined,
      beatAtMs: Number.NEGATIVE_INFINITY,
      preferred: undefined,
      linkPath: undefined,
      movedAtMs: Number.NEGATIVE_INFINITY,
      heardAtMs: Number.NEGATIVE_INFINITY,
      linkHeardAtMs: new Map(),
      lastClosed: undefined,
      remoteNat: 'unknown',
      addresses: '',
    };
    this.#kept.set(node, kept);
    return kept;
  }

  #makeRoom(): void {
    for (const { node, paths } of this.#kept.values()) {
      if (this.#kept.size <= KEEPER.nodesMax) return;
      if (paths.size === 0) this.#kept.delete(node);
    }
  }

  #step(kept: Kept, input: LadderInput): void {
    const output = kept.ladder.step(input, this.#ports.clock.nowMs());
    kept.wakeAtMs = output.wakeAtMs;
    kept.preferred = output.preferred;
    kept.beatMs = output.beatMs;
    this.#carryOut(kept, output);
    this.#beatsOf(kept);
    this.#setTimer();
  }

  #carryOut(kept: Kept, { dials, closes }: LadderOutput): void {
    for (const { kind, addresses } of dials) {
      void this.#network?.dialPath(kept.node, kind, addresses).then(
        (result) => this.#dialEnded(kept, { type: 'dial-ended', kind, reached: result.type === 'connected' }),
        (error: unknown) => {
          this.#ports.onProblem('a better path', error);
          this.#dialEnded(kept, { type: 'dial-ended', kind, reached: false });
        },
      );
    }
    this.#moveLink(kept);
    for (const { path, reason } of closes) this.#network?.closePath(path, reason);
  }

  #dialEnded(kept: Kept, input: LadderInput): void {
    if (this.#kept.get(kept.node) === kept) this.#step(kept, input);
  }

  #moveLink(kept: Kept): void {
    const { linkPath, preferred } = kept;
    if (linkPath === undefined || preferred === undefined || linkPath === preferred) return;
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs < kept.movedAtMs + KEEPER.moveGapMs) return;
    kept.movedAtMs = nowMs;
    this.#ports.moveLink(kept.node);
  }

  #beatsOf(kept: Kept): void {
    const { beatMs, paths } = kept;
    if (beatMs === undefined) return;
    // The side that dialled a path opens its beats: so there is one stream.
    for (const path of paths.values()) if (path.direction === 'outbound') this.#openBeat(kept, path.id);
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs < kept.beatAtMs + beatMs) return;
    kept.beatAtMs = nowMs;
    for (const { stream, beat } of kept.beating.values()) send(stream, beat.beat(this.#ports.ownNat(), nowMs));
  }

  #openBeat(kept: Kept, path: string): void {
    const network = this.#network;
    if (network === undefined || kept.beating.has(path) || kept.opening.has(path)) return;
    kept.opening.add(path);
    network
      .openStream(kept.node, BEAT_PROTOCOL, AbortSignal.timeout(KEEPER.openMsMax), path)
      .then(
        (stream) => this.#beatOver(kept, path, stream),
        // An older node does not know the protocol, or the path is a ghost: it is told by its silence.
        (error: unknown) => this.#ports.onProblem('beats of a path', error),
      )
      .finally(() => kept.opening.delete(path));
  }

  #accept(stream: NetworkStream, from: NodeId, path: string): void {
    const kept = this.#kept.get(from);
    if (kept?.paths.has(path) !== true) return stream.abort(new Error('no such path'));
    kept.beating.get(path)?.stream.abort(new Error('replaced by a newer stream'));
    this.#beatOver(kept, path, stream);
  }

  #beatOver(kept: Kept, path: string, stream: NetworkStream): void {
    const beating: Beating = { stream, beat: new PathBeat() };
    kept.beating.set(path, beating);
    stream.addEventListener('close', () => {
      if (kept.beating.get(path) === beating) kept.beating.delete(path);
    });
    stream.addEventListener('message', ({ data }) => this.#beaten(kept, path, { beating, bytes: data.subarray() }));
    send(stream, beating.beat.beat(this.#ports.ownNat(), this.#ports.clock.nowMs()));
  }

  #beaten(kept: Kept, path: string, came: { readonly beating: Beating; readonly bytes: Uint8Array }): void {
    const { stream, beat } = came.beating;
    const nowMs = this.#ports.clock.nowMs();
    const heard = beat.heard(came.bytes, nowMs);
    if (heard === undefined) return stream.abort(new Error('not a beat'));
    for (const echo of heard.echoes) send(stream, echo);
    if (!kept.paths.has(path)) return;
    if (heard.nat !== undefined && heard.nat !== kept.remoteNat) {
      kept.remoteNat = heard.nat;
      this.#step(kept, { type: 'nats-known', own: this.#ports.ownNat(), remote: heard.nat });
    }
    if (heard.rttMs !== undefined) this.#step(kept, { type: 'rtt-measured', path, rttMs: heard.rttMs });
    this.#step(kept, { type: 'path-heard', path });
    if (nowMs < kept.heardAtMs + KEEPER.heardMs) return;
    kept.heardAtMs = nowMs;
    this.#ports.heard(kept.node);
  }

  #learn(kept: Kept): void {
    const addresses = this.#ports.addressesOf(kept.node).filter((address) => mayLead(kept, address));
    const text = addresses.join();
    if (text === kept.addresses) return;
    kept.addresses = text;
    this.#step(kept, { type: 'addresses-known', addresses });
  }

  /** Ladders on more than one path are looked at often; the rest when they ask for it. */
  #woke(): void {
    const nowMs = this.#ports.clock.nowMs();
    const busy = this.#ports.busy();
    const own = this.#ports.ownNat();
    const isOther = own !== this.#ownNat;
    this.#ownNat = own;
    for (const kept of this.#kept.values()) {
      this.#learn(kept);
      if (isOther) this.#step(kept, { type: 'nats-known', own, remote: kept.remoteNat });
      this.#step(kept, { type: 'busy', busy: busy.has(kept.node) });
      if (kept.wakeAtMs <= nowMs) this.#step(kept, { type: 'woke' });
    }
  }

  #setTimer(): void {
    const { clock } = this.#ports;
    let atMs = Number.POSITIVE_INFINITY;
    for (const kept of this.#kept.values()) {
      atMs = Math.min(atMs, kept.wakeAtMs);
      if (kept.beatMs !== undefined) atMs = Math.min(atMs, kept.beatAtMs + kept.beatMs);
      if (canClimb(kept)) atMs = Math.min(atMs, clock.nowMs() + KEEPER.lookMs);
    }
    if (this.#network === undefined || atMs >= this.#timerForMs) return;
    this.#cancelTimer?.();
    this.#timerForMs = atMs;
    this.#cancelTimer = clock.after(Math.max(1, Math.ceil(atMs - clock.nowMs())), () => {
      this.#timerForMs = Number.POSITIVE_INFINITY;
      this.#woke();
      this.#setTimer();
    });
  }
}

/** Everybody tells of its loopback, which leads there from the same machine only. */
function mayLead({ paths }: Kept, address: string): boolean {
  if (!isLoopback(address)) return true;
  return [...paths.values()].some((path) => isLoopback(path.address));
}

function isLoopback(address: string): boolean {
  return scopeOf(hostOf(address) ?? '') === 'loopback';
}

/** It is on several paths, or on one that may be bettered or lost: what goes on with its node matters. */
function canClimb({ paths }: Kept): boolean {
  if (paths.size > 1) return true;
  for (const { kind } of paths.values()) return kind !== 'lan' && kind !== 'tcp';
  return false;
}

/** A beat that finds no room is not missed: what fills the path says that it lives. */
function send(stream: NetworkStream, bytes: Uint8Array): void {
  if (stream.status === 'open' && !stream.writableNeedsDrain) stream.send(bytes);
}
