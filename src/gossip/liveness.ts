/**
 * Who is alive? A failure detector in two levels. Any byte and any fresh beacon is evidence of life. A monitor that
 * hears nothing for 700 ms pings, after 2.6 s accuses, and accuses at once when a connection closes. Two accusers, or
 * all who can still be reached, make a suspect; fresher evidence of our own vetoes; a higher incarnation refutes. Who
 * hears of a closed connection and has none of its own dials, and bears witness when nobody answers.
 * Suspects get no new work and are dead after 12 s. A stall of this process is its own fault: its clock stands still
 * meanwhile and it accuses nobody for a while. Members that nobody here watches live by their beacons' age.
 * Limits: crash faults; two lying accusers can make a member suspect until its next byte, and a single one, once, where
 * the member can be dialled by nobody. Source: docs/PROTOCOL.md.
 */
import type { NodeId } from '../ids.ts';
import { LIVENESS } from '../params.ts';
import { AwakeClock } from './awake-clock.ts';
import { Deadlines } from './deadlines.ts';
import { Roster } from './roster.ts';
import {
  type Accusation,
  addAccusation,
  deadAtMs,
  dropContradicted,
  evidenceMs,
  isFresh,
  isHalfOpen,
  isMute,
  isPingDue,
  nextLookMs,
  NO_ACCUSATIONS,
  ownCause,
  staleAfterMs,
  standsUntilMs,
  type Track,
} from './track.ts';

export type LivenessEvent =
  | { readonly type: 'heartbeat'; readonly to: readonly NodeId[] }
  | { readonly type: 'ping'; readonly to: NodeId }
  | {
      readonly type: 'accuse';
      readonly target: NodeId;
      readonly targetIncarnation: number;
      readonly cause: 'closed' | 'silent';
      readonly evidenceAgeMs: number;
    }
  /** Somebody saw its connection close, and we have none to tell by: dial it. */
  | { readonly type: 'probe'; readonly node: NodeId }
  | { readonly type: 'verdict'; readonly node: NodeId; readonly verdict: Verdict; readonly reason: string }
  | { readonly type: 'close'; readonly node: NodeId; readonly reason: string };

export type Verdict = 'alive' | 'suspect' | 'dead';

export interface HeardAccusation {
  readonly accuser: NodeId;
  readonly incarnation: number;
  readonly sequence: number;
  readonly target: NodeId;
  readonly targetIncarnation: number;
  readonly cause: 'closed' | 'silent';
  readonly ageMs: number;
}

export interface NodeStatus {
  readonly verdict: 'alive' | 'suspect';
  readonly connected: boolean;
  /** Running mean of the round trip; undefined until the first pong. */
  readonly rttMs: number | undefined;
}

export class Liveness {
  readonly #self: NodeId;
  readonly #roster: Roster;
  readonly #clock = new AwakeClock();
  readonly #deadlines = new Deadlines<Track>();
  #events: LivenessEvent[] = [];
  #heartbeatAtMs: number;

  constructor(self: NodeId, nowMs: number) {
    this.#self = self;
    this.#roster = new Roster(self);
    this.#heartbeatAtMs = nowMs;
  }

  /** Before anything else of a step: was this process itself away? */
  begin(nowMs: number): 'on-time' | 'stalled' | 'slept' {
    return this.#clock.begin(nowMs);
  }

  /** The end of a step: when the process said it wants to run again. */
  expect(wakeAtMs: number): void {
    this.#clock.expect(wakeAtMs);
  }

  /** A new connection proved its membership: nobody's older accusation holds against that. */
  connected(node: NodeId, nowMs: number): void {
    const track = this.#roster.obtain(node);
    this.#roster.setConnected(track, true);
    track.closing = false;
    track.probe = 'unused';
    track.closedAtMs = undefined;
    track.directAtMs = this.#clock.at(nowMs);
    track.accusations = NO_ACCUSATIONS;
    if (track.verdict === 'suspect') this.#revive(track, 'connected again');
    this.#look(track, nowMs);
  }

