/**
 * Who watches whom? Up to nine members everybody watches everybody. Above that each member has eight monitors, the
 * first in a rendezvous order of (watched, watcher) hashes: every node computes the same eight without asking, a join
 * or a leave moves few of them, and the cost of heartbeats stays the same at any size. Views may differ for a moment;
 * then a monitor too many pings once and a monitor too few is made up by the others. Source: docs/PROTOCOL.md.
 */
import { type Hash64, mixHashes } from '../bytes.ts';
import { compareIds, type NodeId } from '../ids.ts';
import { LIVENESS } from '../params.ts';

export interface Ranked {
  readonly node: NodeId;
  readonly hash: Hash64;
}

/** True where a mesh of `members` (this node included) is small enough for all to watch all. */
export function allWatchAll(members: number): boolean {
  return members - 1 <= LIVENESS.monitorsMax;
}

/** The first monitors of `watched` among the candidates, sorted by id. */
export function monitorsOf(watched: Ranked, candidates: Iterable<Ranked>): NodeId[] {
  return [...candidates]
    .filter(({ node }) => node !== watched.node)
    .toSorted((left, right) => comparePlaces(watched, left, right))
    .slice(0, LIVENESS.monitorsMax)
    .map(({ node }) => node)
    .toSorted(compareIds);
}

/** Whether `watcher` is among the first monitors of `watched`; stops as soon as enough others come before it. */
export function isMonitorOf(watched: Ranked, watcher: Ranked, others: Iterable<Ranked>): boolean {
  let before = 0;
  for (const other of others) {
    if (other.node === watched.node || other.node === watcher.node) continue;
    if (comparePlaces(watched, other, watcher) < 0) before += 1;
    if (before >= LIVENESS.monitorsMax) return false;
  }
  return true;
}

function comparePlaces(watched: Ranked, left: Ranked, right: Ranked): number {
  const difference = mixHashes(watched.hash, left.hash) - mixHashes(watched.hash, right.hash);
  return difference === 0 ? compareIds(left.node, right.node) : difference;
}
