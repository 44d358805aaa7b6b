/**
 * Which better kind of path is to be tried next to one node? Kinds of one family (TCP, or UDP) are tried one after the
 * other, best first, the two families side by side: a LAN that does not answer takes seconds to say so, and WebRTC is there
 * in a tenth of one. Each kind backs off by itself, doubling and spread at random; a new address is tried soon; a
 * path that did not last counts as a failure, so that what flaps is not dialled in a circle.
 * Limits: one dial of each family; numbers for five kinds.
 */
import { backOffMs } from '../back-off.ts';
import type { Prng } from '../prng.ts';
import { PATH_KINDS, type PathKind } from './transports.ts';

export const ATTEMPTS = {
  /** Least time between two dials of one kind, whatever happens. Source: guess: a dial on a LAN, ten times. */
  gapMs: 1_000,
  /** A dial without a word about its end has failed. Source: the network's own limit of 10 s, and slack. */
  dialMsMax: 15_000,
  /** A path that ended sooner was of no use. Source: guess. */
  lastedMs: 30_000,
} as const;
/** Source: guess: the other side may not be ready at first: it has no place at a relay yet, or loads WebRTC. */
const RETRY = { minMs: 2_000, maxMs: 600_000 } as const;

interface Attempt {
  failures: number;
  notBeforeMs: number;
  lastDialMs: number;
  underWay: boolean;
}

const FRESH: Attempt = {
  failures: 0,
  notBeforeMs: Number.NEGATIVE_INFINITY,
  lastDialMs: Number.NEGATIVE_INFINITY,
  underWay: false,
};

export class UpgradeAttempts {
  readonly #prng: Prng;
  readonly #attempts: ReadonlyMap<PathKind, Attempt>;

  constructor(prng: Prng) {
    this.#prng = prng;
    this.#attempts = new Map(PATH_KINDS.map((kind) => [kind, { ...FRESH }]));
  }

  /** When this kind may be dialled; Infinity while a dial of its family is under way. */
  dueAtMs(kind: PathKind, nowMs: number): number {
    for (const [other, attempt] of this.#attempts) {
      if (!attempt.underWay || familyOf(other) !== familyOf(kind)) continue;
      if (nowMs < attempt.lastDialMs + ATTEMPTS.dialMsMax) return Number.POSITIVE_INFINITY;
      this.failed(other, nowMs);
    }
    const { notBeforeMs, lastDialMs } = this.#of(kind);
    return Math.max(notBeforeMs, lastDialMs + ATTEMPTS.gapMs);
  }

  /** When a dial that nobody ends counts as failed; Infinity where none is under way. */
  get timeoutAtMs(): number {
    const ends = [...this.#attempts.values()].map(({ underWay, lastDialMs }) =>
      underWay ? lastDialMs + ATTEMPTS.dialMsMax : Number.POSITIVE_INFINITY,
    );
    return Math.min(...ends);
  }

  begun(kind: PathKind, nowMs: number): void {
    const attempt = this.#of(kind);
    attempt.underWay = true;
    attempt.lastDialMs = nowMs;
  }

  failed(kind: PathKind, nowMs: number): void {
    const attempt = this.#of(kind);
    attempt.underWay = false;
    const pauseMs = backOffMs(RETRY, attempt.failures);
    attempt.failures += 1;
    attempt.notBeforeMs = nowMs + pauseMs / 2 + this.#prng.nextBelow(pauseMs / 2);
  }

  reached(kind: PathKind): void {
    this.#of(kind).underWay = false;
  }

  /** A path of this kind was open for that long. */
  ended(kind: PathKind, livedMs: number, nowMs: number): void {
    const attempt = this.#of(kind);
    if (livedMs < ATTEMPTS.lastedMs) {
      const { underWay } = attempt;
      this.failed(kind, nowMs);
      attempt.underWay = underWay;
    } else {
      attempt.failures = 0;
      attempt.notBeforeMs = nowMs;
    }
  }

  /** There is a new address for it. */
  renew(kind: PathKind): void {
    const attempt = this.#of(kind);
    attempt.failures = 0;
    attempt.notBeforeMs = Number.NEGATIVE_INFINITY;
  }

  /** Another network: everything is worth a new try, not all at the same moment. */
  renewAll(nowMs: number): void {
    for (const attempt of this.#attempts.values()) {
      attempt.failures = 0;
      attempt.notBeforeMs = nowMs + this.#prng.nextBelow(ATTEMPTS.gapMs / 2);
    }
  }

  #of(kind: PathKind): Attempt {
    const attempt = this.#attempts.get(kind);
    if (attempt === undefined) throw new Error(`no such kind of path: ${kind}`);
    return attempt;
  }
}

function familyOf(kind: PathKind): 'udp' | 'tcp' {
  return kind === 'webrtc' || kind === 'webrtc-direct' ? 'udp' : 'tcp';
}
