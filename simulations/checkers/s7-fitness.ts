/**
 * The part of S7 that can be judged today: no request is sent to a node that runs other protocol parameters than the node
 * that sends it, and none to one that does not hold its model. Who runs which parameters follows from the plan: a
 * `version-skew` decides at each start of the node. `SETTLED_MS` after the start of either everybody was told, and so long after
 * it woke who slept meanwhile: it may meet a node that slept too before it hears anything new of it, and send by its old view.
 * Not covered: memory, versions of engines, and what an owner forbids; nothing of that can be had from a trace yet. Nodes that two
 * such faults strike at the same time are left out.
 */
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { FaultPlan } from '../faults/fault.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { endMs } from './calm.ts';

/** Source: guess: three silences; who is awake and did not hear of the restart in that time cannot reach the node either. */
export const SETTLED_MS = 8_000;

type Of<Type extends WorldEvent['type']> = Extract<WorldEvent, { type: Type }>;
type Params = 'ours' | 'other' | 'unknown';

interface Life {
  /** Its start, or since when it is awake again. */
  readonly awakeSinceMs: number;
  readonly params: Params;
}

class Fitness implements Checker {
  readonly ignoresGossip = true;
  readonly #breaches: Breaches;
  readonly #plan: FaultPlan;
  readonly #lives: (Life | undefined)[] = [];

  constructor(context: CheckContext) {
    this.#breaches = new Breaches(context);
    this.#plan = context.plan;
  }

  observe(event: WorldEvent, atMs: number): void {
    switch (event.type) {
      case 'started':
        this.#lives[event.node] = { awakeSinceMs: atMs, params: this.#paramsOf(event.node, atMs) };
        return;
      case 'resumed':
        return this.#resumed(event.node, atMs);
      case 'try-started':
        return this.#tried(event, atMs);
      case 'offered':
        return this.#offered(event, atMs);
      default:
    }
  }

  finish(): void {
    // Everything is judged as it happens.
  }

  #resumed(node: number, atMs: number): void {
    const life = this.#lives[node];
    if (life !== undefined) this.#lives[node] = { ...life, awakeSinceMs: atMs };
  }

  #tried({ node, server, requestId }: Of<'try-started'>, atMs: number): void {
    const [asker, asked] = [this.#lives[node], this.#lives[server]];
    if (node === server || asker === undefined || asked === undefined) return;
    if (asker.params === asked.params || asker.params === 'unknown' || asked.params === 'unknown') return;
    const sinceMs = atMs - Math.max(asker.awakeSinceMs, asked.awakeSinceMs);
    if (sinceMs <= SETTLED_MS) return;
    const detail = `n${node} sends it to n${server}, which runs ${asked.params} parameters and itself ${asker.params}, both awake for ${sinceMs} ms; promised to keep apart`;
    this.#breaches.add('params', { atMs, nodes: [node, server], requestId, detail });
  }

  #offered({ node, from, requestId, answer, code }: Of<'offered'>, atMs: number): void {
    if (answer !== 'refused' || code !== 'model-not-ready') return;
    const detail = `n${from} sent it to n${node}, which does not hold its model`;
    this.#breaches.add('model', { atMs, nodes: [node, from], requestId, detail });
  }

  #paramsOf(node: number, atMs: number): Params {
    const skews = this.#plan.filter((fault) => fault.kind === 'version-skew' && fault.node === node);
    const active = skews.filter((fault) => fault.atMs <= atMs && endMs(fault) > atMs);
    // The end of one of two takes the other's effect away.
    const doubtful = skews.some((one) =>
      skews.some((other) => one !== other && one.atMs <= endMs(other) && other.atMs <= endMs(one)),
    );
    if (doubtful) return 'unknown';
    return active.length > 0 ? 'other' : 'ours';
  }
}

export const nothingRunsAmiss: CheckerKind = {
  id: 'S7',
  promise:
    'no request goes to a node with other parameters or without the model (memory, engine versions and what owners forbid are not judged)',
  when: 'always',
  create: (context) => new Fitness(context),
};
