/**
 * May a model whose process died be started again, and when? After each death a pause that doubles; after three deaths in
 * ten minutes never, until somebody asks for it by hand: a file that kills its process will do so again, and each try costs the
 * machine a load. Pure: the caller brings the clock.
 */
import { backOffMs } from '../../back-off.ts';

export const RESTARTS = {
  /** Pause after the first death. Source: guess, a client's retry finds the model again. */
  backOffMsMin: 500,
  /** Source: guess. */
  backOffMsMax: 60_000,
  /** Deaths in the window that are one too many. Source: guess: once is chance, thrice is the file. */
  deathsMax: 3,
  windowMs: 600_000,
} as const;

export type RestartAnswer =
  | { readonly type: 'now' }
  | { readonly type: 'wait'; readonly waitMs: number }
  | { readonly type: 'never'; readonly deaths: number };

export class Restarts {
  /** Times of the latest deaths; at most `deathsMax`. */
  #deathsMs: readonly number[] = [];

  died(nowMs: number): void {
    this.#deathsMs = [...this.#recent(nowMs), nowMs].slice(-RESTARTS.deathsMax);
  }

  forgive(): void {
    this.#deathsMs = [];
  }

  answer(nowMs: number): RestartAnswer {
    const recent = this.#recent(nowMs);
    const last = recent.at(-1);
    if (last === undefined) return { type: 'now' };
    if (recent.length >= RESTARTS.deathsMax) return { type: 'never', deaths: recent.length };
    const pauseMs = backOffMs({ minMs: RESTARTS.backOffMsMin, maxMs: RESTARTS.backOffMsMax }, recent.length - 1);
    const waitMs = last + pauseMs - nowMs;
    return waitMs > 0 ? { type: 'wait', waitMs } : { type: 'now' };
  }

  /** Quarantine holds for the window: a death counts until it is that old. */
  #recent(nowMs: number): readonly number[] {
    return this.#deathsMs.filter((atMs) => nowMs - atMs < RESTARTS.windowMs);
  }
}
