/**
 * Works out the schemas that take long in a thread of their own, one after the other, so that the node's event loop goes on
 * while a hostile one is looked at. The thread starts with the first of them and stays. What waits too long, or finds too many
 * before it, is answered "busy": it was not its schema that was at fault. A thread that is stuck or dies is replaced.
 * Limits: `WORKSHOP`; a schema's own bound is its work (`schema-grammar/work.ts`), so that a thread is stuck only where the
 * machine is.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Failure, failure } from '../errors.ts';
import { type Constraint, Grammars, type Worked, type Workshop } from './answer-format.ts';

const WORKSHOP = {
  /** Waiting and at work. Source: guess: the last one of as many ordinary ones waits for a second. */
  ordersMax: 32,
  /** From the order to its end. Source: guess: six times the slowest known schema, for slow machines, and shorter than the
   *  silence that an engine is allowed. */
  waitMsMax: 2_000,
  /** Source: guess: ten times what the slowest known schema needs. */
  heapMegabytes: 256,
} as const;

interface Order {
  readonly constraint: Constraint;
  readonly deadlineMs: number;
  readonly done: (worked: Worked | Failure) => void;
}

/** Grammars with a workshop of their own. */
export class WorkshopGrammars extends Grammars {
  readonly #workshop: GrammarWorkshop;

  constructor() {
    const workshop = new GrammarWorkshop();
    super(workshop);
    this.#workshop = workshop;
  }

  async close(): Promise<void> {
    await this.#workshop.close();
  }
}

class GrammarWorkshop implements Workshop {
  /** The first one is at work. */
  readonly #orders: Order[] = [];
  #worker: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  work(constraint: Constraint, done: (worked: Worked | Failure) => void): void {
    if (this.#closed) return done(failure('draining', 'this node is shutting down: ask another one'));
    if (this.#orders.length >= WORKSHOP.ordersMax) return done(busy('too many schemas are being worked out'));
    this.#orders.push({ constraint, deadlineMs: performance.now() + WORKSHOP.waitMsMax, done });
    if (this.#orders.length === 1) this.#begin();
    return undefined;
  }

  /** Whoever waits is told. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { done } of this.#orders.splice(0)) done(failure('draining', 'this node is shutting down'));
    await this.#worker?.terminate();
  }

  #begin(): void {
    const [order] = this.#orders;
    if (order === undefined) {
      this.#worker?.unref();
      return;
    }
    this.#worker ??= this.#open();
    this.#worker.ref();
    const { constraint, deadlineMs } = order;
    // There is no window, and no origin.
    // eslint-disable-next-line unicorn/require-post-message-target-origin
    this.#worker.postMessage(constraint);
    this.#timer = setTimeout(() => this.#lose(busy('the schema took too long')), deadlineMs - performance.now());
  }

  #open(): Worker {
    // Compiled, this file and the worker end in .js.
    const worker = new Worker(new URL(`grammar-worker.io${extname(import.meta.url)}`, import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: WORKSHOP.heapMegabytes },
    });
    worker.on('message', (worked: Worked) => this.#end(worked));
    worker.on('error', (error) => {
      if (worker === this.#worker) this.#lose(failure('internal', `a schema ended its worker: ${error.message}`));
    });
    return worker;
  }

  /** The thread is of no more use. */
  #lose(reason: Failure): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
    this.#end(reason);
  }

  #end(worked: Worked | Failure): void {
    clearTimeout(this.#timer);
    const order = this.#orders.shift();
    // Those that waited for too long meanwhile.
    const nowMs = performance.now();
    while ((this.#orders[0]?.deadlineMs ?? Infinity) <= nowMs) this.#orders.shift()?.done(busy('others came before'));
    this.#begin();
    order?.done(worked);
  }
}

function busy(reason: string): Failure {
  return failure('busy', `this node could not look at the schema in time: ${reason}`, { retryAfterMs: 1_000 });
}
