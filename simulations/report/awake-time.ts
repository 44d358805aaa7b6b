/**
 * How long was a machine awake until now? Whoever sits at a machine that sleeps waits for nothing: a time that a client
 * felt is a difference of two of these moments, not of true time. A process that is paused on a machine that is awake
 * does count. Feed it what happened to each node; differences are meant for one process, and hold for it.
 */
export class AwakeTime {
  readonly #sleptMs: Float64Array;
  /** NaN = awake. */
  readonly #sinceMs: Float64Array;

  constructor(nodes: number) {
    this.#sleptMs = new Float64Array(nodes);
    this.#sinceMs = new Float64Array(nodes).fill(Number.NaN);
  }

  fellAsleep(node: number, atMs: number): void {
    if (!this.#isAsleep(node)) this.#sinceMs[node] = atMs;
  }

  woke(node: number, atMs: number): void {
    this.#sleptMs[node] = atMs - this.at(node, atMs);
    this.#sinceMs[node] = Number.NaN;
  }

  at(node: number, atMs: number): number {
    const sleepsMs = this.#isAsleep(node) ? atMs - (this.#sinceMs[node] ?? atMs) : 0;
    return atMs - (this.#sleptMs[node] ?? 0) - sleepsMs;
  }

  #isAsleep(node: number): boolean {
    return !Number.isNaN(this.#sinceMs[node] ?? Number.NaN);
  }
}
