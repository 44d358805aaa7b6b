/**
 * Over which of several paths do we talk to one node, which better one do we try to get, and which do we give up? One ladder for
 * each node, climbed from whatever path came first: LAN, public TCP, WebRTC, relayed; the order of `PATH_KINDS`. Rules:
 * 1. A path that falls silent is left at once for one that is heard; where all are silent nothing is known, and nothing
 *    moves. 2. A better kind takes over when it is believed and steady, an equal one only if it is much quicker, so that
 *    nothing flaps. 3. The side with the smaller id tries better kinds, the other only long after. 4. While requests run over
 *    WebRTC a relayed path is kept beside it; what is surplus goes, closed by the smaller id only, so that the two
 *    sides do not close each other's last path. Nothing is dialled where there is no path at all: that is the address book's.
 * 5. When an address of ours is gone, punched holes go with it, and a TCP way in use is dialled anew.
 * Limits: `pathsMax` paths; dials as in `upgrade-attempts.ts`.
 */
import { LIVENESS } from '../params.ts';
import type { Prng } from '../prng.ts';
import type { NatMemory, NatPair } from './nat-memory.ts';
import { type PathFacts, PathHealth } from './path-health.ts';
import { byWorth, isBetter, isWebrtc } from './path-worth.ts';
import { type PathKind, pathKindOf, pathRank, PATH_KINDS } from './transports.ts';
import { UpgradeAttempts } from './upgrade-attempts.ts';

export const LADDER = {
  /** Source: guess: one of each family, a relayed one, and one that is on its way in or out. */
  pathsMax: 4,
  /** Beats on each path, while there are several, with requests under way and without. Source: as a heartbeat; guess. */
  beatMs: LIVENESS.heartbeatIntervalMs,
  idleBeatMs: 4 * LIVENESS.heartbeatIntervalMs,
  /** After another path was opened, beats come as with requests: it was opened for a reason, such as a machine that moved, and
   *  then the old one is dead. Source: ours: twice the silence that tells. */
  hurryMs: 6 * LIVENESS.heartbeatIntervalMs,
  /** WebRTC that was not heard by then is none. Source: measured: 88 ms where ICE can. */
  believeMs: 5_000,
  /** A path that is silent beside one that is heard is closed. Source: as the mesh does: twice the silence of a suspect. */
  deadMs: 2 * LIVENESS.suspectAfterMs,
  /** The larger id begins to try by itself: what keeps the smaller from it may be missing on this side only. Source: within
   *  the 5 s that an upgrade may take, after two tries of the other side. */
  otherSideMs: 3_000,
  /** Surplus is kept so long. Source: guess: what was just opened may be what the other side moves to. */
  surplusMs: 10_000,
  /** Without requests a relayed standby is kept so long. Source: guess: the pause between two questions. */
  standbyMs: 60_000,
} as const;

export type LadderInput =
  | { readonly type: 'path-opened'; readonly path: PathFacts }
  | { readonly type: 'path-closed'; readonly path: string }
  | { readonly type: 'path-heard'; readonly path: string }
  | { readonly type: 'rtt-measured'; readonly path: string; readonly rttMs: number }
  | { readonly type: 'dial-ended'; readonly kind: PathKind; readonly reached: boolean }
  /** All that are known of the node, best first. */
  | { readonly type: 'addresses-known'; readonly addresses: readonly string[] }
  | ({ readonly type: 'nats-known' } & NatPair)
  /** This machine's addresses changed; `isAddressGone`: one that connections may have is not there any more. */
  | { readonly type: 'network-changed'; readonly isAddressGone: boolean }
  /** Requests run between the two, or none does any more. */
  | { readonly type: 'busy'; readonly busy: boolean }
  | { readonly type: 'woke' };

export interface PathDial {
  readonly kind: PathKind;
  readonly addresses: readonly string[];
  /** Although there is a path already. */
  readonly force: true;
}

export interface LadderOutput {
  readonly dials: readonly PathDial[];
  /** For the link; undefined while there is none that is believed. */
  readonly preferred: string | undefined;
  readonly closes: readonly { readonly path: string; readonly reason: string }[];
  /** How often to beat on each path; undefined: one path needs none. */
  readonly beatMs: number | undefined;
  readonly wakeAtMs: number;
}

export interface LadderSetup {
  /** Our id is the smaller one. */
  readonly isSmaller: boolean;
  readonly prng: Prng;
  /** Shared by the ladders of all nodes. */
  readonly natMemory: NatMemory;
}

