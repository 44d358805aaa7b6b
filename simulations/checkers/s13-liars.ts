/**
 * S13: who lies about itself gets at most three times its fair share of first tries once the others had time to learn,
 * and at most the square of that before. Fair is an equal part among the nodes that the record of each placement
 * considered, or what it got before it lied where that was more (a fast machine may be chosen often for good reasons). The
 * time to learn is `LEARNING_MS` from the beginning of the lie; both counts are judged with their 99.9 % lower bounds.
 * Not covered: lies that a third of the mesh or more tells at once (they move the median). A node's name in a
 * placement is learned from its first try, so a liar that gets none is not looked at.
 */
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
/** Of the fair share. Source: the promise; not read from the params of the core, which are under test. */
const LEARNED_SHARE_MAX = 3;
/**
 * The same before anybody measured: a clamped rate counts three times, once in how much fits under the level and once
 * more in how far below the level the node seems to be. Source: computed; measured with 40 nodes: 6 to 8 times with the
 * clamp, 16 to 20 times without.
 */
const UNLEARNED_SHARE_MAX = LEARNED_SHARE_MAX ** 2;

type LiarFault = Extract<Fault, { kind: 'liar' }>;

interface Count {
  tries: number;
  fair: number;
}

interface Lied {
  readonly fault: LiarFault;
  /** Of all first tries: before the lie, within the time to learn, and from then until it ends. */
  readonly before: Count;
  readonly unlearned: Count;
  readonly learned: Count;
}

class Liars implements Checker {
  readonly ignoresGossip = true;
  readonly #breaches: Breaches;
  readonly #tries = new FirstTries();
  readonly #lies: readonly Lied[];
  readonly #nodes: number;

  constructor(context: CheckContext) {
    this.#breaches = new Breaches(context);
    this.#nodes = context.scenario.nodes;
    this.#lies = context.plan
      .filter((fault) => fault.kind === 'liar')
      .map((fault) => ({ fault, before: nothing(), unlearned: nothing(), learned: nothing() }));
  }

  observe(event: WorldEvent, atMs: number): void {
    if (this.#lies.length === 0) return;
    const first = this.#tries.observe(event);
    if (first !== undefined) this.#count(first, atMs);
  }

  finish(atMs: number): void {
    for (const lie of this.#lies) {
      const { fault, before, unlearned, learned } = lie;
      const together = this.#lies.filter(
        ({ fault: other }) => other.atMs <= endMs(fault) && endMs(other) >= fault.atMs,
      ).length;
      if (together * 3 >= this.#nodes) continue;
      const habit = before.fair >= HABIT_TRIES_MIN ? Math.max(1, before.tries / before.fair) : 1;
      const endedAtMs = Math.min(atMs, endMs(fault));
      this.#judge(lie, learned, { habit, shareMax: LEARNED_SHARE_MAX, atMs: endedAtMs });
      const learnedAtMs = Math.min(endedAtMs, fault.atMs + LEARNING_MS);
      this.#judge(lie, unlearned, { habit, shareMax: UNLEARNED_SHARE_MAX, atMs: learnedAtMs });
    }
  }

  #judge(
    { fault, learned }: Lied,
    count: Count,
    { habit, shareMax, atMs }: { readonly habit: number; readonly shareMax: number; readonly atMs: number },
  ): void {
    const fair = habit * count.fair;
    if (poissonLowerBound(count.tries, CONFIDENCE) <= shareMax * fair) return;
    const when = count === learned ? 'once the others could know' : 'before the others could know';
    const detail = `lied (${fault.lie}) and got ${count.tries} first tries ${when}, fair are ${fair.toFixed(1)}, at most ${(shareMax * fair).toFixed(1)} promised`;
    this.#breaches.add('share', { atMs, nodes: [fault.node], detail });
  }

  #count({ server, plan }: { readonly server: number; readonly plan: DispatchPlan }, atMs: number): void {
    for (const lie of this.#lies) {
      const { node } = lie.fault;
      const count = countAt(lie, atMs);
      if (count === undefined) continue;
      if (server === node) count.tries += 1;
      const name = this.#tries.nameOf(node);
      if (name !== undefined) count.fair += fairShare(plan, name);
    }
  }
}

function nothing(): Count {
  return { tries: 0, fair: 0 };
}

function countAt({ fault, before, unlearned, learned }: Lied, atMs: number): Count | undefined {
  if (atMs < fault.atMs) return before;
  if (atMs > endMs(fault)) return undefined;
  return atMs < fault.atMs + LEARNING_MS ? unlearned : learned;
}

function fairShare({ explain: { considered, omitted } }: DispatchPlan, name: NodeId): number {
  const isConsidered = considered.some(({ node }) => node === name);
  return isConsidered ? 1 / (considered.length + omitted) : 0;
}

export const liarsGainLittle: CheckerKind = {
  id: 'S13',
  promise:
    'a liar gets at most three times its fair share of first tries once the others had time to learn, nine times before',
  when: 'always',
  create: (context) => new Liars(context),
};
