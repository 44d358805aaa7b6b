/**
 * The requests asked of one member that wait for a link to it: fresh ones, and those whose link ended and that another
 * link shall take up. Both ends keep the latter for `reattachMsMax`. What the asker gave up meanwhile is noted for as
 * long, so that the serving node hears of it with the next link and frees the slot.
 * Limits: `requestsPerLinkMax` of each; a note that has no room is left to the serving node's own patience.
 */
import type { RequestId } from '../ids.ts';
import { INFERENCE } from '../params.ts';
import type { AskedLine } from './asked-line.ts';
import type { Reattach } from './messages.ts';

export class PartedLines {
  readonly #waiting = new Set<AskedLine>();
  readonly #givenUp = new Map<RequestId, { readonly message: Reattach; readonly untilMs: number }>();

  get size(): number {
    return this.#waiting.size;
  }

  get empty(): boolean {
    return this.#waiting.size === 0 && this.#givenUp.size === 0;
  }

  get full(): boolean {
    return this.#waiting.size >= INFERENCE.requestsPerLinkMax;
  }

  /** The next moment at which something here is too old. */
  get wakeAtMs(): number {
    let atMs = Number.POSITIVE_INFINITY;
    for (const line of this.#waiting) atMs = Math.min(atMs, untilMs(line));
    for (const note of this.#givenUp.values()) atMs = Math.min(atMs, note.untilMs);
    return atMs;
  }

  add(line: AskedLine): void {
    this.#waiting.add(line);
  }

  /** The same request is asked for anew: the serving node drops what it had of it. */
  opened(requestId: RequestId): void {
    this.#givenUp.delete(requestId);
  }

  /** The asker gave it up, or has to. */
  giveUp(line: AskedLine, nowMs: number): void {
    this.#waiting.delete(line);
    if (line.phase !== 'sent' || untilMs(line) <= nowMs) return;
    if (this.#givenUp.size >= INFERENCE.requestsPerLinkMax) return;
    this.#givenUp.set(line.opening.parts.requestId, { message: line.reattach(false), untilMs: untilMs(line) });
  }

  /** Everything for the link that is there now; nothing waits afterwards. */
  take(nowMs: number): { readonly lines: readonly AskedLine[]; readonly givenUp: readonly Reattach[] } {
    const lines = [...this.#waiting];
    const givenUp = [...this.#givenUp.values()].flatMap((note) => (note.untilMs > nowMs ? [note.message] : []));
    this.#waiting.clear();
    this.#givenUp.clear();
    return { lines, givenUp };
  }

  /** Lines of that phase, to be told that they are lost. */
  of(phase: 'fresh' | 'sent'): AskedLine[] {
    return [...this.#waiting].filter((line) => line.phase === phase);
  }

  /** Lines that waited for too long; old notes are forgotten. */
  expired(nowMs: number): AskedLine[] {
    for (const [requestId, note] of this.#givenUp) if (note.untilMs <= nowMs) this.#givenUp.delete(requestId);
    return [...this.#waiting].filter((line) => untilMs(line) <= nowMs);
  }
}

/** Fresh lines have no end here: opening the link has. */
function untilMs(line: AskedLine): number {
  return line.phase === 'sent' ? line.partedAtMs + INFERENCE.reattachMsMax : Number.POSITIVE_INFINITY;
}
