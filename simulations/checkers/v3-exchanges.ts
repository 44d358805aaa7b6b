/**
 * The second net under gossip, which is part of V3: a node that has a connection asks somebody for what its view lacks, at
 * the latest `EXCHANGE_MS` after the last time. Most losses are repaired sooner, by the next beacon or because a load
 * came without its capability; this one needs no luck, and nothing but the trace of exchanges shows whether it is there.
 * Counted from the start, the first connection, the end of a standstill, or the last question; whom it asks and what
 * comes back is not judged. Each long silence of a node is told once. Limits: looked at with each sample of the node.
 */
import { GOSSIP } from '../../src/params.ts';
import type { CheckContext } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import type { Breaches } from './breaches.ts';

/** Source: computed: one turn is left out when its partner just went away, jitter and an answer that does not come. */
export const EXCHANGE_MS = 2.5 * GOSSIP.antiEntropyIntervalMs;

export class Exchanges {
  readonly #breaches: Breaches;
  readonly #connections: Int32Array;
  /** From when a question is waited for; Infinity = none is. */
  readonly #sinceMs: Float64Array;

  constructor(context: CheckContext, breaches: Breaches) {
    this.#breaches = breaches;
    this.#connections = new Int32Array(context.scenario.nodes);
    this.#sinceMs = new Float64Array(context.scenario.nodes).fill(Infinity);
  }

  observe(event: WorldEvent, atMs: number): void {
    switch (event.type) {
      case 'started':
        this.#connections[event.node] = 0;
        this.#sinceMs[event.node] = Infinity;
        return;
      case 'stopped':
        this.#sinceMs[event.node] = Infinity;
        return;
      case 'resumed':
      case 'view-asked':
        return this.#waitFrom(event.node, atMs);
      case 'connected':
        this.#connections[event.node] = this.#connectionsOf(event.node) + 1;
        if (this.#connectionsOf(event.node) === 1) this.#waitFrom(event.node, atMs);
        return;
      case 'disconnected':
        this.#connections[event.node] = this.#connectionsOf(event.node) - 1;
        this.#waitFrom(event.node, Math.min(atMs, this.#sinceMs[event.node] ?? Infinity));
        return;
      case 'sampled':
        return this.#look(event.node, atMs);
      default:
    }
  }

  #look(node: number, atMs: number): void {
    const waitedMs = atMs - (this.#sinceMs[node] ?? Infinity);
    if (waitedMs <= EXCHANGE_MS) return;
    this.#sinceMs[node] = Infinity;
    const detail = `is connected and asked nobody for what it lacks for ${waitedMs} ms, at most ${EXCHANGE_MS} ms promised`;
    this.#breaches.add('exchange', { atMs, nodes: [node], detail });
  }

  #waitFrom(node: number, atMs: number): void {
    this.#sinceMs[node] = this.#connectionsOf(node) > 0 ? atMs : Infinity;
  }

  #connectionsOf(node: number): number {
    return this.#connections[node] ?? 0;
  }
}
