/**
 * Which member has to be looked at next? One deadline per member in a binary heap, so that a step costs as much as
 * there is to do and not as many members as there are (a sweep over all members dominates from 1000 on).
 * Moving a deadline leaves the old entry in the heap; it is recognised when it comes up and dropped. Equal deadlines
 * come out in the order in which they were set. Bounded: the heap is rebuilt when it is more than half stale.
 */
import type { NodeId } from '../ids.ts';

interface Entry {
  readonly node: NodeId;
  readonly atMs: number;
  readonly order: number;
}

export class Deadlines {
  #heap: Entry[] = [];
  readonly #current = new Map<NodeId, Entry>();
  #order = 0;

  /** Replaces the member's deadline. */
  set(node: NodeId, atMs: number): void {
    if (this.#current.get(node)?.atMs === atMs) return;
    this.#order += 1;
    const entry = { node, atMs, order: this.#order };
    this.#current.set(node, entry);
    this.#push(entry);
    if (this.#heap.length > 2 * this.#current.size + 16) this.#rebuild();
  }

  delete(node: NodeId): void {
    this.#current.delete(node);
  }

  /** Takes the first deadline that is due, or undefined. */
  take(nowMs: number): NodeId | undefined {
    const first = this.#first();
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.#pop();
    this.#current.delete(first.node);
    return first.node;
  }

  /** When the next one is due; Infinity when there is none. */
  nextMs(): number {
    return this.#first()?.atMs ?? Infinity;
  }

  #first(): Entry | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || this.#current.get(first.node) === first) return first;
      this.#pop();
    }
  }

  #rebuild(): void {
    this.#heap = [];
    for (const entry of this.#current.values()) this.#push(entry);
  }

  #push(entry: Entry): void {
    let index = this.#heap.length;
    this.#heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.#heap[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      this.#heap[index] = above;
      index = parent;
    }
    this.#heap[index] = entry;
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    let index = 0;
    for (;;) {
      const child = this.#lesserChild(index);
      const below = this.#heap[child];
      if (below === undefined || !isBefore(below, last)) break;
      this.#heap[index] = below;
      index = child;
    }
    this.#heap[index] = last;
  }

  #lesserChild(index: number): number {
    const left = this.#heap[2 * index + 1];
    const right = this.#heap[2 * index + 2];
    return left !== undefined && right !== undefined && isBefore(right, left) ? 2 * index + 2 : 2 * index + 1;
  }
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}
