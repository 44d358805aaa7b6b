/**
 * When does this node speak? Load goes out at an interval that grows with the mesh, so that all gossip together stays
 * within a byte budget: every member's message reaches everybody about five times. A change may speak earlier, at
 * least 250 ms after the last message and while tokens last; a token comes back per budgeted interval. Capability goes
 * out on change and every 30 s. Jitter keeps nodes out of step. Integers only. Source: docs/PROTOCOL.md.
 */
import type { Prng } from '../prng.ts';
import { GOSSIP } from '../params.ts';

/** Copies of a message that arrive at one node, in tenths. Source: measured, 4.7 to 5.3 with a gossip degree of 6. */
const COPIES_TENTHS = 51;
/** Bytes around a payload: gossip RPC, then yamux, noise, TCP/IP and its acknowledgements. Source: measured. */
const OVERHEAD_BYTES = 22 + 108;
/** Changes that may be told in a burst. Source: guess. */
const TOKENS_MAX = 4;

/** The interval between two load messages that keeps `members` nodes within the budget, before its lower bound. */
export function budgetedIntervalMs(members: number, messageBytes: number): number {
  const bytes = members * (messageBytes + OVERHEAD_BYTES) * COPIES_TENTHS;
  return Math.ceil((bytes * 100) / GOSSIP.beaconBytesPerSecond);
}

/** How often a node in a mesh of `members` sends load messages of this size. */
export function loadIntervalMs(members: number, messageBytes: number): number {
  const budgeted = budgetedIntervalMs(members, messageBytes);
  return Math.min(GOSSIP.beaconIntervalMsMax, Math.max(GOSSIP.beaconIntervalMs, budgeted));
}

export interface Due {
  readonly capability: boolean;
  readonly load: boolean;
  readonly antiEntropy: boolean;
}

export class Cadence {
  readonly #prng: Prng;
  #members = 1;
  #messageBytes = 140;
  #spokeAtMs = -Infinity;
  #capabilityAtMs: number;
  #loadAtMs: number;
  #antiEntropyAtMs: number;
  #loadChanged = false;
  #capabilityChanged = true;
  #tokens = TOKENS_MAX;
  #tokensAtMs: number;

  constructor(prng: Prng, nowMs: number) {
    this.#prng = prng;
    this.#capabilityAtMs = nowMs;
    this.#loadAtMs = nowMs + GOSSIP.beaconIntervalMs;
    this.#antiEntropyAtMs = nowMs + this.#jittered(GOSSIP.antiEntropyIntervalMs);
    this.#tokensAtMs = nowMs;
  }

  setMembers(members: number): void {
    this.#members = members;
  }

  loadChanged(): void {
    this.#loadChanged = true;
  }

  capabilityChanged(): void {
    this.#capabilityChanged = true;
  }

  due(nowMs: number): Due {
    const capability = nowMs >= this.#capabilityDueMs();
    return { capability, load: !capability && nowMs >= this.#loadDueMs(), antiEntropy: nowMs >= this.#antiEntropyAtMs };
  }

  /** A capability message carries the load too, so it counts as both. */
  capabilityPublished(nowMs: number): void {
    this.#capabilityChanged = false;
    this.#capabilityAtMs = nowMs + this.#jittered(GOSSIP.capabilityIntervalMs);
    this.#spoke(nowMs);
  }

  loadPublished(messageBytes: number, nowMs: number): void {
    this.#messageBytes = messageBytes;
    this.#spoke(nowMs);
  }

  antiEntropyDone(nowMs: number): void {
    this.#antiEntropyAtMs = nowMs + this.#jittered(GOSSIP.antiEntropyIntervalMs);
  }

  /** When something is due; a node that has nothing to say yet (`canSpeak` false) only waits for anti-entropy. */
  nextMs(canSpeak: boolean): number {
    return canSpeak
      ? Math.min(this.#capabilityDueMs(), this.#loadDueMs(), this.#antiEntropyAtMs)
      : this.#antiEntropyAtMs;
  }

  #capabilityDueMs(): number {
    return this.#capabilityChanged ? Math.min(this.#capabilityAtMs, this.#earlyMs()) : this.#capabilityAtMs;
  }

  #loadDueMs(): number {
    return this.#loadChanged ? Math.min(this.#loadAtMs, this.#earlyMs()) : this.#loadAtMs;
  }

  /** When a change may be told before its turn: after the gap, and once there is a token. */
  #earlyMs(): number {
    const gapOverMs = this.#spokeAtMs + GOSSIP.beaconEventGapMs;
    if (this.#tokens >= 1) return gapOverMs;
    return Math.max(gapOverMs, this.#tokensAtMs + (1 - this.#tokens) * this.#tokenIntervalMs());
  }

  #spoke(nowMs: number): void {
    this.#refill(nowMs);
    // A message in its turn goes out without a token too, and the next change waits for it.
    this.#tokens = Math.max(-1, this.#tokens - 1);
    this.#loadChanged = false;
    this.#spokeAtMs = nowMs;
    this.#loadAtMs = nowMs + this.#jittered(loadIntervalMs(this.#members, this.#messageBytes));
  }

  #refill(nowMs: number): void {
    const intervalMs = this.#tokenIntervalMs();
    const gained = Math.floor((nowMs - this.#tokensAtMs) / intervalMs);
    if (gained <= 0) return;
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + gained);
    this.#tokensAtMs = this.#tokens === TOKENS_MAX ? nowMs : this.#tokensAtMs + gained * intervalMs;
  }

  #tokenIntervalMs(): number {
    return Math.max(GOSSIP.beaconEventGapMs, budgetedIntervalMs(this.#members, this.#messageBytes));
  }

  #jittered(intervalMs: number): number {
    const spreadMs = Math.floor((intervalMs * GOSSIP.beaconJitterPerMille) / 1_000);
    return intervalMs - spreadMs + this.#prng.nextBelow(2 * spreadMs + 1);
  }
}