  disconnected(node: NodeId, nowMs: number): void {
    const track = this.#roster.get(node);
    if (track === undefined || !track.connected) return;
    this.#roster.setConnected(track, false);
    track.watching = false;
    track.pingedAtMs = -Infinity;
    // One that we closed because it carried nothing says nothing about the member.
    if (!track.closing) track.closedAtMs = this.#clock.at(nowMs);
    if (track.incarnation === 0) this.#depart(track);
    else this.#look(track, nowMs);
  }

  heard(node: NodeId, nowMs: number): void {
    const track = this.#roster.get(node);
    if (track !== undefined && this.#note(track, nowMs)) this.#look(track, nowMs);
  }

  /** As `heard`, where that decides nothing; false and nothing done where it may. Only while nothing is due. */
  heardQuietly(node: NodeId, nowMs: number): boolean {
    const track = this.#roster.get(node);
    if (track === undefined) return true;
    if (isDoubted(track)) return false;
    this.#note(track, nowMs);
    return true;
  }

  pong(node: NodeId, rttMs: number, nowMs: number): void {
    const track = this.#roster.get(node);
    if (track === undefined) return;
    track.rttMs = track.rttMs === undefined ? rttMs : (7 * track.rttMs + rttMs) / 8;
    this.heard(node, nowMs);
  }

  /** A beacon of a member entered the view. */
  beacon(
    beacon: {
      readonly node: NodeId;
      readonly incarnation: number;
      readonly ageMs: number;
      readonly intervalMs: number;
    },
    nowMs: number,
  ): void {
    const track = this.#roster.obtain(beacon.node);
    if (beacon.incarnation > track.incarnation) this.#incarnate(track, beacon.incarnation);
    track.beaconAtMs = Math.max(track.beaconAtMs, this.#clock.at(nowMs) - beacon.ageMs);
    track.staleAfterMs = staleAfterMs(beacon.intervalMs);
    this.#look(track, nowMs);
  }

  /** Another one's accusation. False when it says nothing new about the member as it is now. */
  accused(heard: HeardAccusation, nowMs: number): boolean {
    const track = this.#roster.get(heard.target);
    if (track === undefined || track.incarnation !== heard.targetIncarnation) return false;
    if (heard.accuser === heard.target || heard.accuser === this.#self) return false;
    const known = track.accusations.get(heard.accuser);
    if (known !== undefined && compareOrder(heard, known) <= 0) return false;
    const atMs = this.#clock.at(nowMs) - heard.ageMs;
    const { cause, incarnation, sequence } = heard;
    addAccusation(track, heard.accuser, { cause, atMs, incarnation, sequence });
    this.#look(track, nowMs);
    this.#wishProbe(track, heard.accuser);
    return true;
  }

  /** A dial came to nothing: the second witness of a closed connection, if that is what it was for and no word came since. */
  unreachable(node: NodeId, nowMs: number): void {
    const track = this.#roster.get(node);
    if (track?.probe !== 'running') return;
    track.probe = 'failed';
    dropContradicted(track);
    if (track.connected || ![...track.accusations.values()].some(({ cause }) => cause === 'closed')) return;
    track.closedAtMs = this.#clock.at(nowMs);
    this.#look(track, nowMs);
  }

  /** The member left, was displaced or was buried: an open connection to it stays known. */
  depart(node: NodeId): void {
    const track = this.#roster.get(node);
    if (track !== undefined && track.incarnation > 0) this.#depart(track);
  }

  /** Does what time alone asks for. */
  check(nowMs: number): void {
    const clockMs = this.#clock.at(nowMs);
    for (let track = this.#deadlines.due(clockMs); track !== undefined; track = this.#deadlines.due(clockMs)) {
      this.#look(track, nowMs);
      // A look asks for a later one, unless the member died of it.
      if (track.dueMs <= clockMs) this.#deadlines.delete(track);
    }
    if (clockMs < this.#heartbeatAtMs || this.#roster.connected === 0) return;
    this.#heartbeatAtMs = clockMs + LIVENESS.heartbeatIntervalMs;
    this.#events.push({ type: 'heartbeat', to: this.#roster.heartbeatReceivers() });
  }

  /** What has to be done, in the order in which it came up; empties the list. */
  drain(): readonly LivenessEvent[] {
    const events = this.#events;
    if (events.length === 0) return NO_EVENTS;
    this.#events = [];
    return events;
  }

  nextMs(): number {
    const heartbeatMs = this.#roster.connected > 0 ? this.#heartbeatAtMs : Infinity;
    return this.#clock.outside(Math.min(heartbeatMs, this.#deadlines.nextMs()));
  }

  status(node: NodeId): NodeStatus | undefined {
    return this.#roster.get(node);
  }

  suspects(): NodeId[] {
    return this.#roster.suspects();
  }

  /** Everybody with a connection, members or not, sorted. */
  connections(): readonly NodeId[] {
    return this.#roster.connections();
  }

  /** The members that watch this node: those it should stay connected to. */
  monitors(): NodeId[] {
    return this.#roster.monitors();
  }

  /** Says whether that may decide something now. Deadlines that it moves are found to be moved when they come. */
  #note(track: Track, nowMs: number): boolean {
    track.directAtMs = this.#clock.at(nowMs);
    return isDoubted(track);
  }

  #depart(track: Track): void {
    if (this.#roster.depart(track)) this.#deadlines.delete(track);
  }

  #incarnate(track: Track, incarnation: number): void {
    const joined = track.incarnation === 0;
    this.#roster.setIncarnation(track, incarnation);
    track.closedAtMs = undefined;
    track.accusations = NO_ACCUSATIONS;
    if (joined) this.#events.push({ type: 'verdict', node: track.node, verdict: 'alive', reason: 'joined' });
    else if (track.verdict === 'suspect') this.#revive(track, 'refuted');
  }

  /** One member, now: 1 evidence clears, 2 suspects die, 3 own accusation, 4 suspicion, 5 pings and half-open links. */
  #look(track: Track, nowMs: number): void {
    const clockMs = this.#clock.at(nowMs);
    dropContradicted(track);
    if (track.verdict === 'suspect') {
      this.#extendSuspicion(track);
      if (evidenceMs(track) > track.clearAfterMs && isFresh(track, clockMs)) this.#revive(track, 'heard again');
      else if (clockMs >= deadAtMs(track)) return this.#die(track);
    }
    this.#updateDuty(track, clockMs);
    if (track.verdict === 'alive' && track.incarnation > 0) {
      this.#accuse(track, clockMs);
      const reason = this.#suspicionReason(track, clockMs);
      if (reason !== undefined) this.#suspect(track, reason, clockMs);
    }
    this.#tend(track, clockMs);
    const accused = track.accusations.has(this.#self);
    const nextMs = nextLookMs(track, { accused, graceUntilMs: this.#clock.graceUntilMs, clockMs });
    // Strictly later, so that a look at one moment cannot ask for another look at the same moment.
    this.#deadlines.set(track, Math.max(nextMs, clockMs + 1));
  }

  /** Only where it is our duty to know, so that one accusation does not make everybody dial. */
  #wishProbe(track: Track, accuser: NodeId): void {
    if (track.connected || track.probe !== 'unused' || track.verdict === 'suspect') return;
    if (track.accusations.get(accuser)?.cause !== 'closed' || track.accusations.has(this.#self)) return;
    if (!this.#roster.isCredible(accuser) || !this.#roster.isMonitor(track)) return;
    track.probe = 'running';
    this.#events.push({ type: 'probe', node: track.node });
  }

  #accuse(track: Track, clockMs: number): void {
    if (clockMs < this.#clock.graceUntilMs || track.accusations.has(this.#self)) return;
    const cause = ownCause(track, clockMs);
    if (cause === undefined) return;
    const atMs = cause === 'closed' ? (track.closedAtMs ?? clockMs) : clockMs;
    addAccusation(track, this.#self, { cause, atMs, incarnation: 0, sequence: 0 });
    if (!this.#roster.isMonitor(track)) return;
    this.#events.push({
      type: 'accuse',
      target: track.node,
      targetIncarnation: track.incarnation,
      cause,
      evidenceAgeMs: Math.round(clockMs - evidenceMs(track)),
    });
  }

  /** 1 enough saw it close, 2 enough heard nothing and neither did we, 3 no sign of it by any way. */
  #suspicionReason(track: Track, clockMs: number): string | undefined {
    const silentMs = clockMs - evidenceMs(track);
    if (!isFresh(track, clockMs) && clockMs >= this.#clock.graceUntilMs) return 'no fresh beacon';
    if (track.accusations.size === 0) return undefined;
    const accusations = [...track.accusations]
      .filter(([accuser]) => this.#roster.isCredible(accuser))
      .map(([, said]) => said);
    const needed = this.#roster.accusersNeeded(track, clockMs);
    if (accusations.filter(({ cause }) => cause === 'closed').length >= needed) return 'connections closed';
    return silentMs >= LIVENESS.suspectAfterMs && accusations.length >= needed ? 'silent' : undefined;
  }

  #suspect(track: Track, reason: string, clockMs: number): void {
    this.#roster.setVerdict(track, 'suspect');
    track.suspectAtMs = clockMs;
    track.clearAfterMs = evidenceMs(track);
    this.#extendSuspicion(track);
    this.#events.push({ type: 'verdict', node: track.node, verdict: 'suspect', reason });
  }

  #extendSuspicion(track: Track): void {
    for (const [accuser, accusation] of track.accusations)
      if (this.#roster.isCredible(accuser))
        track.clearAfterMs = Math.max(track.clearAfterMs, standsUntilMs(accusation));
  }

  #revive(track: Track, reason: string): void {
    this.#roster.setVerdict(track, 'alive');
    track.accusations = NO_ACCUSATIONS;
    this.#events.push({ type: 'verdict', node: track.node, verdict: 'alive', reason });
  }

  #die(track: Track): void {
    const { node, connected } = track;
    this.#events.push({ type: 'verdict', node, verdict: 'dead', reason: 'suspect for too long' });
    if (connected) this.#events.push({ type: 'close', node, reason: 'the member is dead' });
    this.#depart(track);
  }

  #updateDuty(track: Track, clockMs: number): void {
    const watching = track.connected && track.incarnation > 0 && this.#roster.isMonitor(track);
    if (watching && !track.watching) track.watchingSinceMs = clockMs;
    track.watching = watching;
  }

  #tend(track: Track, clockMs: number): void {
    if (isPingDue(track, clockMs)) {
      track.pingedAtMs = clockMs;
      this.#events.push({ type: 'ping', to: track.node });
    }
    if (!isHalfOpen(track, clockMs) && !(isMute(track, clockMs) && this.#roster.hearsNobody(clockMs))) return;
    track.closing = true;
    this.#events.push({ type: 'close', node: track.node, reason: 'nothing came over this connection' });
  }
}

const NO_EVENTS: readonly LivenessEvent[] = [];

function isDoubted(track: Track): boolean {
  return track.verdict === 'suspect' || track.accusations.size > 0;
}

function compareOrder(left: Omit<Accusation, 'cause' | 'atMs'>, right: Omit<Accusation, 'cause' | 'atMs'>): number {
  return left.incarnation === right.incarnation ? left.sequence - right.sequence : left.incarnation - right.incarnation;
}
