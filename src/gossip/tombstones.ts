/**
 * Who has gone, and under which incarnation? A departed (node, incarnation) is remembered for ten minutes, so that no
 * copy of an old message can bring the node back; only a higher incarnation does. A signed goodbye is kept with it
 * and passed on, so that those who were cut off learn it too. Bounded: when full, the one that would expire first goes.
 */
import { compareIds, type NodeId } from '../ids.ts';
import { GOSSIP } from '../params.ts';

export interface Tombstone {
  readonly incarnation: number;
  readonly expiresAtMs: number;
  /** The signed goodbye; undefined for a node that was found dead. */
  readonly goodbye: Uint8Array | undefined;
}

/** Source: guess: every member of a full view may leave twice in ten minutes. */
const TOMBSTONES_MAX = 2 * GOSSIP.membersMax;

export class Tombstones {
  readonly #byNode = new Map<NodeId, Tombstone>();

  get(node: NodeId, nowMs: number): Tombstone | undefined {
    const tombstone = this.#byNode.get(node);
    return tombstone !== undefined && tombstone.expiresAtMs > nowMs ? tombstone : undefined;
  }

  /** Remembers a departure; returns those forgotten to make room or because their time was up. */
  add(node: NodeId, departed: Pick<Tombstone, 'incarnation' | 'goodbye'>, nowMs: number): Map<NodeId, Tombstone> {
    const forgotten = this.expire(nowMs);
    const replaced = this.#byNode.get(node);
    if (replaced !== undefined) forgotten.set(node, replaced);
    this.#byNode.set(node, { ...departed, expiresAtMs: nowMs + GOSSIP.tombstoneMs });
    if (this.#byNode.size > TOMBSTONES_MAX) this.#forgetEarliest(forgotten);
    return forgotten;
  }

  delete(node: NodeId): Tombstone | undefined {
    const tombstone = this.#byNode.get(node);
    this.#byNode.delete(node);
    return tombstone;
  }

  /** Removes and returns what is over. */
  expire(nowMs: number): Map<NodeId, Tombstone> {
    const over = new Map([...this.#byNode].filter(([, tombstone]) => tombstone.expiresAtMs <= nowMs));
    for (const node of over.keys()) this.#byNode.delete(node);
    return over;
  }

  /** The goodbyes to pass on, by node id. */
  goodbyes(): [NodeId, Uint8Array][] {
    return [...this.#byNode]
      .flatMap(([node, { goodbye }]): [NodeId, Uint8Array][] => (goodbye === undefined ? [] : [[node, goodbye]]))
      .toSorted(([left], [right]) => compareIds(left, right));
  }

  #forgetEarliest(forgotten: Map<NodeId, Tombstone>): void {
    let earliest: [NodeId, Tombstone] | undefined;
    for (const entry of this.#byNode)
      if (earliest === undefined || entry[1].expiresAtMs < earliest[1].expiresAtMs) earliest = entry;
    if (earliest === undefined) return;
    this.#byNode.delete(earliest[0]);
    forgotten.set(earliest[0], earliest[1]);
  }
}
