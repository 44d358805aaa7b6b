/**
 * The second part of V7: who sends work to a full machine while others stand idle? A request bounces blindly when a
 * node refuses it as busy at a moment in which at least half of the nodes that hold its model surely have a free slot
 * (`free-slots.ts`). An entrance that knows what it sent itself hardly ever does that; many entrances do it now and then,
 * because none knows of the others before a beacon tells. Of all requests at most `BLIND_SHARE_MAX` may, judged with the
 * 99 % lower bound of their number. A mesh that is full bounces as much as it must; only what was avoidable counts.
 * Not covered: entrances and servers that a fault touches, slow ones included, holders that never ran the model, the
 * first windows, in which speeds are guesses, and as long as somebody lies, who may lower everybody's level.
 */
import type { CheckContext } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import type { Breaches } from './breaches.ts';
import { type Calm, endMs, SETTLE_MS } from './calm.ts';
import { FreeSlots } from './free-slots.ts';
import { poissonLowerBound } from './poisson.ts';
import type { Presence } from './presence.ts';

type Of<Type extends WorldEvent['type']> = Extract<WorldEvent, { type: Type }>;

/**
 * Source: measured: 0 with one entrance, at most 1.2 % with the 10 to 14 of the swarm, 2 to 4 % with 40; with one entrance
 * that forgets its own dispatches 9 % and more.
 */
export const BLIND_SHARE_MAX = 0.05;
/** Of the holders, that have a slot free. Source: ours: half; "some" would count bounces from fast nodes off slow ones. */
const FREE_SHARE = 0.5;
/** Fewer requests say nothing: bounces come in bunches. Source: guess: one expected bounce. */
export const REQUESTS_MIN = 100;

export interface BouncesOptions {
  readonly context: CheckContext;
  readonly breaches: Breaches;
  /** Of V7: slow nodes are not calm either. */
  readonly calm: Calm;
  readonly presence: Presence;
  /** Nothing before counts. */
  readonly fromMs: number;
}

export class Bounces {
  readonly #options: BouncesOptions;
  readonly #free: FreeSlots;
  /** The model of each request that lives. */
  readonly #models = new Map<string, number>();
  readonly #lies: readonly { readonly fromMs: number; readonly toMs: number }[];
  #requests = 0;
  #blind = 0;

  constructor(options: BouncesOptions) {
    this.#options = options;
    this.#lies = options.context.plan
      .filter(({ kind }) => kind === 'liar')
      .map((fault) => ({ fromMs: fault.atMs, toMs: endMs(fault) + SETTLE_MS }));
    this.#free = new FreeSlots(options.context.scenario.nodes);
  }

  observe(event: WorldEvent, atMs: number): void {
    switch (event.type) {
      case 'request-arrived':
        this.#models.set(event.requestId, event.model);
        if (this.#counts(atMs) && this.#isCalm(event.node, atMs)) this.#requests += 1;
        return;
      case 'request-ended':
        this.#models.delete(event.requestId);
        return;
      case 'run-started': {
        const model = this.#models.get(event.requestId);
        if (model !== undefined) this.#free.started(event, model);
        return;
      }
      case 'run-ended':
        return this.#free.ended(event);
      case 'sampled':
        return this.#free.sampled(event);
      case 'started':
        return this.#free.restarted(event.node);
      case 'offered':
        if (event.answer === 'refused' && event.code === 'busy') this.#bounced(event, atMs);
        return;
      default:
    }
  }

  finish(atMs: number): void {
    const most = BLIND_SHARE_MAX * this.#requests;
    if (this.#requests < REQUESTS_MIN || poissonLowerBound(this.#blind) <= most) return;
    const detail = `${this.#blind} times a full node was asked while half of those with the model were free, at most ${most.toFixed(1)} of ${this.#requests} requests promised`;
    this.#options.breaches.add('bounces', { atMs, nodes: [], detail });
  }

  #bounced({ node, from, requestId }: Of<'offered'>, atMs: number): void {
    const model = this.#models.get(requestId);
    if (model === undefined || !this.#counts(atMs)) return;
    if (!this.#isCalm(node, atMs) || !this.#isCalm(from, atMs)) return;
    let holders = 0;
    let free = 0;
    for (const holder of this.#free.holdersOf(model)) {
      holders += 1;
      if (this.#isCalm(holder, atMs) && this.#free.isFree(holder, model)) free += 1;
    }
    if (free >= FREE_SHARE * holders) this.#blind += 1;
  }

  #counts(atMs: number): boolean {
    return atMs >= this.#options.fromMs && !this.#lies.some(({ fromMs, toMs }) => fromMs <= atMs && atMs <= toMs);
  }

  #isCalm(node: number, atMs: number): boolean {
    const { calm, presence } = this.#options;
    return presence.isUp(node) && calm.isCalm(node, atMs, atMs);
  }
}
