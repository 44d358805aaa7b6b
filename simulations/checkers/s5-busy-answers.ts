/**
 * The fourth part of S5: figures that an entrance was told are in its next placements. A node that answers busy tells how
 * many wait there and how long each takes; until a newer message of that node came, every placement of the same model at
 * the same entrance must charge it at least for that queue: `CORRECTION_MIN` of (waiting + 1) * slotMs, because nothing
 * that an entrance measured makes a node cheaper than that.
 * Not covered: nodes whose name in placements is not known yet (`first-tries.ts`), and what an entrance serves itself,
 * whose figures are exact without being told. Limits: one answer for each entrance, server and model.
 */
import type { NodeId } from '../../src/ids.ts';
import type { CheckContext } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import type { Breaches } from './breaches.ts';
import { FirstTries } from './first-tries.ts';

type Of<Type extends WorldEvent['type']> = Extract<WorldEvent, { type: Type }>;

/** Source: the promise of placement: a node is not believed to be faster than it says by more. */
const CORRECTION_MIN = 0.7;

interface Told {
  readonly server: number;
  readonly name: NodeId;
  readonly model: string;
  readonly atMs: number;
  readonly leastMs: number;
}

export class BusyAnswers {
  readonly #breaches: Breaches;
  readonly #tries = new FirstTries();
  /** The model of each request that lives. */
  readonly #models = new Map<string, string>();
  /** By entrance: what it was told and nothing newer says. */
  readonly #told: (readonly Told[])[];

  constructor(context: CheckContext, breaches: Breaches) {
    this.#breaches = breaches;
    this.#told = Array.from({ length: context.scenario.nodes }, () => []);
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#tries.observe(event);
    switch (event.type) {
      case 'placed':
        return this.#placed(event, atMs);
      case 'try-ended':
        return this.#tryEnded(event, atMs);
      case 'request-ended':
        this.#models.delete(event.requestId);
        return;
      case 'judged':
        if (event.verdict === 'accept') this.#forget(event.node, event.author);
        return;
      case 'verdict':
        return this.#forget(event.node, event.target);
      case 'started':
        this.#told[event.node] = [];
        return;
      default:
    }
  }

  #placed({ node, requestId, plan }: Of<'placed'>, atMs: number): void {
    const { model, considered } = plan.explain;
    this.#models.set(requestId, model);
    for (const told of this.#told[node] ?? []) {
      const row = told.model === model ? considered.find(({ node: name }) => name === told.name) : undefined;
      if (row === undefined || row.expectedMs >= told.leastMs) continue;
      const detail = `n${told.server} said ${atMs - told.atMs} ms ago how full it is, and is expected to answer in ${row.expectedMs} ms; at least ${told.leastMs} ms follow from what it said`;
      this.#breaches.add('busy', { atMs, nodes: [node, told.server], requestId, detail });
    }
  }

  #tryEnded({ node, server, requestId, load }: Of<'try-ended'>, atMs: number): void {
    const model = this.#models.get(requestId);
    const name = this.#tries.nameOf(server);
    if (load === undefined || model === undefined || name === undefined || server === node) return;
    const leastMs = Math.floor(CORRECTION_MIN * (load.queued + 1) * load.slotMs);
    const others = (this.#told[node] ?? []).filter((told) => told.server !== server || told.model !== model);
    this.#told[node] = [...others, { server, name, model, atMs, leastMs }];
  }

  #forget(node: number, author: number): void {
    const told = this.#told[node] ?? [];
    if (told.some(({ server }) => server === author)) this.#told[node] = told.filter(({ server }) => server !== author);
  }
}
