/**
 * One machine's way to the network: is it awake, how long does a message take to leave, and is it lost? The uplink sends
 * one byte after the other; what waits for it is bounded in time, and what comes on top is dropped. Faults make it
 * worse for a while: losses of several faults add up as independent chains, delays add, the narrowest bandwidth counts.
 * Limits: only the uplink has a bandwidth; a message is one unit, so a long one is let in whole when the queue has room
 * at its beginning. A loss is drawn once for each message and side, from the number of segments that the message has.
 */
import { invariant } from '../../src/assert.ts';
import type { KeyedRandom, RandomStream } from '../kernel/kernel-port.ts';
import type { NetworkSpec } from '../scenario.ts';
import { LossChain } from './loss-chain.ts';

/** Payload of a TCP segment on Ethernet. Source: spec, RFC 9293 with an MTU of 1,500. */
export const SEGMENT_BYTES = 1_460;

/** What `send` says when the queue is full. */
export const DROPPED = -1;

export interface Worsening {
  readonly loss?: number;
  readonly addedMs?: number;
  readonly bytesPerSecond?: number;
}

export class LastMile {
  readonly node: number;
  /** The machine has power; a process that listens is another matter. */
  isPowered = false;
  isAsleep = false;
  /** A process runs here that could relay. */
  canRelay = false;
  addedMs = 0;
  /** Something may be lost here; if not, nobody needs to ask. */
  isLossy = false;
  readonly #spec: NetworkSpec;
  readonly #random: KeyedRandom;
  #chains: readonly LossChain[] = [];
  #limits: readonly number[];
  #msPerByte: number;
  #freeAtMs = 0;

  constructor(node: number, spec: NetworkSpec, random: KeyedRandom) {
    this.node = node;
    this.#spec = spec;
    this.#random = random;
    this.#limits = [spec.bytesPerSecond];
    this.#msPerByte = msPerByte(this.#limits);
    if (spec.loss > 0)
      this.#lose([
        new LossChain({ loss: spec.loss, burstMs: spec.lossBurstMs }, random.stream('network-loss', node), 0),
      ]);
  }

  get isAwake(): boolean {
    return this.isPowered && !this.isAsleep;
  }

  /** How long until the last byte has left, or `DROPPED`. */
  send(bytes: number, nowMs: number): number {
    const waitMs = Math.max(0, this.#freeAtMs - nowMs);
    if (waitMs > this.#spec.queueMs) return DROPPED;
    const leavesMs = waitMs + bytes * this.#msPerByte;
    this.#freeAtMs = nowMs + leavesMs;
    return leavesMs;
  }

  /** Whether a part of a message of so many bytes is lost here now. Draws nothing in good moments. */
  loses(bytes: number, nowMs: number, draw: RandomStream): boolean {
    const packets = Math.max(1, Math.ceil(bytes / SEGMENT_BYTES));
    let lost = false;
    for (const chain of this.#chains) {
      const chance = chain.lossOf(packets, nowMs);
      if (chance > 0 && draw.ratio() < chance) lost = true;
    }
    return lost;
  }

  /** What is returned undoes it, once. */
  worsen(change: Worsening, nowMs: number): () => void {
    const { loss = 0, addedMs = 0, bytesPerSecond = Infinity } = change;
    invariant(bytesPerSecond > 0, 'a bandwidth is above 0');
    const chain =
      loss > 0
        ? new LossChain(
            { loss, burstMs: this.#spec.lossBurstMs },
            this.#random.stream('network-worse-loss', this.node, nowMs),
            nowMs,
          )
        : undefined;
    if (chain !== undefined) this.#lose([...this.#chains, chain]);
    this.addedMs += addedMs;
    this.#limit([...this.#limits, bytesPerSecond]);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#lose(this.#chains.filter((one) => one !== chain));
      this.addedMs -= addedMs;
      const index = this.#limits.lastIndexOf(bytesPerSecond);
      this.#limit(this.#limits.toSpliced(index, 1));
    };
  }

  #lose(chains: readonly LossChain[]): void {
    this.#chains = chains;
    this.isLossy = chains.length > 0;
  }

  #limit(limits: readonly number[]): void {
    this.#limits = limits;
    this.#msPerByte = msPerByte(limits);
  }
}

function msPerByte(limits: readonly number[]): number {
  return 1_000 / Math.min(...limits);
}
