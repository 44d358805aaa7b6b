/**
 * One attempt to connect: four round trips (TCP, two of the Noise handshake, the membership proof), each of which needs
 * both ways open and both processes running. What is lost is tried again with a doubling timer until the time limit.
 * Nobody listens = refused after the first round trip; another process listens than at the beginning = reset; no answer
 * = unreachable at the time limit. A dialler that stands still hears of it when it goes on.
 * Source: spec, RFC 6298 for the first timer; the time limit is that of the real dials.
 */
import { invariant } from '../../src/assert.ts';
import type { EventQueue } from '../kernel/kernel-port.ts';
import type { Inbox } from './inbox.ts';
import { CONTROL_BYTES, LOST, type Path } from './path.ts';

export const DIAL_TIMEOUT_MS = 5_000;

/** Source: spec, the three of TCP and Noise XX, and the proof's own. */
const ROUND_TRIPS = 4;

/** Until the first packet is sent again. Source: spec, RFC 6298. */
const FIRST_RETRY_MS = 1_000;
/** Later ones, besides a round trip. Source: Linux, TCP_RTO_MIN. */
const RETRY_MS_MIN = 200;

export interface DialInit<Payload> {
  readonly queue: EventQueue;
  readonly forward: Path;
  readonly backward: Path;
  readonly dialler: Inbox<Payload>;
  /** Before the first packet, for example to punch a hole; the time limit begins after it. */
  readonly extraMs: number;
  /** Who listens there now. */
  readonly listener: () => Inbox<Payload> | undefined;
  /** Exactly one of the two is called, unless the dialler ends before. */
  readonly connected: (listener: Inbox<Payload>) => void;
  readonly failed: (reason: string) => void;
}

export class Dial<Payload> {
  readonly #init: DialInit<Payload>;
  readonly #deadlineMs: number;
  #listener: Inbox<Payload> | undefined;
  #roundTripsLeft = ROUND_TRIPS;
  #retries = 0;

  constructor(init: DialInit<Payload>) {
    this.#init = init;
    const startsAtMs = init.queue.nowMs + init.extraMs;
    this.#deadlineMs = startsAtMs + DIAL_TIMEOUT_MS;
    init.queue.at(startsAtMs, () => this.#ask());
  }

  #ask(): void {
    const { queue, forward, backward, dialler } = this.#init;
    if (dialler.isOver) return;
    const thereMs = dialler.isRunning && forward.reaches ? forward.send(CONTROL_BYTES) : LOST;
    const backMs = thereMs === LOST ? LOST : backward.send(CONTROL_BYTES);
    if (backMs === LOST) this.#askLater();
    else queue.at(queue.nowMs + thereMs + backMs, () => this.#hear());
  }

  #hear(): void {
    const { queue, forward, backward, dialler } = this.#init;
    if (dialler.isOver) return;
    const listener = this.#init.listener();
    // It may have become cut or dark while the packets travelled.
    if (!forward.reaches || !backward.isOpen) this.#askLater();
    else if (listener === undefined) this.#fail(this.#listener === undefined ? 'refused' : 'reset by the other end');
    else if (this.#listener !== undefined && this.#listener !== listener) this.#fail('reset by the other end');
    else if (!listener.isRunning || !dialler.isRunning) {
      this.#listener = listener;
      this.#askLater();
    } else {
      this.#listener = listener;
      this.#retries = 0;
      this.#roundTripsLeft -= 1;
      if (queue.nowMs > this.#deadlineMs) this.#fail('unreachable');
      else if (this.#roundTripsLeft > 0) this.#ask();
      else this.#init.connected(listener);
    }
  }

  #askLater(): void {
    const { queue, forward, backward } = this.#init;
    if (queue.nowMs >= this.#deadlineMs) {
      this.#fail('unreachable');
      return;
    }
    const firstMs = this.#listener === undefined ? FIRST_RETRY_MS : RETRY_MS_MIN + forward.delayMs + backward.delayMs;
    const waitMs = firstMs * 2 ** this.#retries;
    this.#retries += 1;
    invariant(waitMs > 0, 'a dial waits between tries');
    queue.at(Math.min(queue.nowMs + waitMs, this.#deadlineMs), () => this.#ask());
  }

  #fail(reason: string): void {
    const { dialler, failed } = this.#init;
    dialler.give(() => failed(reason));
  }
}
