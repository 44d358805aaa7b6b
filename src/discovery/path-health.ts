/**
 * Does this one path carry anything, and how steadily? Any byte is a sign of life. A path greeted over a relay is believed only
 * after the first one: a failed hole leaves a connection that looks open and carries nothing. Silence is counted in
 * beats, so that a path which is asked less often is given more time; a path that fell silent and came back has to
 * be steady for longer, twice as long each time, before it is preferred again.
 * Limits: numbers only. Source: the shape of the penalty is that of route flap damping (RFC 2439), without its decay curve.
 */
import { backOffMs } from '../back-off.ts';
import type { PathKind } from './transports.ts';

export const HEALTH = {
  /** Beats missed until a path counts as silent. Source: measured: at 20 % loss a gap of 1.5 s is rare, and costs a move only. */
  beatsMissed: 3,
  /** A path that was never silent is preferred after this. Source: guess: its second sign of life on most paths. */
  settleMs: 200,
  /** Above this an average of round trips is believed at once, below it slowly. Source: copied: RFC 6298, an eighth. */
  rttShare: 8,
  /** So long without silence, and the past is forgotten. Source: guess. */
  forgivenMs: 120_000,
} as const;
/** After the first silence, the second ... Source: guess: longer than the gaps of a bad radio. */
const STEADY = { minMs: 3_000, maxMs: 60_000 } as const;

export interface PathFacts {
  readonly id: string;
  readonly kind: PathKind;
  readonly isLimited: boolean;
  readonly direction: 'inbound' | 'outbound';
  /** From the membership proof. */
  readonly rttMs: number;
}

export class PathHealth {
  readonly facts: PathFacts;
  readonly openedAtMs: number;
  rttMs: number;
  #isBelieved: boolean;
  #heardAtMs: number;
  #steadySinceMs: number;
  #silences = 0;
  #wasSilent = false;

  constructor(facts: PathFacts, nowMs: number) {
    this.facts = facts;
    this.openedAtMs = nowMs;
    this.rttMs = facts.rttMs;
    this.#heardAtMs = nowMs;
    this.#steadySinceMs = nowMs;
    this.#isBelieved = facts.kind !== 'webrtc' && facts.kind !== 'webrtc-direct';
  }

  get isBelieved(): boolean {
    return this.#isBelieved;
  }

  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  heard(nowMs: number): void {
    if (this.#wasSilent || !this.#isBelieved) this.#steadySinceMs = nowMs;
    this.#wasSilent = false;
    this.#isBelieved = true;
    this.#heardAtMs = nowMs;
    if (nowMs - this.#steadySinceMs >= HEALTH.forgivenMs) this.#silences = 0;
  }

  measured(rttMs: number): void {
    this.rttMs += (rttMs - this.rttMs) / HEALTH.rttShare;
  }

  /** Time that does not count: this process stood still, or nobody asked. */
  forgive(untilMs: number): void {
    this.#heardAtMs = Math.max(this.#heardAtMs, untilMs);
  }

  silentAtMs(beatMs: number): number {
    return this.#heardAtMs + HEALTH.beatsMissed * beatMs;
  }

  /** Looks whether it has fallen silent; each time counts once. */
  isSilent(beatMs: number, nowMs: number): boolean {
    const silent = nowMs >= this.silentAtMs(beatMs);
    if (silent && !this.#wasSilent) {
      this.#wasSilent = true;
      this.#silences += 1;
    }
    return silent;
  }

  /** From when on it may take over from one that works. */
  get steadyAtMs(): number {
    const neededMs = this.#silences === 0 ? HEALTH.settleMs : backOffMs(STEADY, this.#silences - 1);
    return this.#steadySinceMs + neededMs;
  }
}
