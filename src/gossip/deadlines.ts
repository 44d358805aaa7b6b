/**
 * Which member has to be looked at next? One deadline per member in a binary heap, so that a step costs as much as
 * there is to do and not as many members as there are (a sweep over all members dominates from 1000 on). Nearly every
 * message moves a deadline further away, so that costs nothing but a note: the entry stays where it is and finds its
 * later place when it comes up. Equal deadlines come out in the order in which they were set.
 * Limits: one entry per member, no more.
 */
import type { NodeId } from '../ids.ts';

interface Entry {
  readonly node: NodeId;
  index: number;
  /** What the heap is ordered by: never later than what is due. */
  atMs: number;
  order: number;
  dueMs: number;
  dueOrder: number;
}

export class Deadlines {
  readonly #heap: Entry[] = [];
  readonly #byNode = new Map<NodeId, Entry>();
  #order = 0;

  /** Replaces the member's deadline. */
  set(node: NodeId, atMs: number): void {
    const known = this.#byNode.get(node);
    if (known?.dueMs === atMs) return;
    this.#order += 1;
    const order = this.#order;
    if (known === undefined) {
      const entry = { node, index: this.#heap.length, atMs, order, dueMs: atMs, dueOrder: order };
      this.#byNode.set(node, entry);
      this.#heap.push(entry);
      this.#siftUp(entry);
      return;
    }
    known.dueMs = atMs;
    known.dueOrder = order;
    if (atMs >= known.atMs) return;
    known.atMs = atMs;
    known.order = order;
    this.#siftUp(known);
  }

  delete(node: NodeId): void {
    const entry = this.#byNode.get(node);
    if (entry !== undefined) this.#remove(entry);
  }

  /** Takes the first deadline that is due, or undefined. */
  take(nowMs: number): NodeId | undefined {
    const first = this.#first();
    if (first === undefined || first.dueMs > nowMs) return undefined;
    this.#remove(first);
    return first.node;
  }

  /** When the next one is due; Infinity when there is none. */
  nextMs(): number {
    return this.#first()?.dueMs ?? Infinity;
  }

  #first(): Entry | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.order === first.dueOrder) return first;
      first.atMs = first.dueMs;
      first.order = first.dueOrder;
      this.#siftDown(first);
    }
  }

  #remove(entry: Entry): void {
    this.#byNode.delete(entry.node);
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    this.#place(last, entry.index);
    this.#siftUp(last);
    this.#siftDown(last);
  }

  #siftUp(entry: Entry): void {
    while (entry.index > 0) {
      const { index } = entry;
      const above = this.#heap[(index - 1) >> 1];
      if (above === undefined || !isBefore(entry, above)) return;
      this.#place(entry, above.index);
      this.#place(above, index);
    }
  }

  #siftDown(entry: Entry): void {
    for (;;) {
      const { index } = entry;
      const left = this.#heap[2 * index + 1];
      const right = this.#heap[2 * index + 2];
      const below = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (below === undefined || !isBefore(below, entry)) return;
      this.#place(entry, below.index);
      this.#place(below, index);
    }
  }

  #place(entry: Entry, index: number): void {
    entry.index = index;
    this.#heap[index] = entry;
  }
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}
