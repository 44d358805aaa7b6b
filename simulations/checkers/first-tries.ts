/**
 * Where did each request go first, and by which plan? Joins the placement of a request with its first try. That try
 * goes to the head of the list, so it also tells under which name placement knows a node's number.
 * Limits: `WAITING_MAX` placements without a try yet; the oldest makes room.
 */
import type { NodeId } from '../../src/ids.ts';
import type { DispatchPlan } from '../../src/node/events.ts';
import type { WorldEvent } from '../world-event.ts';

/** Source: guess: more than live at once. */
const WAITING_MAX = 16_384;

export interface FirstTry {
  readonly server: number;
  readonly name: NodeId;
  readonly plan: DispatchPlan;
}

export class FirstTries {
  /** undefined = its first try was seen. */
  readonly #live = new Map<string, DispatchPlan | undefined>();
  readonly #names: (NodeId | undefined)[] = [];

  nameOf(node: number): NodeId | undefined {
    return this.#names[node];
  }

  observe(event: WorldEvent): FirstTry | undefined {
    switch (event.type) {
      case 'placed':
        if (event.plan.ranked.length > 0 && !this.#live.has(event.requestId))
          this.#remember(event.requestId, event.plan);
        return undefined;
      case 'try-started': {
        const plan = this.#live.get(event.requestId);
        const name = plan?.ranked[0];
        if (plan === undefined || name === undefined) return undefined;
        this.#live.set(event.requestId, undefined);
        this.#names[event.server] = name;
        return { server: event.server, name, plan };
      }
      case 'request-ended':
        this.#live.delete(event.requestId);
        return undefined;
      default:
        return undefined;
    }
  }

  #remember(requestId: string, plan: DispatchPlan): void {
    this.#live.set(requestId, plan);
    if (this.#live.size <= WAITING_MAX) return;
    const [oldest] = this.#live.keys();
    if (oldest !== undefined) this.#live.delete(oldest);
  }
}
