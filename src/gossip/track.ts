/**
 * What the failure detector knows about one node, and the plain questions about it: what is the newest sign of life,
 * which accusations still stand against it, when must it be looked at again? All times are of the detector's own
 * clock, which stands still while this process was stalled.
 */
import { type Hash64, hash64, utf8 } from '../bytes.ts';
import type { NodeId } from '../ids.ts';
import { LIVENESS } from '../params.ts';
import { type Deadline, NOWHERE } from './deadlines.ts';

/** Evidence that reaches us this much after a connection was seen to close may still have been under way.
 *  Source: guess: a slow half round trip between two continents. */
const CLOSED_SLACK_MS = 250;
/** Beacons missed, and room for jitter and gossip, before a member that nobody here watches is suspect. Source: guess. */
const STALE_BEACONS_TENTHS = 45;
/** Silence of a connection alone, while its member is heard elsewhere. Source: computed: twice the silence that makes a
 *  suspect, so that a burst of losses is over, and well before a request has tried three such connections. */
const HALF_OPEN_MS = 2 * LIVENESS.suspectAfterMs;
/** Between two pings that only measure the round trip. Source: guess. */
const RTT_PING_INTERVAL_MS = 10_000;
/** Between two counts of the accusers while an accusation stands: an accuser may die too. Source: guess. */
const RECOUNT_MS = 250;

export interface Accusation {
  readonly cause: 'closed' | 'silent';
  /** When it was made. */
  readonly atMs: number;
  readonly incarnation: number;
  readonly sequence: number;
}

/** Its deadline is when it is looked at next. */
export interface Track extends Deadline {
  readonly node: NodeId;
  readonly hash: Hash64;
  /** 0 = connected, but no member (yet, or any more). */
  incarnation: number;
  connected: boolean;
  /** When the last byte came from it, and when its newest beacon was made. */
  directAtMs: number;
  beaconAtMs: number;
  /** Silence by every way after which it is suspect without any accuser. */
  staleAfterMs: number;
  watching: boolean;
  /** Whether it is this node's duty to watch it, as of that version of the roster. */
  isDuty: boolean;
  dutyVersion: number;
  watchingSinceMs: number;
  pingedAtMs: number;
  rttMs: number | undefined;
  /** When its connection closed, or a probe found nobody there. */
  closedAtMs: number | undefined;
  closing: boolean;
  /** One failed probe counts until the next connection: a member that cannot be dialled from here is not dead each time. */
  probe: 'unused' | 'running' | 'failed';
  verdict: 'alive' | 'suspect';
  suspectAtMs: number;
  /** Only evidence newer than this clears the suspicion. */
  clearAfterMs: number;
  /** Hardly ever any: a map is made for the first. */
  accusations: ReadonlyMap<NodeId, Accusation>;
}

export const NO_ACCUSATIONS: ReadonlyMap<NodeId, Accusation> = new Map();

export function newTrack(node: NodeId): Track {
  return {
    node,
    hash: hash64(utf8(node)),
    incarnation: 0,
    connected: false,
    directAtMs: -Infinity,
    beaconAtMs: -Infinity,
    staleAfterMs: Infinity,
    watching: false,
    isDuty: false,
    dutyVersion: -1,
    watchingSinceMs: 0,
    pingedAtMs: -Infinity,
    rttMs: undefined,
    closedAtMs: undefined,
    closing: false,
    probe: 'unused',
    verdict: 'alive',
    suspectAtMs: 0,
    clearAfterMs: 0,
    accusations: NO_ACCUSATIONS,
    heapIndex: NOWHERE,
    heapAtMs: 0,
    heapOrder: 0,
    dueMs: 0,
    dueOrder: 0,
  };
}

/** Replaces what the same accuser said before. */
export function addAccusation(track: Track, accuser: NodeId, accusation: Accusation): void {
  track.accusations = new Map(track.accusations).set(accuser, accusation);
}

export function evidenceMs(track: Track): number {
  return Math.max(track.directAtMs, track.beaconAtMs);
}

export function staleAfterMs(beaconIntervalMs: number): number {
  return Math.ceil((beaconIntervalMs * STALE_BEACONS_TENTHS) / 10);
}

/** Somebody heard it lately. What waited on a way that was cut tells of a past that proves nothing about now. */
export function isFresh(track: Track, clockMs: number): boolean {
  return clockMs - evidenceMs(track) < track.staleAfterMs;
}

