/**
 * Answers that ended lately: the last words may have been under way when their link ended, and then the asker comes back
 * for them. Each is kept as long as a running request would be, without its prompt.
 * Full: the oldest make room; who asks for one of those hears that it is lost, and another node goes on.
 */
import type { Sleeper } from './alarm.ts';
import { INFERENCE } from '../params.ts';
import type { ServeSession } from './serve-session.ts';

export const LINGER = {
  /** Source: guess: 500 answers a second. */
  answersMax: 1_024,
  /** Their text that may not have arrived. Source: guess: a kilobyte of each and some long ones. */
  charactersMax: 4_194_304,
} as const;

export interface Ended {
  readonly session: ServeSession;
  /** Of the answer when this try of it began. */
  readonly startTokens: number;
  readonly startCharacters: number;
}

interface Kept extends Ended {
  readonly characters: number;
  readonly expiresAtMs: number;
}

export class Lingering implements Sleeper {
  /** In the order in which they expire. */
  readonly #kept = new Map<string, Kept>();
  #characters = 0;

  get size(): number {
    return this.#kept.size;
  }

  get wakeAtMs(): number {
    for (const { expiresAtMs } of this.#kept.values()) return expiresAtMs;
    return Number.POSITIVE_INFINITY;
  }

  wake(nowMs: number): void {
    for (const [key, { expiresAtMs }] of this.#kept) {
      if (expiresAtMs > nowMs) return;
      this.forget(key);
    }
  }

  put(key: string, ended: Ended, nowMs: number): void {
    this.forget(key);
    const characters = ended.session.keptCharacters;
    this.#characters += characters;
    this.#kept.set(key, { ...ended, characters, expiresAtMs: nowMs + INFERENCE.reattachMsMax });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= LINGER.answersMax && this.#characters <= LINGER.charactersMax) return;
      this.forget(oldest);
    }
  }

  get(key: string): Ended | undefined {
    return this.#kept.get(key);
  }

  forget(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#characters -= kept.characters;
  }
}
