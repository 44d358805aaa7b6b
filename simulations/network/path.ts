/**
 * One direction between two machines, direct or over a relay: does it carry now, and when does a message of so many bytes
 * arrive? Delay = waiting for the uplink and sending + the base delay of the pair + what faults add + exponential jitter.
 * Over a relay both legs count, and the relay's uplink sends every byte once more.
 * Limits: losses and the relay's queue are judged at the moment of sending, not when the message gets there; a clean
 * path costs one uplink's arithmetic and one logarithm.
 */
import type { EventQueue, RandomStream } from '../kernel/kernel-port.ts';
import type { Cuts } from './cuts.ts';
import { DROPPED, type LastMile } from './last-mile.ts';

/** What `send` says when the message does not get there. */
export const LOST = -1;

/** A packet without data: an acknowledgement, a reset, an end. Source: spec, IPv4 and TCP with timestamps. */
export const CONTROL_BYTES = 52;

export interface PathInit {
  readonly queue: EventQueue;
  readonly cuts: Cuts;
  readonly from: LastMile;
  readonly to: LastMile;
  readonly relay: LastMile | undefined;
  readonly baseMs: number;
  readonly jitterMs: number;
  readonly draw: RandomStream;
}

export class Path {
  /** Never carries again: a router or a relay forgot it. */
  isDead = false;
  readonly #queue: EventQueue;
  readonly #cuts: Cuts;
  readonly #from: LastMile;
  readonly #to: LastMile;
  readonly #relay: LastMile | undefined;
  readonly #baseMs: number;
  readonly #jitterMs: number;
  readonly #draw: RandomStream;

  constructor(init: PathInit) {
    this.#queue = init.queue;
    this.#cuts = init.cuts;
    this.#from = init.from;
    this.#to = init.to;
    this.#relay = init.relay;
    this.#baseMs = init.baseMs;
    this.#jitterMs = init.jitterMs;
    this.#draw = init.draw;
  }

  /** Nothing between the two machines is in the way. */
  get isOpen(): boolean {
    if (this.isDead) return false;
    const from = this.#from.node;
    const to = this.#to.node;
    const relay = this.#relay;
    if (relay === undefined) return this.#cuts.passes(from, to);
    return relay.isAwake && relay.canRelay && this.#cuts.passes(from, relay.node) && this.#cuts.passes(relay.node, to);
  }

  /** It is open, and the other machine is awake. */
  get reaches(): boolean {
    return this.#to.isAwake && this.isOpen;
  }

  get canSend(): boolean {
    return this.#from.isAwake;
  }

  /** Without waiting, jitter and the time that the bytes take. */
  get delayMs(): number {
    const addedMs = this.#from.addedMs + this.#to.addedMs;
    return this.#baseMs + addedMs + (this.#relay === undefined ? 0 : 2 * this.#relay.addedMs);
  }

  /** How long a message of so many bytes travels if it is sent now, or `LOST`. */
  send(bytes: number): number {
    if (!this.#from.isAwake || !this.isOpen) return LOST;
    const nowMs = this.#queue.nowMs;
    const leavesMs = this.#from.send(bytes, nowMs);
    if (leavesMs === DROPPED) return LOST;
    const relayedMs = this.#relay === undefined ? 0 : this.#relay.send(bytes, nowMs);
    if (relayedMs === DROPPED || this.#loses(bytes, nowMs)) return LOST;
    const jitterMs = this.#jitterMs === 0 ? 0 : this.#draw.exponential(this.#jitterMs);
    return leavesMs + relayedMs + this.delayMs + jitterMs;
  }

  #loses(bytes: number, nowMs: number): boolean {
    let lost = this.#from.isLossy && this.#from.loses(bytes, nowMs, this.#draw);
    if (this.#to.isLossy && this.#to.loses(bytes, nowMs, this.#draw)) lost = true;
    if (this.#relay?.isLossy === true && this.#relay.loses(bytes, nowMs, this.#draw)) lost = true;
    return lost;
  }
}
