/**
 * What does each node know of the others' load, and how old is it? Every node tells its load at an interval, a tenth of it
 * jitter, and each observer sees a message after the time that the way between the two takes. Nothing is delivered one
 * by one: the last few messages of each node are kept, and an observer looks for the newest that has reached it.
 * Lying nodes say that they are idle and twenty times as fast. Limits: the way of a pair does not change.
 */
import type { ModelLoad } from '../../src/gossip/message.ts';
import type { EventQueue, RandomStream } from '../kernel/kernel-port.ts';
import { SeededRandom } from '../kernel/keyed-random.ts';
import type { Demand } from './demand.ts';

export interface Beacon {
  readonly load: ModelLoad;
  readonly madeAtMs: number;
}

export interface BeaconOptions {
  readonly agenda: EventQueue;
  readonly demand: Demand;
  readonly beaconMs: number;
  readonly liars: ReadonlySet<number>;
  readonly loadOf: (node: number) => ModelLoad;
}

/** Messages kept of each node: at 100 ms apart, more than the longest way of 250 ms. */
const KEPT = 6;
const JITTER = 0.1;
const LIE_FACTOR = 20;

export class Beacons {
  readonly #options: BeaconOptions;
  readonly #kept: (Beacon | undefined)[];
  readonly #next: Int32Array;
  readonly #untilMs: number;

  constructor(options: BeaconOptions) {
    this.#options = options;
    const { demand, beaconMs, agenda } = options;
    const nodes = demand.machines.length;
    this.#kept = Array.from({ length: nodes * KEPT }, () => undefined);
    this.#next = new Int32Array(nodes);
    this.#untilMs = demand.messages.at(-1)?.atMs ?? 0;
    for (let node = 0; node < nodes; node += 1) {
      const random = new SeededRandom('placement/beacons').stream('turn', node);
      this.#tell(node);
      agenda.at(random.ratio() * beaconMs, () => this.#tellInTurn(node, random));
    }
  }

  /** The newest that reached `observer`. A node knows itself as it is now. */
  visible(node: number, observer: number): Beacon {
    const { agenda, demand, loadOf, liars } = this.#options;
    if (node === observer && !liars.has(node)) return { load: loadOf(node), madeAtMs: agenda.nowMs };
    const sentByMs = agenda.nowMs - (demand.gossipMs[node * demand.machines.length + observer] ?? 0);
    const newest = this.#next[node] ?? 0;
    for (let back = 1; back <= KEPT; back += 1) {
      const beacon = this.#kept[node * KEPT + ((newest - back + KEPT) % KEPT)];
      if (beacon !== undefined && beacon.madeAtMs <= sentByMs) return beacon;
    }
    // Nothing came yet: the first that was made, which everybody is born with.
    const first = this.#kept[node * KEPT];
    if (first === undefined) throw new Error(`node ${node} never told its load`);
    return first;
  }

  #tellInTurn(node: number, random: RandomStream): void {
    const { agenda, beaconMs } = this.#options;
    this.#tell(node);
    const nextMs = agenda.nowMs + beaconMs * (1 - JITTER + 2 * JITTER * random.ratio());
    if (nextMs <= this.#untilMs) agenda.at(nextMs, () => this.#tellInTurn(node, random));
  }

  #tell(node: number): void {
    const { agenda, loadOf, liars } = this.#options;
    const honest = loadOf(node);
    const place = this.#next[node] ?? 0;
    this.#kept[node * KEPT + place] = {
      load: liars.has(node) ? flattered(honest) : honest,
      madeAtMs: Math.floor(agenda.nowMs),
    };
    this.#next[node] = (place + 1) % KEPT;
  }
}

function flattered(load: ModelLoad): ModelLoad {
  return {
    ...load,
    busy: 0,
    queued: 0,
    slotMs: Math.max(1, Math.floor(load.slotMs / LIE_FACTOR)),
    prefillUsPerToken: Math.max(1, Math.floor(load.prefillUsPerToken / LIE_FACTOR)),
    decodeMs: Math.max(1, Math.floor(load.decodeMs / LIE_FACTOR)),
  };
}
