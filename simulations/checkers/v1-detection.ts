/**
 * V1: who falls silent is suspected by every live node of the mesh within 3 s at p99 over the run (power loss, sleep, a process
 * that stands still), and a killed process, whose connections are reset, within 0.5 s at p99. Each stop is a trial, late
 * by the share of its observers that were late (`late-share.ts`). A verdict of suspect, dead or left counts. Who stays away
 * is dead to all of them within `DEAD_MS_MAX`.
 * Observers are the nodes that were up and calm for `SETTLED_MS` before and took the target for alive. Not covered: targets that
 * a fault had touched shortly before, those that are back before the time is up (nobody had to notice), observers that
 * stop or are struck meanwhile, and nodes that left with a goodbye. Limits: N^2 bytes for who takes whom for alive.
 */
import { LIVENESS } from '../../src/params.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { Calm } from './calm.ts';
import { LateShare } from './late-share.ts';
import { Presence } from './presence.ts';

type Way = 'silent' | 'killed';

/** What has to be found out. */
type Finding = Way | 'dead';

/** Source: the promise. */
export const NOTICED_MS_MAX: Readonly<Record<Way, number>> = { silent: 3_000, killed: 500 };
/** Source: computed from the parameters; guess: what was said of it last may come and clear it for as long as gossip travels. */
export const DEAD_MS_MAX = LIVENESS.suspectAfterMs + LIVENESS.deadAfterMs + 5_000;
/** Up for so long, a node is a member and has monitors. Source: guess: a few round trips and two heartbeats, five times over. */
export const SETTLED_MS = 15_000;

interface Stop {
  readonly target: number;
  readonly atMs: number;
  readonly way: Way;
  readonly observers: number;
  /** Those that have not noticed yet. */
  readonly waiting: Set<number>;
  /** Those that do not take it for dead yet. */
  readonly burying: Set<number>;
  noticed: boolean;
}

interface Worst {
  readonly stop: Stop;
  readonly late: readonly number[];
}

class Detection implements Checker {
  readonly #context: CheckContext;
  readonly #breaches: Breaches;
  readonly #calm: Calm;
  readonly #presence: Presence;
  readonly #shares: Readonly<Record<Finding, LateShare>> = {
    silent: new LateShare(),
    killed: new LateShare(),
    dead: new LateShare(),
  };
  readonly #worst = new Map<Finding, Worst>();
  /** By observer: 1 = takes this node for alive. */
  readonly #alive: (Uint8Array | undefined)[] = [];
  readonly #stops = new Map<number, Stop>();

  constructor(context: CheckContext) {
    this.#context = context;
    this.#breaches = new Breaches(context);
    this.#calm = new Calm(context.plan, context.scenario.nodes);
    this.#presence = new Presence(context.scenario.nodes);
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#judgeBefore(atMs);
    switch (event.type) {
      case 'verdict':
        return this.#verdict(event);
      case 'stopped':
        this.#stopped(event, atMs);
        break;
      case 'started':
        this.#alive[event.node] = undefined;
        this.#stops.delete(event.node);
        break;
      case 'resumed':
        this.#stops.delete(event.node);
        break;
      default:
        return;
    }
    this.#presence.observe(event, atMs);
  }

  finish(atMs: number): void {
    this.#judgeBefore(atMs);
    for (const way of ['silent', 'killed', 'dead'] as const) {
      const share = this.#shares[way];
      const worst = this.#worst.get(way);
      if (!share.isExceeded || worst === undefined) continue;
      const { stop, late } = worst;
      const what =
        way === 'dead' ? `not taken for deaths within ${DEAD_MS_MAX}` : `not noticed within ${NOTICED_MS_MAX[way]}`;
      const detail = `stops (${stop.way}) that were ${what} ms: ${share.text}; the worst is n${stop.target} at ${stop.atMs} ms, missed by ${late.length} of ${stop.observers}`;
      this.#breaches.add(way, { atMs: stop.atMs, nodes: [stop.target, ...late.slice(0, 8)], detail });
    }
  }

  #verdict({ node, target, verdict }: Extract<WorldEvent, { type: 'verdict' }>): void {
    const alive = (this.#alive[node] ??= new Uint8Array(this.#context.scenario.nodes));
    alive[target] = verdict === 'alive' ? 1 : 0;
    const stop = this.#stops.get(target);
    if (verdict !== 'alive') stop?.waiting.delete(node);
    if (verdict === 'dead' || verdict === 'left') stop?.burying.delete(node);
  }

  #stopped({ node: target, how }: Extract<WorldEvent, { type: 'stopped' }>, atMs: number): void {
    // Somebody who is down himself notices nothing.
    for (const { waiting, burying } of this.#stops.values()) {
      waiting.delete(target);
      burying.delete(target);
    }
    const wasSettled = this.#presence.isUpSince(target, atMs - SETTLED_MS);
    if (how === 'left' || !wasSettled || !this.#calm.isCalm(target, atMs - 1, atMs - 1)) return;
    const waiting = this.#observersOf(target, atMs);
    const way = how === 'crashed' ? 'killed' : 'silent';
    if (waiting.size === 0) return;
    const burying = new Set(waiting);
    this.#stops.set(target, { target, atMs, way, observers: waiting.size, waiting, burying, noticed: false });
  }

  #observersOf(target: number, atMs: number): Set<number> {
    const observers = new Set<number>();
    for (const [node, alive] of this.#alive.entries()) {
      if (node === target || alive?.[target] !== 1) continue;
      if (this.#presence.isUpSince(node, atMs - SETTLED_MS) && this.#calm.isCalm(node, atMs, atMs)) observers.add(node);
    }
    return observers;
  }

  #judgeBefore(atMs: number): void {
    if (this.#stops.size === 0) return;
    for (const stop of this.#stops.values()) {
      const noticeMs = stop.atMs + NOTICED_MS_MAX[stop.way];
      if (noticeMs >= atMs) continue;
      if (!stop.noticed) this.#judge(stop.way, stop, this.#lateOf(stop, stop.waiting, noticeMs));
      stop.noticed = true;
      const deadMs = stop.atMs + DEAD_MS_MAX;
      if (deadMs >= atMs) continue;
      this.#stops.delete(stop.target);
      this.#judge('dead', stop, this.#lateOf(stop, stop.burying, deadMs));
    }
  }

  #lateOf({ atMs }: Stop, waiting: ReadonlySet<number>, deadlineMs: number): readonly number[] {
    return [...waiting].filter((node) => this.#calm.isCalm(node, atMs, deadlineMs));
  }

  #judge(finding: Finding, stop: Stop, late: readonly number[]): void {
    this.#shares[finding].add(late.length / stop.observers);
    const worst = this.#worst.get(finding);
    if (late.length > (worst?.late.length ?? 0)) this.#worst.set(finding, { stop, late });
  }
}

export const stopsAreNoticed: CheckerKind = {
  id: 'V1',
  promise:
    'who falls silent is suspected by every live node within 3 s, a killed process within 0.5 s, and who stays away is dead to all, at p99',
  when: 'always',
  create: (context) => new Detection(context),
};
