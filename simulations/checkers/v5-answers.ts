/**
 * V5, first half: after the world healed every feasible request gets a first token within a deadline, and the second half in
 * `v5-failover.ts`. The deadline depends on the load rho: 16 s / (1 - rho), plus twice what placement expected of the dearest
 * node on its list (the prompt's own length is in that). Source of the 16 s: the study's p99 of 9 s at rho = 0.5 grows
 * with 1 / (1 - rho), that is 4.5 s / (1 - rho); an exponential tail reaches 3.5 times its p99 once in ten million.
 * A refusal because everybody was full is an honest answer to a burst: at most 1 % of them (`late-share.ts`).
 * Not covered: loads above `LOAD_MAX`, requests within `SETTLE_MS` of the healing (what was learned of struck nodes still
 * counts), requests that are at fault themselves, clients that left in time, nodes that died.
 */
import { isNodeFault } from '../../src/errors.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { SETTLE_MS } from './calm.ts';
import { LateShare } from './late-share.ts';
import { Failovers } from './v5-failover.ts';

/** Source: see above. */
const TAIL_MS = 16_000;
const EXPECTED_FACTOR = 2;
/** Source: guess: above it the deadline says little, and bursts alone overload the mesh. */
export const LOAD_MAX = 0.9;
/** Source: guess, see above. */
const REFUSED_SHARE = 0.01;
/** What says that all were full, or that the request itself was at fault. */
const FULL: ReadonlySet<string> = new Set(['busy', 'no-node-available']);

type Of<Type extends WorldEvent['type']> = Extract<WorldEvent, { type: Type }>;

interface Waiting {
  readonly node: number;
  readonly requestId: string;
  readonly arrivedAtMs: number;
  expectedMs: number;
}

class Answers implements Checker {
  readonly ignoresGossip = true;
  readonly #breaches: Breaches;
  readonly #failovers: Failovers;
  readonly #refusals = new LateShare(REFUSED_SHARE);
  readonly #waiting = new Map<string, Waiting>();
  readonly #loadMs: number;
  readonly #isCovered: boolean;
  #fromMs = Infinity;

  constructor(context: CheckContext) {
    const { load, arrivals } = context.scenario.workload;
    this.#breaches = new Breaches(context);
    this.#failovers = new Failovers(context);
    this.#isCovered = load <= LOAD_MAX && arrivals !== 'none';
    this.#loadMs = Math.round(TAIL_MS / (1 - Math.min(load, LOAD_MAX)));
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#failovers.observe(event, atMs);
    switch (event.type) {
      case 'healed':
        this.#fromMs = atMs + SETTLE_MS;
        return;
      case 'request-arrived': {
        const { node, requestId, feasible } = event;
        if (!this.#isCovered || atMs < this.#fromMs || feasible === 0) return;
        this.#waiting.set(requestId, { node, requestId, arrivedAtMs: atMs, expectedMs: 0 });
        return;
      }
      case 'placed':
        return this.#placed(event);
      case 'text':
        return this.#firstText(event, atMs);
      case 'request-ended':
        return this.#ended(event, atMs);
      default:
    }
  }

  finish(atMs: number): void {
    this.#failovers.finish(atMs);
    for (const waiting of this.#waiting.values()) this.#judge(waiting, atMs, 'still waits');
    if (!this.#refusals.isExceeded) return;
    const detail = `feasible requests refused as full in a whole world: ${this.#refusals.late} of ${this.#refusals.trials}, at most ${REFUSED_SHARE * 100} % promised`;
    this.#breaches.add('refused', { atMs, nodes: [], detail });
  }

  #placed({ requestId, plan }: Of<'placed'>): void {
    const waiting = this.#waiting.get(requestId);
    if (waiting === undefined) return;
    for (const { rank, expectedMs } of plan.explain.considered)
      if (rank > 0) waiting.expectedMs = Math.max(waiting.expectedMs, expectedMs);
  }

  #firstText({ requestId }: Of<'text'>, atMs: number): void {
    const waiting = this.#waiting.get(requestId);
    if (waiting === undefined) return;
    this.#waiting.delete(requestId);
    this.#refusals.add(0);
    this.#judge(waiting, atMs, 'got its first token');
  }

  #ended({ requestId, result, failure }: Of<'request-ended'>, atMs: number): void {
    const waiting = this.#waiting.get(requestId);
    if (waiting === undefined) return;
    this.#waiting.delete(requestId);
    if (result === 'client-gone') this.#judge(waiting, atMs, 'was given up by its client');
    if (result !== 'failed' || failure === undefined) return;
    const isFull = FULL.has(failure.code);
    this.#refusals.add(isFull ? 1 : 0);
    const isOwnFault = !isNodeFault(failure.code) && failure.code !== 'model-not-found';
    if (isFull || isOwnFault) return;
    const detail = `failed with ${failure.code} after ${atMs - waiting.arrivedAtMs} ms in a whole world without a token, one promised within ${this.#deadlineMs(waiting)} ms`;
    this.#breaches.add('failed', { atMs, nodes: [waiting.node], requestId, detail });
  }

  #judge(waiting: Waiting, atMs: number, what: string): void {
    const waitedMs = atMs - waiting.arrivedAtMs;
    const deadlineMs = this.#deadlineMs(waiting);
    if (waitedMs <= deadlineMs) return;
    const detail = `${what} after ${waitedMs} ms, a first token is promised within ${deadlineMs} ms (load ${this.#loadMs} ms, twice the expected ${waiting.expectedMs} ms)`;
    this.#breaches.add('late', { atMs, nodes: [waiting.node], requestId: waiting.requestId, detail });
  }

  #deadlineMs({ expectedMs }: Waiting): number {
    return this.#loadMs + EXPECTED_FACTOR * expectedMs;
  }
}

export const answersCome: CheckerKind = {
  id: 'V5',
  promise: 'every feasible request gets a first token by its deadline, and an answer moves to another node within 3 s',
  when: 'after-healing',
  create: (context) => new Answers(context),
};
