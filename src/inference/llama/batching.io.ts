/**
 * Lets the runs of one context decode together. The library starts a batch as soon as it may, which is before the last
 * stream has asked for its next token, so that a batch never has all of them. Here each run has a seat and says when it is
 * about to ask; a batch waits for those, for a bounded number of turns of the microtask queue and never for a clock.
 * The library also keeps its lock for as long as anybody asks, so that work on a cache (making room in it) would wait for
 * the end of every answer. `alone` lets the runs pause for it: they are asked to wait before their next token.
 * Limits: a run that says it will ask and does not costs the others a few microseconds for each batch.
 * Source: measured; ours.
 */
import type { BatchingOptions, SequenceEvaluateOptions } from 'node-llama-cpp';
import { type BatchKind, batchPriority, orderBatch } from './batch-order.ts';
import { type BatchTime, PromptBudget } from './prompt-budget.ts';

/** Turns of the microtask queue that a batch waits for runs. Source: measured: 2 to 5 are used. */
const SPINS_MAX = 32;

type Priority = NonNullable<SequenceEvaluateOptions['evaluationPriority']>;

export class Batching {
  readonly #budget = new PromptBudget();
  readonly #asking = new Set<Seat>();
  /** Seats that read a prompt. */
  readonly #reading = new Set<Seat>();
  #spins = 0;
  #lastKind: BatchKind = 'prompts';
  /** The batch under way, until it was measured. */
  #batch: (Omit<BatchTime, 'elapsedMs'> & { readonly startedMs: number }) | undefined;
  /** How many work on the caches, or want to. */
  #alone = 0;
  #waiting: (() => void)[] = [];

  /** For `createContext`. */
  get options(): BatchingOptions {
    return {
      itemPrioritizationStrategy: (batch) => this.#compose(batch),
      // In this turn of the event loop and not in the next: while the processor works on the batch, the tokens of the last one leave.
      dispatchSchedule: (dispatch) => queueMicrotask(dispatch),
    };
  }

  seat(slot: number): Seat {
    return new Seat(this, slot);
  }

  /** Runs `work` when no batch is under way and none is asked for. For those who have no seat, or left theirs. */
  async alone<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#alone += 1;
    try {
      return await work();
    } finally {
      this.#alone -= 1;
      if (this.#alone === 0) this.#resume();
    }
  }

  /** Somebody asks for tokens, or will at once. */
  get busy(): boolean {
    return this.#asking.size > 0;
  }

  /** Somebody works on the caches. */
  get paused(): boolean {
    return this.#alone > 0;
  }

  async resumed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  asks(seat: Seat, reading: boolean): void {
    this.#asking.add(seat);
    if (reading) this.#reading.add(seat);
    else this.#reading.delete(seat);
  }

  leaves(seat: Seat): void {
    this.#asking.delete(seat);
    this.#reading.delete(seat);
  }

  /** How much of its prompt a run should ask for at once. */
  get promptTokens(): number {
    return Math.ceil(this.#budget.tokens / Math.max(1, this.#reading.size));
  }

  /** Something of the batch came. */
  measure(): void {
    if (this.#batch === undefined) return;
    const { startedMs, ...batch } = this.#batch;
    this.#batch = undefined;
    this.#budget.measure({ ...batch, elapsedMs: performance.now() - startedMs });
  }

  #compose({ items, size }: Parameters<Strategy>[0]): ReturnType<Strategy> {
    if (items.length < this.#asking.size && this.#spins < SPINS_MAX) {
      this.#spins += 1;
      return [];
    }
    this.#spins = 0;
    const after = this.#lastKind;
    const { kind, parts, waiting } = orderBatch({ items, size, promptTokensMax: this.#budget.tokens, after });
    this.#lastKind = kind;
    const tokens = parts.reduce((sum, { processAmount }) => sum + processAmount, 0);
    this.#batch = { startedMs: performance.now(), promptTokens: kind === 'prompts' ? tokens : 0, waiting };
    return parts;
  }

  #resume(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

type Strategy = Exclude<NonNullable<BatchingOptions['itemPrioritizationStrategy']>, string>;

/** Of one run, while it evaluates. */
export class Seat {
  readonly #batching: Batching;
  readonly #slot: number;

  constructor(batching: Batching, slot: number) {
    this.#batching = batching;
    this.#slot = slot;
  }

  /** The run is about to ask for its next tokens; waits while somebody works on the caches. */
  async ask(what: 'answer' | 'prompt'): Promise<void> {
    while (this.#batching.paused) {
      this.leave();
      // One work after the other.
      // eslint-disable-next-line no-await-in-loop
      await this.#batching.resumed();
    }
    this.#batching.asks(this, what === 'prompt');
  }

  /** The run will not ask before its next `ask`. */
  leave(): void {
    this.#batching.leaves(this);
  }

  get priority(): Priority {
    // The library takes fractions, its types do not.
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    return batchPriority(this.#slot) as Priority;
  }
}
