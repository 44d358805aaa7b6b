/**
 * Which member has to be looked at next? One deadline per member in a binary heap, so that a step costs as much as
 * there is to do and not as many members as there are (a sweep over all members dominates from 1000 on). Nearly every
 * message moves a deadline further away, so that costs nothing but a note: the entry stays where it is and finds its
 * later place when it comes up. Equal deadlines come out in the order in which they were set. Who has a deadline
 * carries its fields, so that nobody has to look it up.
 * Limits: one entry per member, no more.
 */

/** What whoever has a deadline carries; changed only here. */
export interface Deadline {
  /** Its place in the heap. */
  heapIndex: number;
  /** What the heap is ordered by: never later than what is due. */
  heapAtMs: number;
  heapOrder: number;
  dueMs: number;
  dueOrder: number;
}

/** The place of who has no deadline. */
export const NOWHERE = -1;

export function deadlineOf({ heapIndex, heapAtMs, heapOrder, dueMs, dueOrder }: Deadline): Deadline {
  return { heapIndex, heapAtMs, heapOrder, dueMs, dueOrder };
}

export class Deadlines<Owner extends Deadline> {
  readonly #heap: Owner[] = [];
  #order = 0;

  /** Replaces the owner's deadline. */
  set(entry: Owner, atMs: number): void {
    const isKnown = entry.heapIndex !== NOWHERE;
    if (isKnown && entry.dueMs === atMs) return;
    this.#order += 1;
    entry.dueMs = atMs;
    entry.dueOrder = this.#order;
    if (isKnown && atMs >= entry.heapAtMs) return;
    entry.heapAtMs = atMs;
    entry.heapOrder = this.#order;
    if (!isKnown) {
      entry.heapIndex = this.#heap.length;
      this.#heap.push(entry);
    }
    this.#siftUp(entry);
  }

  delete(entry: Owner): void {
    if (entry.heapIndex === NOWHERE) return;
    const { heapIndex: index } = entry;
    entry.heapIndex = NOWHERE;
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    this.#place(last, index);
    this.#siftUp(last);
    this.#siftDown(last);
  }

  /** Whose deadline is due, the first one; it stays until it is moved or deleted. */
  due(nowMs: number): Owner | undefined {
    const first = this.#first();
    return first === undefined || first.dueMs > nowMs ? undefined : first;
  }

  /** When the next one is due; Infinity when there is none. */
  nextMs(): number {
    return this.#first()?.dueMs ?? Infinity;
  }

  #first(): Owner | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.heapOrder === first.dueOrder) return first;
      first.heapAtMs = first.dueMs;
      first.heapOrder = first.dueOrder;
      this.#siftDown(first);
    }
  }

  #siftUp(entry: Owner): void {
    const heap = this.#heap;
    let { heapIndex: index } = entry;
    while (index > 0) {
      const place = (index - 1) >> 1;
      const above = heap[place];
      if (above === undefined || !isBefore(entry, above)) break;
      this.#place(above, index);
      index = place;
    }
    this.#place(entry, index);
  }

  #siftDown(entry: Owner): void {
    const heap = this.#heap;
    let { heapIndex: index } = entry;
    for (;;) {
      const place = 2 * index + 1;
      const left = heap[place];
      const right = heap[place + 1];
      const below = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (below === undefined || !isBefore(below, entry)) break;
      const { heapIndex: belowIndex } = below;
      this.#place(below, index);
      index = belowIndex;
    }
    this.#place(entry, index);
  }

  #place(entry: Owner, index: number): void {
    if (this.#heap[index] !== entry) this.#heap[index] = entry;
    entry.heapIndex = index;
  }
}

function isBefore(left: Deadline, right: Deadline): boolean {
  return left.heapAtMs < right.heapAtMs || (left.heapAtMs === right.heapAtMs && left.heapOrder < right.heapOrder);
}
