/**
 * Who surely has a free slot for a model? Slots belong to a model at a node, and the trace tells how many runs began and
 * did not end. How many slots there are it does not tell; as many as ever ran at once there are at least, and one. So a
 * holder is free when nothing of that model runs there, or less than once did, and nothing waits at the node.
 * Feed it every event after `request-arrived` of its request. Limits: the runs under way.
 */
import type { WorldEvent } from '../world-event.ts';

type Of<Type extends WorldEvent['type']> = Extract<WorldEvent, { type: Type }>;

interface Runs {
  now: number;
  peak: number;
}

export class FreeSlots {
  /** By model, then node: who ever ran it. */
  readonly #runs: (Map<number, Runs> | undefined)[] = [];
  /** By node: the model of each run under way. */
  readonly #under: (Map<string, number> | undefined)[] = [];
  readonly #queued: Int32Array;

  constructor(nodes: number) {
    this.#queued = new Int32Array(nodes);
  }

  started({ node, from, requestId }: Of<'run-started' | 'run-ended'>, model: number): void {
    const under = (this.#under[node] ??= new Map());
    if (under.has(`${from}/${requestId}`)) return;
    under.set(`${from}/${requestId}`, model);
    const holders = (this.#runs[model] ??= new Map());
    const runs = holders.get(node) ?? { now: 0, peak: 1 };
    runs.now += 1;
    runs.peak = Math.max(runs.peak, runs.now);
    holders.set(node, runs);
  }

  ended({ node, from, requestId }: Of<'run-started' | 'run-ended'>): void {
    const under = this.#under[node];
    const model = under?.get(`${from}/${requestId}`);
    if (model === undefined) return;
    under?.delete(`${from}/${requestId}`);
    const runs = this.#runs[model]?.get(node);
    if (runs !== undefined) runs.now -= 1;
  }

  sampled({ node, sample }: Of<'sampled'>): void {
    this.#queued[node] = sample.queued;
  }

  /** A new process runs nothing. */
  restarted(node: number): void {
    this.#under[node] = undefined;
    this.#queued[node] = 0;
    for (const holders of this.#runs) {
      const runs = holders?.get(node);
      if (runs !== undefined) runs.now = 0;
    }
  }

  /** In the order in which they first ran it. */
  holdersOf(model: number): Iterable<number> {
    return this.#runs[model]?.keys() ?? [];
  }

  isFree(node: number, model: number): boolean {
    const runs = this.#runs[model]?.get(node);
    return runs !== undefined && runs.now < runs.peak && this.#queued[node] === 0;
  }
}
