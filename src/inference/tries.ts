/**
 * Whom to ask next for one request. A plan is a ranked list; at most `triesMax` of it are asked. Then, or once it is out
 * of date, another plan is wanted, without the nodes that were tried. When nobody is left the request pauses, and after a
 * pause a node may be asked again if it was only busy, or failed just once: links come back and slots free. A node that
 * broke the protocol is not asked again. Everything is bounded: tries, moves of an answer, pauses, the time of looking.
 */
import { backOffMs } from '../back-off.ts';
import type { NodeId } from '../ids.ts';
import { INFERENCE, PLACEMENT } from '../params.ts';

export const TRIES = {
  /** Nodes asked for one request, all plans together. Source: guess: a long answer in bad weather. */
  triesMax: 3 * INFERENCE.failoversMax,
  /** Pauses before the client hears that nobody can answer, while it has heard nothing. Source: guess: 0.75 s, then a 503 with Retry-After is more honest than silence. */
  pausesBeforeFirstTokenMax: 2,
  /** How long an interrupted answer looks for another node. Source: guess: a reader waits that long, and a node restarts. */
  recoverMsMax: 10_000,
  /** First pause; each is twice the last, up to the longest. Source: guess: a link reopens in about this. */
  pauseMsMin: 250,
  pauseMsMax: 2_000,
  /** An older plan is made anew after a failure: who failed is often not alone. Source: guess: a few round trips. */
  planMsMax: 500,
} as const;

export type TryFault = 'busy' | 'failed' | 'violation';

export interface RankedPlan {
  readonly ranked: readonly NodeId[];
  /** Within which the first token was expected of them. */
  readonly levelMs: number;
  readonly madeAtMs: number;
}

export class Tries {
  #plan: RankedPlan = { ranked: [], levelMs: 0, madeAtMs: 0 };
  #askedOfPlan = 0;
  #asked = 0;
  #pauses = 0;
  readonly #excluded = new Set<NodeId>();
  readonly #failures = new Map<NodeId, number>();

  /** Nodes asked so far. */
  get asked(): number {
    return this.#asked;
  }

  get excluded(): readonly NodeId[] {
    return [...this.#excluded];
  }

  get exhausted(): boolean {
    return this.#asked >= TRIES.triesMax;
  }

  get levelMs(): number {
    return this.#plan.levelMs;
  }

  isOutOfDate(nowMs: number): boolean {
    return nowMs - this.#plan.madeAtMs > TRIES.planMsMax;
  }

  plan(plan: RankedPlan): void {
    this.#plan = plan;
    this.#askedOfPlan = 0;
  }

  /** The plan names another one. */
  get hasNext(): boolean {
    return this.#peek() !== undefined;
  }

  /** The next node of the plan, which counts as asked; undefined when the plan is used up. */
  next(): NodeId | undefined {
    const node = this.#peek();
    if (node === undefined) return undefined;
    this.#askedOfPlan += 1;
    this.#asked += 1;
    this.#excluded.add(node);
    return node;
  }

  failed(node: NodeId, fault: TryFault): void {
    const weight = fault === 'violation' ? Number.POSITIVE_INFINITY : fault === 'failed' ? 1 : 0;
    this.#failures.set(node, (this.#failures.get(node) ?? 0) + weight);
  }

  /** It may be asked again: the request left it for a better one. */
  release(node: NodeId): void {
    this.#excluded.delete(node);
  }

  /** The answer moves again: earlier pauses are forgotten. */
  recovered(): void {
    this.#pauses = 0;
  }

  /** How long to pause before the next plan; undefined = give up. */
  pauseMs(troubleMs: number, answering: boolean): number | undefined {
    if (this.exhausted) return undefined;
    const pauseMs = backOffMs({ minMs: TRIES.pauseMsMin, maxMs: TRIES.pauseMsMax }, this.#pauses);
    if (answering ? troubleMs + pauseMs > TRIES.recoverMsMax : this.#pauses >= TRIES.pausesBeforeFirstTokenMax) {
      return undefined;
    }
    this.#pauses += 1;
    return pauseMs;
  }

  #peek(): NodeId | undefined {
    if (this.#askedOfPlan >= PLACEMENT.triesMax || this.exhausted) return undefined;
    return this.#plan.ranked.find((candidate) => !this.#excluded.has(candidate));
  }

  /** Time passed in a queue: who failed once may be back. Says who is left out of a plan for leaving `node`. */
  others(node: NodeId): readonly NodeId[] {
    this.relax();
    this.#excluded.add(node);
    return this.excluded;
  }

  /** After a pause. */
  relax(): void {
    for (const node of this.#excluded) if ((this.#failures.get(node) ?? 0) <= 1) this.#excluded.delete(node);
  }
}
