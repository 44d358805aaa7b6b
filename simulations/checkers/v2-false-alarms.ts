/**
 * V2: fewer than one false suspicion and 0.05 false deaths per node-day at up to 10 % loss. False = the target was up and
 * reachable for the whole minute before, and so was who suspects it, but for pauses that are shorter than a sleep: a process
 * that only stood still must not take its own absence for the silence of others. A suspicion that many share is one: verdicts
 * about one target less than `EPISODE_MS` apart count once. Node-days are those of nodes in that state, counted by
 * samples. Broken when the 99 % lower bound of the count exceeds the promise times the node-days, so that a short run is not
 * judged by one event. Not covered: more than 10 % loss, bursts longer than 300 ms (no detector of 3 s can do it), two or
 * more members that accuse everybody at once, and a node that lost links because a third one, its relay, stopped.
 */
import { LIVENESS } from '../../src/params.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { Fault } from '../faults/fault.ts';
import { SAMPLE_INTERVAL_MS, type WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { Calm, endMs } from './calm.ts';
import { poissonLowerBound } from './poisson.ts';
import { Presence } from './presence.ts';

type Alarm = 'suspect' | 'dead';

/** Per node-day. Source: the promise. */
const ALARMS_PER_NODE_DAY: Readonly<Record<Alarm, number>> = { suspect: 1, dead: 0.05 };
/** Source: the promise. */
const LOSS_MAX = 0.1;
/** Source: the simulation that the promise comes from: bursts with a mean of 300 ms. */
const LOSS_BURST_MS_MAX = 300;
/** Up and calm for this long: what happened before is over. Source: guess: several times the 15 s of suspicion and death. */
export const CLEAN_MS = 60_000;
/** Source: guess: longer than a suspicion takes to spread and to clear. */
export const EPISODE_MS = 30_000;
/** Links lost within this time after a third node stopped are its doing. Source: guess. */
const RELAY_MS = 10_000;
const DAY_MS = 86_400_000;

interface Example {
  readonly atMs: number;
  readonly nodes: readonly number[];
  readonly reason: string;
}

/** Shorter than a sleep. */
function isStall(fault: Fault): boolean {
  return fault.kind === 'pause' && fault.durationMs <= LIVENESS.sleptAfterMs;
}

class FalseAlarms implements Checker {
  readonly #breaches: Breaches;
  readonly #calm: Calm;
  readonly #presence: Presence;
  /** The same for who suspects: its short pauses do not count. */
  readonly #observerCalm: Calm;
  readonly #observerPresence: Presence;
  readonly #lastMs: Readonly<Record<Alarm, Float64Array>>;
  readonly #counts: Record<Alarm, number> = { suspect: 0, dead: 0 };
  readonly #examples: Record<Alarm, Example | undefined> = { suspect: undefined, dead: undefined };
  readonly #accusers: readonly { readonly fromMs: number; readonly toMs: number }[];
  readonly #isCovered: boolean;
  readonly #hasRelays: boolean;
  readonly #linkLostMs: Float64Array;
  #stoppedMs = -Infinity;
  #cleanMs = 0;

  constructor(context: CheckContext) {
    const { nodes, network, nat } = context.scenario;
    this.#breaches = new Breaches(context);
    this.#calm = new Calm(context.plan, nodes);
    this.#presence = new Presence(nodes);
    this.#observerCalm = new Calm(
      context.plan.filter((fault) => !isStall(fault)),
      nodes,
    );
    this.#observerPresence = new Presence(nodes);
    const never = (): Float64Array => new Float64Array(nodes).fill(-Infinity);
    this.#lastMs = { suspect: never(), dead: never() };
    this.#linkLostMs = never();
    this.#isCovered = network.loss <= LOSS_MAX && network.lossBurstMs <= LOSS_BURST_MS_MAX;
    this.#hasRelays = (nat['relay-only'] ?? 0) > 0;
    this.#accusers = context.plan
      .filter((fault) => fault.kind === 'liar' && fault.lie === 'accuse')
      .map((fault) => ({ fromMs: fault.atMs, toMs: endMs(fault) + CLEAN_MS }));
  }

  observe(event: WorldEvent, atMs: number): void {
    if (!this.#isCovered) return;
    this.#presence.observe(event, atMs);
    this.#observeObservers(event, atMs);
    switch (event.type) {
      case 'verdict':
        return this.#verdict(event, atMs);
      case 'sampled':
        if (this.#isClean(event.node, atMs)) this.#cleanMs += SAMPLE_INTERVAL_MS;
        return;
      case 'stopped':
        this.#stoppedMs = atMs;
        return;
      case 'disconnected':
        return this.#linkLost(event.node, event.peer, atMs);
      default:
    }
  }

  finish(atMs: number): void {
    const nodeDays = this.#cleanMs / DAY_MS;
    for (const alarm of ['suspect', 'dead'] as const) {
      const count = this.#counts[alarm];
      const allowed = ALARMS_PER_NODE_DAY[alarm] * nodeDays;
      const example = this.#examples[alarm];
      if (example === undefined || poissonLowerBound(count) <= allowed) continue;
      const detail = `${count} false verdicts of ${alarm} in ${nodeDays.toFixed(3)} node-days, fewer than ${allowed.toFixed(3)} promised (at least ${poissonLowerBound(count).toFixed(3)} are no chance); the last at ${example.atMs} ms: ${example.reason}`;
      this.#breaches.add(alarm, { atMs: Math.min(atMs, example.atMs), nodes: example.nodes, detail });
    }
  }

  /** Between two that both live: the way between them broke, not one of them. */
  #linkLost(node: number, peer: number, atMs: number): void {
    if (!this.#presence.isUp(node) || !this.#presence.isUp(peer)) return;
    this.#linkLostMs[node] = atMs;
    this.#linkLostMs[peer] = atMs;
  }

  #verdict({ node, target, verdict, reason }: Extract<WorldEvent, { type: 'verdict' }>, atMs: number): void {
    if (verdict !== 'suspect' && verdict !== 'dead') return;
    // A full view forgets the living too; that is no death.
    if (reason.includes('made room') || !this.#isCleanObserver(node, atMs) || !this.#isClean(target, atMs)) return;
    if (this.#isExcused(target, atMs)) return;
    const isNew = atMs - (this.#lastMs[verdict][target] ?? 0) > EPISODE_MS;
    this.#lastMs[verdict][target] = atMs;
    if (!isNew) return;
    this.#counts[verdict] += 1;
    this.#examples[verdict] = { atMs, nodes: [target, node], reason };
  }

  #isClean(node: number, atMs: number): boolean {
    const fromMs = atMs - CLEAN_MS;
    return this.#presence.isUpSince(node, fromMs) && this.#calm.isCalm(node, fromMs, atMs);
  }

  #isCleanObserver(node: number, atMs: number): boolean {
    const fromMs = atMs - CLEAN_MS;
    return this.#observerPresence.isUpSince(node, fromMs) && this.#observerCalm.isCalm(node, fromMs, atMs);
  }

  /** Pauses are left out: longer ones are in the plan. */
  #observeObservers(event: WorldEvent, atMs: number): void {
    if (event.type === 'stopped' && event.how === 'paused') return;
    if (event.type === 'resumed' && this.#observerPresence.isUp(event.node)) return;
    this.#observerPresence.observe(event, atMs);
  }

  #isExcused(target: number, atMs: number): boolean {
    const accusing = this.#accusers.filter(({ fromMs, toMs }) => fromMs <= atMs && toMs >= atMs).length;
    if (accusing >= 2) return true;
    const lostMs = this.#linkLostMs[target] ?? -Infinity;
    return this.#hasRelays && atMs - lostMs <= RELAY_MS && Math.abs(lostMs - this.#stoppedMs) <= RELAY_MS;
  }
}

export const alarmsAreRare: CheckerKind = {
  id: 'V2',
  promise: 'fewer than one false suspicion and 0.05 false deaths per node-day at up to 10 % loss',
  when: 'always',
  create: (context) => new FalseAlarms(context),
};