/** When a suspect is dead: nothing for so long, not even something old that came late. */
export function deadAtMs(track: Track): number {
  return Math.max(track.suspectAtMs, evidenceMs(track)) + LIVENESS.deadAfterMs;
}

/** Until when evidence would not contradict an accusation. */
export function standsUntilMs(accusation: Pick<Accusation, 'cause' | 'atMs'>): number {
  return accusation.cause === 'closed' ? accusation.atMs + CLOSED_SLACK_MS : accusation.atMs;
}

/** Fresher evidence vetoes: what the member's own bytes contradict is dropped. */
export function dropContradicted(track: Track): void {
  if (track.accusations.size === 0) return;
  const evidence = evidenceMs(track);
  const standing = [...track.accusations].filter(([, accusation]) => evidence <= standsUntilMs(accusation));
  track.accusations = standing.length === 0 ? NO_ACCUSATIONS : new Map(standing);
}

/** What this node itself has to say against the member now, if anything. */
export function ownCause(track: Track, clockMs: number): 'closed' | 'silent' | undefined {
  const evidence = evidenceMs(track);
  if (track.closedAtMs !== undefined && evidence <= standsUntilMs({ cause: 'closed', atMs: track.closedAtMs }))
    return 'closed';
  const since = Math.max(evidence, track.watchingSinceMs);
  return track.connected && track.watching && clockMs - since >= LIVENESS.suspectAfterMs ? 'silent' : undefined;
}

/** Whether a member could bear witness about others: it is there, as far as this node can tell. */
export function isReachable(track: Track, clockMs: number): boolean {
  const limitMs = track.watching ? LIVENESS.suspectAfterMs : track.staleAfterMs;
  return track.incarnation > 0 && track.verdict === 'alive' && clockMs - evidenceMs(track) < limitMs;
}

/** A ping is due: to wake a silent member that we watch, or once in a while to measure the round trip. */
export function isPingDue(track: Track, clockMs: number): boolean {
  return track.connected && clockMs >= nextPingMs(track);
}

/** The connection carries nothing although it was pinged all the time: it is half open. */
export function isHalfOpen(track: Track, clockMs: number): boolean {
  return track.connected && track.watching && !track.closing && clockMs >= halfOpenMs(track);
}

/** The connection has carried nothing for long, whoever is to blame. */
export function isMute(track: Track, clockMs: number): boolean {
  return track.connected && track.watching && !track.closing && clockMs >= carriedMs(track) + HALF_OPEN_MS;
}

/** The next moment at which anything about this member can change by time alone. */
export function nextLookMs(track: Track, own: { accused: boolean; graceUntilMs: number; clockMs: number }): number {
  let nextMs = track.connected ? nextPingMs(track) : Infinity;
  if (track.connected && track.watching && !track.closing) nextMs = Math.min(nextMs, halfOpenMs(track));
  if (track.verdict === 'suspect') return Math.min(nextMs, deadAtMs(track));
  if (track.incarnation === 0) return nextMs;
  const evidence = evidenceMs(track);
  const silent = Math.max(evidence, track.watchingSinceMs) + LIVENESS.suspectAfterMs;
  nextMs = Math.min(nextMs, Math.max(own.graceUntilMs, evidence + track.staleAfterMs));
  if (track.watching && !own.accused) nextMs = Math.min(nextMs, Math.max(own.graceUntilMs, silent));
  if (track.closedAtMs !== undefined && own.graceUntilMs > own.clockMs) nextMs = Math.min(nextMs, own.graceUntilMs);
  return track.accusations.size > 0 ? Math.min(nextMs, own.clockMs + RECOUNT_MS) : nextMs;
}

function nextPingMs(track: Track): number {
  const rttMs = track.pingedAtMs + RTT_PING_INTERVAL_MS;
  if (!track.watching) return rttMs;
  const silentMs = Math.max(track.directAtMs + LIVENESS.pingAfterMs, track.pingedAtMs + LIVENESS.pingIntervalMs);
  return Math.min(rttMs, silentMs);
}

function carriedMs({ directAtMs, watchingSinceMs }: Track): number {
  return Math.max(directAtMs, watchingSinceMs);
}

/** A member that is heard by other ways, well after the last byte of this one, is not what is silent: the connection is. */
function halfOpenMs(track: Track): number {
  const sinceMs = carriedMs(track);
  const speaksElsewhere = track.beaconAtMs >= sinceMs + LIVENESS.suspectAfterMs;
  return sinceMs + (speaksElsewhere ? HALF_OPEN_MS : LIVENESS.deadAfterMs);
}
