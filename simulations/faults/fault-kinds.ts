/**
 * What kinds of fault have in common: which take a node away, which node they strike, when they end. Plans are checked,
 * made and shrunk by these few answers, so that a new kind of fault has one place to be entered. The order of the list
 * breaks ties between faults of one moment; names, never places in the list, key the randomness of a kind.
 */
import type { Fault, FaultKind } from './fault.ts';

export const FAULT_KINDS = [
  'crash',
  'power-loss',
  'leave',
  'pause',
  'suspend',
  'partition',
  'swizzle',
  'loss',
  'delay',
  'bandwidth',
  'duplicate',
  'clock-step',
  'clock-drift',
  'slow',
  'gray',
  'disk-full',
  'flash-crowd',
  'relay-loss',
  'nat-rebinding',
  'version-skew',
  'liar',
] as const satisfies readonly FaultKind[];

/** Kinds that make a machine stand still or go away: a node suffers one of them at a time. */
const LIFECYCLE: ReadonlySet<FaultKind> = new Set(['crash', 'power-loss', 'leave', 'pause', 'suspend']);

/** Kinds that strike no node of their own: the mesh as a whole. */
const MESH_WIDE: ReadonlySet<FaultKind> = new Set(['partition', 'swizzle', 'flash-crowd']);

/** Kinds of which two at a time make sense in one place: cuts add up. */
const STACKING: ReadonlySet<FaultKind> = new Set(['partition', 'swizzle']);

export function isLifecycle(kind: FaultKind): boolean {
  return LIFECYCLE.has(kind);
}

export function isMeshWide(kind: FaultKind): boolean {
  return MESH_WIDE.has(kind);
}

/** The one node that a fault strikes. */
export function nodeOf(fault: Fault): number | undefined {
  return 'node' in fault ? fault.node : undefined;
}

/** When it is over; one without a duration is over at once. */
export function endOf(fault: Fault): number {
  return 'durationMs' in fault ? fault.atMs + fault.durationMs : fault.atMs;
}

/** What the fault occupies while it lasts; two faults that occupy the same may not overlap. undefined = nothing. */
export function occupies(fault: Fault): string | undefined {
  if (STACKING.has(fault.kind)) return undefined;
  const what = isLifecycle(fault.kind) ? 'life' : fault.kind;
  return `${what} ${nodeOf(fault) ?? 'mesh'}`;
}

/** Most members that may lie. Source: paper (a third is what systems with Byzantine members bear). */
export function liarsMax(nodes: number): number {
  return Math.floor(nodes / 3);
}

/** By time, then kind, then node: the order of a plan. */
export function compareFaults(left: Fault, right: Fault): number {
  return (
    left.atMs - right.atMs ||
    FAULT_KINDS.indexOf(left.kind) - FAULT_KINDS.indexOf(right.kind) ||
    (nodeOf(left) ?? -1) - (nodeOf(right) ?? -1)
  );
}
