/**
 * Which part of a growing text may leave, when some strings must never appear in it? Text goes in by pieces; what
 * could still become a stop string is held back, and the first stop string that completes ends the text before it.
 * "First" means the one whose last character comes first (of two, the longer), so that the result does not depend on
 * how the text was cut into pieces. Held back is less than the longest stop string (`LIMITS.stopBytes`).
 * Behind `until`, where that is given, nothing is a stop string any more: the text has gone over to something else, in
 * which a line end, say, ends nothing.
 */
import type { RunEnd } from './engine.ts';

export interface StopStringsOptions {
  readonly until?: string;
}

export class StopStrings {
  readonly #stops: readonly string[];
  readonly #until: string | undefined;
  #held = '';
  #isOver: boolean;

  constructor(stops: readonly string[], { until }: StopStringsOptions = {}) {
    const known = stops.filter((stop) => stop.length > 0);
    this.#isOver = known.length === 0;
    this.#until = until;
    this.#stops = until === undefined ? known : [...known, until];
  }

  /** What may leave now; `stoppedBy` when a stop string was found, after which nothing more may be pushed. */
  push(piece: string): { readonly text: string; readonly stoppedBy?: string } {
    if (this.#isOver) return { text: piece };
    const text = this.#held + piece;
    const found = this.#firstStop(text);
    if (found !== undefined) {
      this.#held = '';
      this.#isOver = true;
      return found.stop === this.#until ? { text } : { text: text.slice(0, found.start), stoppedBy: found.stop };
    }
    const keep = this.#possibleStart(text);
    this.#held = text.slice(keep);
    return { text: text.slice(0, keep) };
  }

  /** The text is over: what was held back is no stop string after all. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }

  #firstStop(text: string): { readonly stop: string; readonly start: number } | undefined {
    let best: { readonly stop: string; readonly start: number; readonly end: number } | undefined;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      if (start < 0) continue;
      const end = start + stop.length;
      if (best === undefined || end < best.end || (end === best.end && start < best.start)) best = { stop, start, end };
    }
    return best;
  }

  /** Where the longest end of `text` begins that is the beginning of a stop string. */
  #possibleStart(text: string): number {
    let earliest = text.length;
    for (const stop of this.#stops) {
      const first = stop.charAt(0);
      let start = text.indexOf(first, Math.max(0, text.length - stop.length + 1));
      while (start >= 0 && start < earliest) {
        if (stop.startsWith(text.slice(start))) earliest = start;
        else start = text.indexOf(first, start + 1);
      }
    }
    return earliest;
  }
}

/** The place of the string that ended an answer among those of its request; nothing where it was none of them. */
export function stopIndexOf(stops: readonly string[], stoppedBy: string | undefined): Pick<RunEnd, 'stopIndex'> {
  const stopIndex = stoppedBy === undefined ? -1 : stops.indexOf(stoppedBy);
  return stopIndex < 0 ? {} : { stopIndex };
}
