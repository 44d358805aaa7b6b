/**
 * V7: nobody herds. 1. In a window of one staleness interval (T: nobody's load is fresher) no node gets more than
 * three times the first tries that its weight share gives it. Its weight share is its mean share in the plans of the same model
 * over the last ten to twenty windows: the shares of the moment would follow the herd they are to show. What nodes
 * cannot take that are down or struck now is shared out among the others. A node is judged by its excess over chance
 * too: fewer than one in 10^9 windows of a node that gets just its share may show so many. 2. Full nodes are not asked
 * while others stand idle (`v7-bounces.ts`).
 * Not covered: tries that follow a session's prefix, the first twenty windows, and nodes that came, were struck or were
 * slowed within the windows that their share comes from.
 */
import type { NodeId } from '../../src/ids.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { Calm } from './calm.ts';
import { type FirstTry, FirstTries } from './first-tries.ts';
import { scenarioIntervalMs } from './load-interval.ts';
import { chanceAtLeast } from './poisson.ts';
import { Presence } from './presence.ts';
import { Bounces } from './v7-bounces.ts';

/** Source: the promise. */
const HERD_INDEX_MAX = 3;
/** Windows of one block; shares come from the last whole block and the running one. Source: guess. */
export const BLOCK_WINDOWS = 10;
/** Source: guess: a thousand nodes for a day are 10^8 windows. */
const CHANCE = 1e-9;

class Shares {
  readonly sums = new Map<NodeId, number>();
  plans = 0;
}

/** What is counted of one model. */
class ModelHerd {
  before: Shares | undefined;
  now = new Shares();
  /** First tries of this window, by node. */
  readonly window = new Map<number, number>();
  tries = 0;

  shareOf(name: NodeId): number {
    const plans = (this.before?.plans ?? 0) + this.now.plans;
    const sum = (this.before?.sums.get(name) ?? 0) + (this.now.sums.get(name) ?? 0);
    return plans === 0 ? 0 : sum / plans;
  }
}

class Herd implements Checker {
  readonly ignoresGossip = true;
  readonly #context: CheckContext;
  readonly #breaches: Breaches;
  readonly #calm: Calm;
  readonly #presence: Presence;
  readonly #firstTries = new FirstTries();
  readonly #bounces: Bounces;
  readonly #models = new Map<string, ModelHerd>();
  readonly #windowMs: number;
  #windowAtMs = 0;
  #windows = 0;
  /** When the shares begin that are used now. */
  #sharesFromMs = 0;
  #blockAtMs = 0;

  constructor(context: CheckContext) {
    this.#context = context;
    this.#breaches = new Breaches(context);
    this.#calm = new Calm(context.plan, context.scenario.nodes, ['slow']);
    this.#presence = new Presence(context.scenario.nodes);
    this.#windowMs = scenarioIntervalMs(context.scenario);
    this.#bounces = new Bounces({
      context,
      breaches: this.#breaches,
      calm: this.#calm,
      presence: this.#presence,
      fromMs: BLOCK_WINDOWS * this.#windowMs,
    });
  }

  observe(event: WorldEvent, atMs: number): void {
    while (atMs >= this.#windowAtMs + this.#windowMs) this.#closeWindow();
    this.#presence.observe(event, atMs);
    this.#bounces.observe(event, atMs);
    const first = this.#firstTries.observe(event);
    if (first !== undefined) this.#count(first);
  }

  finish(atMs: number): void {
    if (atMs >= this.#windowAtMs + this.#windowMs) this.#closeWindow();
    this.#bounces.finish(atMs);
  }

  #count({ plan, server }: FirstTry): void {
    const { considered, model } = plan.explain;
    if (considered.some(({ affinity }) => affinity)) return;
    const herd = this.#models.get(model) ?? new ModelHerd();
    this.#models.set(model, herd);
    herd.now.plans += 1;
    for (const { node, sharePerMille } of considered)
      if (sharePerMille > 0) herd.now.sums.set(node, (herd.now.sums.get(node) ?? 0) + sharePerMille / 1_000);
    herd.window.set(server, (herd.window.get(server) ?? 0) + 1);
    herd.tries += 1;
  }

  #closeWindow(): void {
    for (const [model, herd] of this.#models) {
      if (herd.before !== undefined && herd.tries > 0) this.#judge(model, herd);
      herd.window.clear();
      herd.tries = 0;
    }
    this.#windowAtMs += this.#windowMs;
    this.#windows += 1;
    if (this.#windows % BLOCK_WINDOWS !== 0) return;
    for (const herd of this.#models.values()) {
      herd.before = herd.now;
      herd.now = new Shares();
    }
    this.#sharesFromMs = this.#blockAtMs;
    this.#blockAtMs = this.#windowAtMs;
  }

  #judge(model: string, herd: ModelHerd): void {
    const presentShare = 1 - this.#absentShare(herd);
    for (const [node, tries] of herd.window) {
      const name = this.#firstTries.nameOf(node);
      if (name === undefined || !this.#isSteady(node)) continue;
      const share = Math.min(1, herd.shareOf(name) / Math.max(presentShare, 1e-3));
      const fair = share * herd.tries;
      if (tries <= HERD_INDEX_MAX * fair || chanceAtLeast(tries, fair) >= CHANCE) continue;
      const atMs = this.#windowAtMs + this.#windowMs;
      const detail = `${tries} of ${herd.tries} first tries for ${model} in ${this.#windowMs} ms, its share is ${fair.toFixed(2)}: a herd index of ${(tries / fair).toFixed(1)}, at most ${HERD_INDEX_MAX} promised`;
      this.#breaches.add('herd', { atMs, nodes: [node], detail });
    }
  }

  #absentShare(herd: ModelHerd): number {
    let absent = 0;
    for (let node = 0; node < this.#context.truth.nodes; node += 1) {
      const name = this.#firstTries.nameOf(node);
      if (name !== undefined && !this.#isPresent(node)) absent += herd.shareOf(name);
    }
    return absent;
  }

  #isPresent(node: number): boolean {
    const toMs = this.#windowAtMs + this.#windowMs;
    return this.#presence.isUpSince(node, this.#windowAtMs) && this.#calm.isCalm(node, this.#windowAtMs, toMs);
  }

  #isSteady(node: number): boolean {
    const toMs = this.#windowAtMs + this.#windowMs;
    return this.#presence.isUpSince(node, this.#sharesFromMs) && this.#calm.isCalm(node, this.#sharesFromMs, toMs);
  }
}

export const nobodyHerds: CheckerKind = {
  id: 'V7',
  promise:
    'no node gets more than three times the first tries of its weight share within a staleness interval, and full ones are not asked while half stand idle',
  when: 'always',
  create: (context) => new Herd(context),
};
