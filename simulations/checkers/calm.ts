/**
 * Was this node left alone by the faults of the plan? Promises about nodes that are up and reachable hold for nodes that
 * nothing struck: from the moment that a fault touches a node until `settleMs` after its end it is not calm. Everything
 * comes from the plan, so the answer for any moment is known from the start. Faults of the work only (flash crowd, slow
 * tokens, a full disk, gossip sent twice) leave a node calm: its heartbeats and links are not touched.
 */
import { GOSSIP } from '../../src/params.ts';
import type { Fault, FaultPlan } from '../faults/fault.ts';

/** Source: computed: one anti-entropy exchange, in which the last copy of what happened meanwhile gets everywhere. */
export const SETTLE_MS = GOSSIP.antiEntropyIntervalMs;

interface Spell {
  readonly fromMs: number;
  readonly toMs: number;
}

const CALM_KINDS: ReadonlySet<Fault['kind']> = new Set(['flash-crowd', 'slow', 'disk-full', 'duplicate']);

export class Calm {
  /** By node: when it was struck, ascending, apart from each other. */
  readonly #spells: readonly (readonly Spell[])[];

  /** `alsoStruck`: kinds that this checker does not want to see either. */
  constructor(plan: FaultPlan, nodes: number, alsoStruck: readonly Fault['kind'][] = []) {
    const struck: Spell[][] = Array.from({ length: nodes }, () => []);
    for (const fault of plan) {
      if (CALM_KINDS.has(fault.kind) && !alsoStruck.includes(fault.kind)) continue;
      const spell = { fromMs: fault.atMs, toMs: endMs(fault) + SETTLE_MS };
      for (const node of struckNodes(fault)) struck[node]?.push(spell);
    }
    this.#spells = struck.map(merged);
  }

  /** True when nothing touched the node at any moment of the time given, both ends included. */
  isCalm(node: number, fromMs: number, toMs: number): boolean {
    const spells = this.#spells[node] ?? [];
    let low = 0;
    let high = spells.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((spells[middle]?.toMs ?? 0) < fromMs) low = middle + 1;
      else high = middle;
    }
    const next = spells[low];
    return next === undefined || next.fromMs > toMs;
  }
}

export function endMs(fault: Fault): number {
  return 'durationMs' in fault ? fault.atMs + fault.durationMs : fault.atMs;
}

export function struckNodes(fault: Fault): readonly number[] {
  if (fault.kind === 'partition') return fault.groups.flat();
  if (fault.kind === 'swizzle') return fault.nodes;
  return 'node' in fault ? [fault.node] : [];
}

function merged(spells: readonly Spell[]): readonly Spell[] {
  const result: Spell[] = [];
  for (const spell of spells.toSorted((left, right) => left.fromMs - right.fromMs)) {
    const last = result.at(-1);
    if (last === undefined || last.toMs < spell.fromMs) result.push(spell);
    else result[result.length - 1] = { fromMs: last.fromMs, toMs: Math.max(last.toMs, spell.toMs) };
  }
  return result;
}
