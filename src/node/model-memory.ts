/**
 * Did anybody of this mesh offer that model? A client that hears 404 gives up for good, so a name that exists must not
 * become unknown because its holders are cut off, restarting or gone for the moment. Idea: the models that each member
 * last announced are kept beside the view, through a restart until its new list comes, and for as long after it died or
 * left as the mesh remembers the departed themselves. A living member that takes a model off its list is believed.
 * Limits: as many members as a view holds, and as many departed; of these the one gone longest makes room.
 */
import type { ModelId, NodeId } from '../ids.ts';
import { GOSSIP } from '../params.ts';

interface Departed {
  readonly models: readonly ModelId[];
  readonly untilMs: number;
}

export class ModelMemory {
  readonly #present = new Map<NodeId, readonly ModelId[]>();
  /** In the order in which they went, which is also the order in which they are forgotten. */
  readonly #departed = new Map<NodeId, Departed>();

  /** Nobody ever announced anything. */
  get isEmpty(): boolean {
    return this.#present.size === 0 && this.#departed.size === 0;
  }

  /** What a member says that it offers now; it replaces what it said before. */
  announced(node: NodeId, models: readonly ModelId[]): void {
    this.#departed.delete(node);
    this.#present.set(node, models);
  }

  /** It died, left, or made room in a full view. */
  gone(node: NodeId, nowMs: number): void {
    const models = this.#present.get(node);
    this.#present.delete(node);
    if (models === undefined) return;
    this.#departed.delete(node);
    this.#departed.set(node, { models, untilMs: nowMs + GOSSIP.tombstoneMs });
    if (this.#departed.size > GOSSIP.membersMax) this.#forgetOldest();
  }

  has(model: ModelId, nowMs: number): boolean {
    for (const models of this.#present.values()) if (models.includes(model)) return true;
    for (const { models, untilMs } of this.#departed.values())
      if (untilMs > nowMs && models.includes(model)) return true;
    return false;
  }

  #forgetOldest(): void {
    const [oldest] = this.#departed.keys();
    if (oldest !== undefined) this.#departed.delete(oldest);
  }
}
