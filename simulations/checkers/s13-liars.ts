/**
 * S13: who lies about itself gets at most `rateClamp` times its fair share of first tries once the others had time to
 * learn. Fair is an equal part among the nodes that the record of each placement considered, or what it got before
 * it lied where that was more (a fast machine may be chosen often for good reasons). Counted from `LEARNING_MS` after the
 * lie began until it ends, and judged with the 99.9 % lower bound of the count.
 * Not covered: lies that a third of the mesh or more tells at once (they move the median). A node's name in a
 * placement is learned from its first try, so a liar that gets none is not looked at.
 */
import { PLACEMENT } from '../../src/params.ts';
import type { NodeId } from '../../src/ids.ts';
import type { DispatchPlan } from '../../src/node/events.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { Fault } from '../faults/fault.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { endMs } from './calm.ts';
import { FirstTries } from './first-tries.ts';
import { poissonLowerBound } from './poisson.ts';

/** Source: `FORGIVE_HALF_MS` of placement/observations.ts: what is learned in less is remembered. */
export const LEARNING_MS = 120_000;
/** Fair tries before the lie that make a share of its own. Source: guess: known to a fifth. */
const HABIT_TRIES_MIN = 25;
const CONFIDENCE = 0.999;

type LiarFault = Extract<Fault, { kind: 'liar' }>;

interface Count {
  tries: number;
  fair: number;
}

class Liars implements Checker {
  readonly #breaches: Breaches;
  readonly #tries = new FirstTries();
  readonly #lies: readonly { readonly fault: LiarFault; readonly before: Count; readonly during: Count }[];
  readonly #nodes: number;

  constructor(context: CheckContext) {
    this.#breaches = new Breaches(context);
    this.#nodes = context.scenario.nodes;
    this.#lies = context.plan
      .filter((fault) => fault.kind === 'liar')
      .map((fault) => ({ fault, before: { tries: 0, fair: 0 }, during: { tries: 0, fair: 0 } }));
  }

  observe(event: WorldEvent, atMs: number): void {
    if (this.#lies.length === 0) return;
    const first = this.#tries.observe(event);
    if (first !== undefined) this.#count(first, atMs);
  }

  finish(atMs: number): void {
    for (const { fault, before, during } of this.#lies) {
      const together = this.#lies.filter(
        ({ fault: other }) => other.atMs <= endMs(fault) && endMs(other) >= fault.atMs,
      ).length;
      if (together * 3 >= this.#nodes) continue;
      const habit = before.fair >= HABIT_TRIES_MIN ? Math.max(1, before.tries / before.fair) : 1;
      const most = PLACEMENT.rateClamp * habit * during.fair;
      if (poissonLowerBound(during.tries, CONFIDENCE) <= most) continue;
      const detail = `lied (${fault.lie}) and got ${during.tries} first tries, fair are ${(habit * during.fair).toFixed(1)}, at most ${most.toFixed(1)} promised`;
      this.#breaches.add('share', { atMs: Math.min(atMs, endMs(fault)), nodes: [fault.node], detail });
    }
  }

  #count({ server, plan }: { readonly server: number; readonly plan: DispatchPlan }, atMs: number): void {
    for (const { fault, before, during } of this.#lies) {
      const count = atMs < fault.atMs ? before : during;
      if (count === during && (atMs < fault.atMs + LEARNING_MS || atMs > endMs(fault))) continue;
      if (server === fault.node) count.tries += 1;
      const name = this.#tries.nameOf(fault.node);
      if (name !== undefined) count.fair += fairShare(plan, name);
    }
  }
}

function fairShare({ explain: { considered, omitted } }: DispatchPlan, name: NodeId): number {
  const isConsidered = considered.some(({ node }) => node === name);
  return isConsidered ? 1 / (considered.length + omitted) : 0;
}

export const liarsGainLittle: CheckerKind = {
  id: 'S13',
  promise: 'a liar gets at most three times its fair share of first tries once the others had time to learn',
  when: 'always',
  create: (context) => new Liars(context),
};
