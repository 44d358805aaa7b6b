/**
 * Everybody the failure detector keeps track of, and the questions that need all of them: who has to watch whom, who
 * gets heartbeats, how many accusers are enough. Answers that cost a walk over all members are kept until somebody
 * comes, goes or changes. Bounded by the view (members) and by the network (connections).
 */
import { hash64, utf8 } from '../bytes.ts';
import { compareIds, type NodeId } from '../ids.ts';
import { LIVENESS } from '../params.ts';
import { deadlineOf } from './deadlines.ts';
import { allWatchAll, isMonitorOf, monitorsOf, type Ranked } from './monitors.ts';
import { isReachable, newTrack, type Track } from './track.ts';

export class Roster {
  readonly #self: Ranked;
  readonly #tracks = new Map<NodeId, Track>();
  readonly #suspects = new Set<Track>();
  #receivers = { version: -1, everybody: false, to: noNodes() };
  #connections: { readonly version: number; readonly nodes: readonly NodeId[] } = { version: -1, nodes: [] };
  /** Of who is connected, and of who is a member that can bear witness. */
  #connectionsVersion = 0;
  #version = 0;
  #members = 0;
  #connected = 0;

  constructor(self: NodeId) {
    this.#self = { node: self, hash: hash64(utf8(self)) };
  }

  get connected(): number {
    return this.#connected;
  }

  get(node: NodeId): Track | undefined {
    return this.#tracks.get(node);
  }

  obtain(node: NodeId): Track {
    const known = this.#tracks.get(node);
    if (known !== undefined) return known;
    const track = newTrack(node);
    this.#tracks.set(node, track);
    return track;
  }

  setConnected(track: Track, connected: boolean): void {
    if (track.connected === connected) return;
    this.#connected += connected ? 1 : -1;
    track.connected = connected;
    this.#connectionsVersion += 1;
  }

  setIncarnation(track: Track, incarnation: number): void {
    if (track.incarnation === 0) {
      this.#members += 1;
      this.#version += 1;
    }
    track.incarnation = incarnation;
  }

  setVerdict(track: Track, verdict: Track['verdict']): void {
    track.verdict = verdict;
    if (verdict === 'suspect') this.#suspects.add(track);
    else this.#suspects.delete(track);
    this.#version += 1;
  }

  /** No member any more: forgotten, or kept as a mere connection. Says whether it was forgotten. */
  depart(track: Track): boolean {
    if (track.incarnation > 0) {
      this.#members -= 1;
      this.#version += 1;
    }
    this.#suspects.delete(track);
    const { node, connected, directAtMs, pingedAtMs, rttMs } = track;
    const kept = { connected, directAtMs, pingedAtMs, rttMs, ...deadlineOf(track) };
    if (connected) Object.assign(track, newTrack(node), kept);
    else this.#tracks.delete(node);
    return !connected;
  }

  /** Everybody with a connection, members or not, sorted. */
  connections(): readonly NodeId[] {
    if (this.#connections.version !== this.#connectionsVersion) {
      const nodes = this.#connectedTracks().map(({ node }) => node);
      this.#connections = { version: this.#connectionsVersion, nodes: nodes.toSorted(compareIds) };
    }
    return this.#connections.nodes;
  }

  /** In the order in which they came under suspicion. */
  suspects(): NodeId[] {
    return [...this.#suspects].map(({ node }) => node);
  }

  /** The members that watch this node. */
  monitors(): NodeId[] {
    return monitorsOf(this.#self, this.#watchers());
  }

  /** Whether it is this node's duty to watch that one. */
  isMonitor(track: Track): boolean {
    if (allWatchAll(this.#members + 1)) return true;
    if (track.dutyVersion !== this.#version) {
      track.isDuty = isMonitorOf(track, this.#self, this.#watchers());
      track.dutyVersion = this.#version;
    }
    return track.isDuty;
  }

  /** Who gets heartbeats: our monitors, and in place of those without a connection the next in the order. */
  heartbeatReceivers(): readonly NodeId[] {
    const everybody = allWatchAll(this.#members + 1);
    const version = this.#connectionsVersion;
    if (this.#receivers.version === version && this.#receivers.everybody === everybody) return this.#receivers.to;
    const to = everybody ? this.connections() : monitorsOf(this.#self, this.#connectedTracks());
    this.#receivers = { version, everybody, to };
    return to;
  }

  isCredible(accuser: NodeId): boolean {
    const track = this.#tracks.get(accuser);
    return accuser === this.#self.node || (track !== undefined && track.incarnation > 0 && track.verdict === 'alive');
  }

  /** None of several connections carries anything: this node's own line is what broke. */
  hearsNobody(clockMs: number): boolean {
    if (this.#connected < 2) return false;
    for (const { connected, directAtMs } of this.#tracks.values())
      if (connected && clockMs - directAtMs < LIVENESS.suspectAfterMs) return false;
    return true;
  }

  /** Two, or as many as there are left to ask: this node and whoever else can be reached. */
  accusersNeeded(target: Track, clockMs: number): number {
    let witnesses = 1;
    for (const track of this.#tracks.values()) {
      if (witnesses >= LIVENESS.accusersMin) break;
      if (track !== target && isReachable(track, clockMs)) witnesses += 1;
    }
    return Math.min(LIVENESS.accusersMin, witnesses);
  }

  #connectedTracks(): Track[] {
    return [...this.#tracks.values()].filter(({ connected }) => connected);
  }

  *#watchers(): Generator<Track> {
    for (const track of this.#tracks.values()) if (track.incarnation > 0 && track.verdict === 'alive') yield track;
  }
}

function noNodes(): readonly NodeId[] {
  return [];
}
