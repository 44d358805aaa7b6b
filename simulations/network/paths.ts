/**
 * Makes the ways between nodes: each pair has one base delay, drawn by the names of the two, the same in both directions
 * and in every run of a seed, whoever dials and when. Each way that is made draws its own jitter and losses, named by
 * its two ends and the moment at which it was made.
 */
import type { EventQueue, KeyedRandom } from '../kernel/kernel-port.ts';
import type { NetworkSpec } from '../scenario.ts';
import type { Cuts } from './cuts.ts';
import type { LastMile } from './last-mile.ts';
import { Path } from './path.ts';

export interface PathsInit {
  readonly queue: EventQueue;
  readonly random: KeyedRandom;
  readonly spec: NetworkSpec;
  readonly cuts: Cuts;
  readonly miles: readonly LastMile[];
}

export class Paths {
  readonly #init: PathsInit;

  constructor(init: PathsInit) {
    this.#init = init;
  }

  /** One way, of a purpose: two ways of one purpose that are made in the same ms have the same luck. */
  make(purpose: 'stream' | 'datagram', ends: { from: LastMile; to: LastMile; relay: LastMile | undefined }): Path {
    const { queue, random, spec, cuts } = this.#init;
    const { from, to, relay } = ends;
    const baseMs =
      relay === undefined
        ? this.baseMs(from.node, to.node)
        : this.baseMs(from.node, relay.node) + this.baseMs(relay.node, to.node);
    const draw = random.stream(`network-${purpose}`, from.node, to.node, queue.nowMs);
    return new Path({ queue, cuts, from, to, relay, baseMs, jitterMs: spec.jitterMs, draw });
  }

  /** One-way delay of a pair on an empty network. */
  baseMs(left: number, right: number): number {
    const { delayMsMin, delayMsMax } = this.#init.spec;
    const share = this.#init.random.stream('network-delay', Math.min(left, right), Math.max(left, right)).ratio();
    return delayMsMin + share * (delayMsMax - delayMsMin);
  }
}