const NEVER = Number.POSITIVE_INFINITY;

export class PathLadder {
  readonly #setup: LadderSetup;
  readonly #attempts: UpgradeAttempts;
  readonly #paths = new Map<string, PathHealth>();
  #addresses: readonly string[] = [];
  #nats: NatPair = { own: 'unknown', remote: 'unknown' };
  #busy = false;
  #hurriedUntilMs = Number.NEGATIVE_INFINITY;
  #isHurried = false;
  /** An address of ours went, and nothing was opened since: what is open may be dead, and no packet will say so. */
  #isShaken = false;
  #shouldRenew = false;
  /** Paths of that address, until they are closed. */
  #gone: string[] = [];
  #busyChangedAtMs: number;
  /** Since when the preferred kind is what it is. */
  #restingSinceMs: number;
  #preferred: string | undefined;
  #wakeAtMs = NEVER;

  constructor(setup: LadderSetup, nowMs: number) {
    this.#setup = setup;
    this.#attempts = new UpgradeAttempts(setup.prng);
    this.#busyChangedAtMs = nowMs;
    this.#restingSinceMs = nowMs;
  }

  get isEmpty(): boolean {
    return this.#paths.size === 0;
  }

  get #beatMs(): number {
    return this.#busy || this.#isHurried ? LADDER.beatMs : LADDER.idleBeatMs;
  }

  step(input: LadderInput, nowMs: number): LadderOutput {
    this.#forgiveOwnStall(nowMs);
    this.#take(input, nowMs);
    this.#isHurried = nowMs < this.#hurriedUntilMs;
    this.#choose(nowMs);
    const closes = this.#closes(nowMs);
    this.#wakeAtMs = NEVER;
    const dials = this.#dials(nowMs);
    for (const atMs of this.#moments()) if (atMs > nowMs) this.#wakeBy(atMs);
    const needsBeats = this.#paths.size > 1 || [...this.#paths.values()].some(({ isBelieved }) => !isBelieved);
    const beatMs = needsBeats ? this.#beatMs : undefined;
    return { dials, preferred: this.#preferred, closes, beatMs, wakeAtMs: this.#wakeAtMs };
  }

  #take(input: LadderInput, nowMs: number): void {
    switch (input.type) {
      case 'path-opened':
        // With one path nobody beats: its silence counts from now.
        for (const path of this.#paths.values()) path.forgive(nowMs);
        if (this.#paths.size > 0) this.#hurriedUntilMs = nowMs + LADDER.hurryMs;
        this.#paths.set(input.path.id, new PathHealth(input.path, nowMs));
        this.#isShaken = false;
        this.#shouldRenew = false;
        return;
      case 'path-closed':
        return this.#closed(input.path, nowMs);
      case 'path-heard':
        return this.#heard(input.path, nowMs);
      case 'rtt-measured':
        this.#paths.get(input.path)?.measured(input.rttMs);
        return;
      case 'dial-ended':
        if (input.reached) this.#attempts.reached(input.kind);
        else this.#dialFailed(input.kind, nowMs);
        return;
      case 'addresses-known':
        return this.#learn(input.addresses);
      case 'nats-known':
        this.#nats = { own: input.own, remote: input.remote };
        return;
      case 'network-changed':
        if (input.isAddressGone) this.#addressGone(nowMs);
        this.#attempts.renewAll(nowMs);
        this.#shouldRenew = this.#isShaken;
        return;
      case 'busy':
        if (this.#busy === input.busy) return;
        this.#busy = input.busy;
        this.#busyChangedAtMs = nowMs;
        // Beats come more often from here on; those that were not sent are not missed.
        for (const path of this.#paths.values()) path.forgive(nowMs);
        return;
      case 'woke':
        return;
    }
  }

  /** A punched hole belongs to an address; what came over TCP is dialled anew before it is given up. */
  #addressGone(nowMs: number): void {
    this.#isShaken = true;
    for (const { facts } of [...this.#paths.values()].filter((path) => isWebrtc(path.facts.kind))) {
      this.#closed(facts.id, nowMs);
      this.#gone.push(facts.id);
    }
  }

  /** Who was not woken in time may not have read what came meanwhile. */
  #forgiveOwnStall(nowMs: number): void {
    if (nowMs - this.#wakeAtMs <= LIVENESS.ownStallMs) return;
    for (const path of this.#paths.values()) path.forgive(nowMs);
  }

  #heard(id: string, nowMs: number): void {
    const path = this.#paths.get(id);
    if (path === undefined) return;
    if (!path.isBelieved && path.facts.kind === 'webrtc') this.#setup.natMemory.succeeded(this.#nats);
    path.heard(nowMs);
  }

  #closed(id: string, nowMs: number): void {
    const path = this.#paths.get(id);
    if (path === undefined) return;
    this.#paths.delete(id);
    this.#attempts.ended(path.facts.kind, nowMs - path.openedAtMs, nowMs);
    // The last one had no beats before another came: it starts afresh.
    if (this.#paths.size === 1) for (const last of this.#paths.values()) last.forgive(nowMs);
  }

  #dialFailed(kind: PathKind, nowMs: number): void {
    this.#attempts.failed(kind, nowMs);
    if (kind === 'webrtc') this.#setup.natMemory.failed(this.#nats, nowMs);
  }

  #learn(addresses: readonly string[]): void {
    const known = new Set(this.#addresses);
    for (const address of addresses) {
      if (known.has(address)) continue;
      const kind = pathKindOf(address);
      this.#attempts.renew(kind);
      if (kind === 'relayed') this.#attempts.renew('webrtc');
    }
    this.#addresses = addresses;
  }

  /** Rules 1 and 2. */
  #choose(nowMs: number): void {
    const believed = [...this.#paths.values()].filter(({ isBelieved }) => isBelieved);
    const heard = believed.filter((path) => !this.#isSilent(path, nowMs));
    const candidates = (heard.length > 0 ? heard : believed).toSorted(byWorth);
    const current = candidates.find(({ facts }) => facts.id === this.#preferred);
    const better = candidates.find(
      (path) => current !== undefined && isBetter(path, current) && path.steadyAtMs <= nowMs,
    );
    const chosen = better ?? current ?? candidates[0];
    if (chosen?.facts.kind !== this.#kindOf(this.#preferred)) this.#restingSinceMs = nowMs;
    this.#preferred = chosen?.facts.id;
  }

  #isSilent(path: PathHealth, nowMs: number): boolean {
    return this.#paths.size > 1 && path.isSilent(this.#beatMs, nowMs);
  }

  /** Rule 4. Paths that are to be closed are forgotten here: `path-closed` finds nothing any more. */
  #closes(nowMs: number): { readonly path: string; readonly reason: string }[] {
    const closes = this.#gone.map((path) => ({ path, reason: 'the address that it belongs to is gone' }));
    this.#gone = [];
    for (const path of [...this.#paths.values()].toSorted(byWorth).toReversed()) {
      const reason = this.#reasonToClose(path, nowMs);
      if (reason === undefined) continue;
      const { id, kind } = path.facts;
      closes.push({ path: id, reason });
      // A path that nobody needs did its work: only one that never worked, or broke, counts against its kind.
      if (reason !== SURPLUS) this.#closed(id, nowMs);
      else this.#paths.delete(id);
      if (reason === GHOST && kind === 'webrtc') this.#setup.natMemory.failed(this.#nats, nowMs);
    }
    return closes;
  }

  #reasonToClose(path: PathHealth, nowMs: number): string | undefined {
    const preferred = this.#paths.get(this.#preferred ?? '');
    if (path === preferred) return undefined;
    if (!path.isBelieved && nowMs >= path.openedAtMs + LADDER.believeMs) return GHOST;
    if (this.#paths.size > this.#pathsMax) return SURPLUS;
    if (preferred === undefined || !path.isBelieved) return undefined;
    if (nowMs >= path.heardAtMs + this.#deadMs && !this.#isSilent(preferred, nowMs)) return SILENT;
    return this.#isSurplus(path, nowMs) ? SURPLUS : undefined;
  }

  #isSurplus(path: PathHealth, nowMs: number): boolean {
    return this.#setup.isSmaller && nowMs >= this.#surplusAtMs(path) && !this.#isStandby(path, nowMs);
  }

  /** The smaller id closes what is too much; should it not, nobody can make us keep any number. */
  get #pathsMax(): number {
    return this.#setup.isSmaller ? LADDER.pathsMax : 2 * LADDER.pathsMax;
  }

  get #deadMs(): number {
    return Math.max(LADDER.deadMs, 4 * this.#beatMs);
  }

  /** Something has to be surplus for a while: the other side may be about to move to it. */
  #surplusAtMs(path: PathHealth): number {
    return Math.max(path.openedAtMs, this.#restingSinceMs) + LADDER.surplusMs;
  }

  /** One relayed path beside WebRTC, and a better kind that is not steady yet. */
  #isStandby(path: PathHealth, nowMs: number): boolean {
    const preferred = this.#paths.get(this.#preferred ?? '');
    if (preferred === undefined) return true;
    if (isBetter(path, preferred)) return true;
    const isDirect = !isWebrtc(preferred.facts.kind);
    if (path.facts.kind !== 'relayed' || preferred.facts.kind === 'relayed' || isDirect) return false;
    const isNeeded = this.#busy || nowMs < this.#busyChangedAtMs + LADDER.standbyMs;
    const others = [...this.#paths.values()].filter(({ facts }) => facts.kind === 'relayed').toSorted(byWorth);
    return isNeeded && others[0] === path;
  }

  /** Rule 3, and the standby of rule 4. */
  #dials(nowMs: number): PathDial[] {
    const preferred = this.#paths.get(this.#preferred ?? '');
    if (preferred === undefined || this.#paths.size >= LADDER.pathsMax) return [];
    const mayTryAtMs = this.#setup.isSmaller ? Number.NEGATIVE_INFINITY : this.#restingSinceMs + LADDER.otherSideMs;
    const dials: PathDial[] = this.#renewal(preferred, nowMs);
    for (const kind of this.#wanted(preferred)) {
      const addresses = this.#addressesFor(kind);
      // WebRTC is greeted over a relayed path, also where no such address was told.
      const isGreetable = kind === 'webrtc' && preferred.facts.kind === 'relayed';
      if (addresses.length === 0 && !isGreetable) continue;
      const natAtMs = kind === 'webrtc' ? this.#setup.natMemory.mayTryAtMs(this.#nats) : Number.NEGATIVE_INFINITY;
      const dueAtMs = Math.max(mayTryAtMs, natAtMs, this.#attempts.dueAtMs(kind, nowMs));
      if (dueAtMs > nowMs) {
        this.#wakeBy(dueAtMs);
        continue;
      }
      this.#attempts.begun(kind, nowMs);
      dials.push({ kind, addresses, force: true });
    }
    return dials;
  }

  /**
   * The way that is in use, once more: the network ends the old connection when the new one is proven, seconds before silence would
   * tell. Relayed ways need none of it: they end with the connection to their relay, which is renewed like any other.
   */
  #renewal({ facts: { kind } }: PathHealth, nowMs: number): PathDial[] {
    const addresses = this.#addressesFor(kind);
    if (!this.#shouldRenew || kind === 'relayed' || isWebrtc(kind) || addresses.length === 0) return [];
    const dueAtMs = this.#attempts.dueAtMs(kind, nowMs);
    if (dueAtMs > nowMs) {
      this.#wakeBy(dueAtMs);
      return [];
    }
    this.#shouldRenew = false;
    this.#attempts.begun(kind, nowMs);
    return [{ kind, addresses, force: true }];
  }

  #wanted(preferred: PathHealth): PathKind[] {
    const has = (kind: PathKind): boolean => [...this.#paths.values()].some(({ facts }) => facts.kind === kind);
    const rank = pathRank(preferred.facts.kind, preferred.facts.isLimited);
    const better = PATH_KINDS.filter((kind) => pathRank(kind, false) < rank && !has(kind));
    const needsStandby = this.#busy && isWebrtc(preferred.facts.kind) && !has('relayed');
    return needsStandby ? [...better, 'relayed'] : better;
  }

  #addressesFor(kind: PathKind): readonly string[] {
    // WebRTC is greeted over a relay: any relayed address leads there.
    const fitting = kind === 'webrtc' ? 'relayed' : kind;
    return this.#addresses.filter((address) => pathKindOf(address) === fitting);
  }

  #moments(): number[] {
    const moments: number[] = [this.#attempts.timeoutAtMs, this.#hurriedUntilMs];
    for (const path of this.#paths.values()) {
      if (!path.isBelieved) moments.push(path.openedAtMs + LADDER.believeMs);
      else if (this.#paths.size > 1) {
        moments.push(path.silentAtMs(this.#beatMs), path.heardAtMs + this.#deadMs, path.steadyAtMs);
        if (this.#setup.isSmaller) moments.push(this.#surplusAtMs(path), this.#busyChangedAtMs + LADDER.standbyMs);
      }
    }
    return moments;
  }

  #wakeBy(atMs: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs, atMs);
  }

  #kindOf(id: string | undefined): PathKind | undefined {
    return id === undefined ? undefined : this.#paths.get(id)?.facts.kind;
  }
}

const GHOST = 'open, and never heard';
const SILENT = 'silent, while another path carries';
const SURPLUS = 'another path is enough';
