/**
 * What does a process that stands still find when it goes on? Its kernel takes what arrives and keeps it in order; the
 * process gets all of it at once, as soon as what runs at that moment is over. While some of it waits, newer arrivals go
 * behind it. One inbox is one process: a process that starts later at the same node has another one.
 * Limits: how much data may wait is bounded by each connection (`end.ts`); what else waits are a few words about
 * connections and dials.
 */
import type { EventQueue } from '../kernel/kernel-port.ts';
import type { Endpoint } from './network-port.ts';

export class Inbox<Payload> {
  readonly endpoint: Endpoint<Payload>;
  readonly #queue: EventQueue;
  #state: 'running' | 'standing' | 'over' = 'running';
  #held: (() => void)[] = [];
  #taken = 0;

  constructor(queue: EventQueue, endpoint: Endpoint<Payload>) {
    this.#queue = queue;
    this.endpoint = endpoint;
  }

  /** What arrives now has to wait. */
  get isHolding(): boolean {
    return this.#state !== 'running' || this.#held.length > 0;
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** Now if the process runs, and else when it goes on; never when it ends before. */
  give(call: () => void): void {
    if (this.#state === 'over') return;
    if (this.isHolding) this.#held.push(call);
    else call();
  }

  stand(): void {
    if (this.#state === 'running') this.#state = 'standing';
  }

  goOn(): void {
    if (this.#state !== 'standing') return;
    this.#state = 'running';
    if (this.#held.length > 0) this.#queue.at(this.#queue.nowMs, () => this.#takeAll());
  }

  end(): void {
    this.#state = 'over';
    this.#held = [];
  }

  #takeAll(): void {
    while (this.#state === 'running' && this.#taken < this.#held.length) {
      const call = this.#held[this.#taken];
      this.#taken += 1;
      call?.();
    }
    this.#held = this.#held.slice(this.#taken);
    this.#taken = 0;
  }
}
