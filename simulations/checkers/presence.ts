/**
 * Which processes run, read from the trace alone: since when each is up or not, and whether it began anew or just goes on.
 * A paused or suspended one is not up; when it goes on it is the same process. Feed it every event, before or after the
 * checker itself looks at it as the checker needs.
 */
import type { WorldEvent } from '../world-event.ts';

export class Presence {
  readonly #up: Uint8Array;
  readonly #sinceMs: Float64Array;
  #upCount = 0;
  #changedAtMs = 0;

  constructor(nodes: number) {
    this.#up = new Uint8Array(nodes);
    this.#sinceMs = new Float64Array(nodes);
  }

  observe(event: WorldEvent, atMs: number): void {
    switch (event.type) {
      case 'started':
      case 'resumed':
        return this.#set(event.node, 1, atMs);
      case 'stopped':
        return this.#set(event.node, 0, atMs);
      default:
    }
  }

  isUp(node: number): boolean {
    return this.#up[node] === 1;
  }

  /** Up without a break from `fromMs` until now. */
  isUpSince(node: number, fromMs: number): boolean {
    return this.#up[node] === 1 && (this.#sinceMs[node] ?? 0) <= fromMs;
  }

  /** Since when it is as it is. */
  sinceMs(node: number): number {
    return this.#sinceMs[node] ?? 0;
  }

  get upCount(): number {
    return this.#upCount;
  }

  /** When anybody last came or went. */
  get changedAtMs(): number {
    return this.#changedAtMs;
  }

  #set(node: number, up: 0 | 1, atMs: number): void {
    if (this.#up[node] !== up) this.#upCount += up === 1 ? 1 : -1;
    this.#up[node] = up;
    this.#sinceMs[node] = atMs;
    this.#changedAtMs = atMs;
  }
}
