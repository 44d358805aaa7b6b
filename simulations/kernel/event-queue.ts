/**
 * What happens next in a simulated world? A timing wheel: one bucket for each of the next 8192 ms, first in first out
 * inside a bucket, and a heap for what is further away. Adding, cancelling and taking cost the same however many
 * timers wait; only far ones pay for the heap. Far timers move into the wheel in the order of (time, insertion) before
 * anything else can be added to the same bucket, so the whole runs in (time, insertion) order.
 * Limits: whole ms (fractions round up), at most `EVENTS_MAX` waiting; more is a loop in the model, and throws.
 * Source: Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987.
 */
import { invariant } from '../../src/assert.ts';
import type { EventQueue, Timer } from './kernel-port.ts';

/** A power of two. Longer than nearly all timers of the protocols (half a second to some seconds). Source: measured. */
const BUCKETS = 8_192;

/** About 1 GB of timers. Source: guess. */
const EVENTS_MAX = 8_000_000;

/** Cancelled far timers are swept out when there are more than this, and more than half of all. Source: guess. */
const CANCELLED_FAR_MAX = 256;

const NOTHING = (): void => undefined;

class Entry implements Timer {
  readonly atMs: number;
  readonly sequence: number;
  call: () => void;
  state: 'near' | 'far' | 'over' = 'over';
  // Neighbours in a bucket, which is a ring that begins and ends at the bucket's own entry.
  previous: Entry = this;
  next: Entry = this;

  constructor(atMs: number, sequence: number, call: () => void) {
    this.atMs = atMs;
    this.sequence = sequence;
    this.call = call;
  }
}

export class TimingWheel implements EventQueue {
  readonly #buckets: readonly Entry[] = Array.from({ length: BUCKETS }, () => new Entry(-1, -1, NOTHING));
  /** A binary heap in (time, insertion) order; cancelled entries stay in it until they surface or are swept out. */
  #far: Entry[] = [];
  #cancelledFar = 0;
  #near = 0;
  #nowMs = 0;
  #sequence = 0;
  #ran = 0;
  #isRunning = false;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#near + this.#far.length - this.#cancelledFar;
  }

  /** Calls made so far: the measure of how fast a simulation runs. */
  get ran(): number {
    return this.#ran;
  }

  at(atMs: number, call: () => void): Timer {
    const dueMs = Math.max(this.#nowMs, Math.ceil(atMs));
    invariant(dueMs >= this.#nowMs, 'a timer has a time');
    invariant(this.pending < EVENTS_MAX, 'timers end at some time');
    const entry = new Entry(dueMs, this.#sequence, call);
    this.#sequence += 1;
    if (dueMs - this.#nowMs < BUCKETS) this.#addNear(entry);
    else this.#addFar(entry);
    return entry;
  }

  cancel(timer: Timer): void {
    invariant(timer instanceof Entry, 'a timer comes from this queue');
    if (timer.state === 'near') this.#takeNear(timer);
    else if (timer.state === 'far') this.#cancelledFar += 1;
    timer.state = 'over';
    timer.call = NOTHING;
    if (this.#cancelledFar > CANCELLED_FAR_MAX && this.#cancelledFar * 2 > this.#far.length) this.#sweepFar();
  }

  run(untilMs: number): void {
    invariant(Number.isSafeInteger(untilMs) && untilMs >= this.#nowMs, 'time goes on in whole ms');
    invariant(!this.#isRunning, 'a queue is not run from inside itself');
    this.#isRunning = true;
    try {
      for (;;) {
        this.#runBucket();
        if (this.#nowMs >= untilMs) return;
        this.#nowMs = this.#nextMs(untilMs);
        this.#moveFarIn();
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /** Everything that is due now, and what is added for now meanwhile. */
  #runBucket(): void {
    const bucket = this.#bucketOf(this.#nowMs);
    while (bucket.next !== bucket) {
      const entry = bucket.next;
      const { call } = entry;
      this.#takeNear(entry);
      entry.state = 'over';
      entry.call = NOTHING;
      this.#ran += 1;
      call();
    }
  }

  /** The next moment at which there is something to do, and `untilMs` if that is earlier. */
  #nextMs(untilMs: number): number {
    if (this.#near === 0) return Math.min(untilMs, this.#far[0]?.atMs ?? untilMs);
    // Far timers are later than everything in the wheel.
    let atMs = this.#nowMs + 1;
    while (atMs < untilMs) {
      const bucket = this.#bucketOf(atMs);
      if (bucket.next !== bucket) break;
      atMs += 1;
    }
    return atMs;
  }

  #bucketOf(atMs: number): Entry {
    const bucket = this.#buckets[atMs % BUCKETS];
    invariant(bucket !== undefined, 'every ms has a bucket');
    return bucket;
  }

  #addNear(entry: Entry): void {
    const bucket = this.#bucketOf(entry.atMs);
    const last = bucket.previous;
    entry.previous = last;
    entry.next = bucket;
    last.next = entry;
    bucket.previous = entry;
    entry.state = 'near';
    this.#near += 1;
  }

  #takeNear(entry: Entry): void {
    entry.previous.next = entry.next;
    entry.next.previous = entry.previous;
    entry.previous = entry;
    entry.next = entry;
    this.#near -= 1;
  }

  /** What the wheel reaches by now. */
  #moveFarIn(): void {
    for (;;) {
      const first = this.#far[0];
      if (first === undefined) return;
      if (first.state === 'far' && first.atMs - this.#nowMs >= BUCKETS) return;
      this.#takeFirstFar();
      if (first.state === 'far') this.#addNear(first);
      else this.#cancelledFar -= 1;
    }
  }

  #addFar(entry: Entry): void {
    entry.state = 'far';
    this.#far.push(entry);
    this.#siftUp(this.#far.length - 1);
  }

  #takeFirstFar(): void {
    const last = this.#far.pop();
    if (last === undefined || this.#far.length === 0) return;
    this.#far[0] = last;
    this.#siftDown(0);
  }

  #sweepFar(): void {
    this.#far = this.#far.filter(({ state }) => state === 'far');
    this.#cancelledFar = 0;
    for (let index = (this.#far.length >> 1) - 1; index >= 0; index -= 1) this.#siftDown(index);
  }

  #siftUp(from: number): void {
    const heap = this.#far;
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfEarlier(heap, index, parent)) return;
      index = parent;
    }
  }

  #siftDown(from: number): void {
    const heap = this.#far;
    let index = from;
    for (;;) {
      const left = index * 2 + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const child = right < heap.length && isEarlier(heap[right], heap[left]) ? right : left;
      if (!this.#swapIfEarlier(heap, child, index)) return;
      index = child;
    }
  }

  #swapIfEarlier(heap: Entry[], child: number, parent: number): boolean {
    const [lower, upper] = [heap[child], heap[parent]];
    if (lower === undefined || upper === undefined || !isEarlier(lower, upper)) return false;
    heap[child] = upper;
    heap[parent] = lower;
    return true;
  }
}

function isEarlier(left: Entry | undefined, right: Entry | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  return left.atMs === right.atMs ? left.sequence < right.sequence : left.atMs < right.atMs;
}
