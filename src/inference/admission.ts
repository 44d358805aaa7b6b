/**
 * May this request run here now, wait, or should it go elsewhere? One model's slots and its bounded queue, at the node
 * that serves. In this order:
 *   1. draining, or a request that is here already: refused;
 *   2. a free slot: accepted;
 *   3. the queue is full, or the wait by our own estimate (position * slotMs) exceeds 1.2 times the level that chose us
 *      plus 200 ms: busy, with our load now, which is fresher than any beacon;
 *   4. otherwise queued. Slots that come free go to the waiting peers in turn, so that one peer's burst delays the
 *      others by one request each. The queue's door is not shared out: while it is full, everyone hears busy.
 * Limits: running <= slots, waiting <= queuePerSlotMax * slots. Source: the placement study ("admit if wait <= 1.2 L").
 */
import { invariant } from '../assert.ts';
import { type Failure, failure } from '../errors.ts';
import type { ModelLoad } from '../gossip/message.ts';
import type { NodeId, RequestId } from '../ids.ts';
import type { PLACEMENT } from '../params.ts';

export type AdmissionParams = {
  readonly [Key in keyof Pick<typeof PLACEMENT, 'admitLevelPerMille' | 'admitSlackMs' | 'queuePerSlotMax'>]: number;
};

/** Request ids are the client node's: only together with the peer they are unique here. */
export interface Ticket {
  readonly from: NodeId;
  readonly requestId: RequestId;
}

export interface Offer extends Ticket {
  /** The water level of the placement that chose us. */
  readonly levelMs: number;
}

/** The measured part of a load (`load-meter.ts`). */
export type Rates = Omit<ModelLoad, 'busy' | 'queued'>;

export type Decision =
  | { readonly type: 'accepted' }
  /** `position` counts from 1: the number of departures to wait for. */
  | { readonly type: 'queued'; readonly position: number }
  | { readonly type: 'busy'; readonly load: ModelLoad; readonly retryAfterMs: number }
  | { readonly type: 'refused'; readonly failure: Failure };

export class Admission {
  readonly #params: AdmissionParams;
  #slots: number;
  #draining = false;
  #queued = 0;
  readonly #running = new Map<string, Ticket>();
  /** Per peer, oldest first; the order of the peers is the order of their turns. */
  readonly #waiting = new Map<NodeId, Ticket[]>();

  constructor(slots: number, params: AdmissionParams) {
    invariant(Number.isSafeInteger(slots) && slots >= 1, 'a model that is served has a slot');
    this.#slots = slots;
    this.#params = params;
  }

  offer(offer: Offer, rates: Rates): Decision {
    if (this.#draining) return { type: 'refused', failure: failure('draining', 'this node takes no new work') };
    if (this.#running.has(keyOf(offer)) || this.positionOf(offer) !== undefined) {
      const text = `request ${offer.requestId} is here already`;
      return { type: 'refused', failure: failure('protocol-violation', text) };
    }
    if (this.#running.size < this.#slots) {
      this.#start(offer);
      return { type: 'accepted' };
    }
    const position = this.#positionAt(offer.from, this.#waiting.get(offer.from)?.length ?? 0);
    const waitMs = position * rates.slotMs;
    const { admitLevelPerMille, admitSlackMs, queuePerSlotMax } = this.#params;
    const waitMsMax = Math.floor((offer.levelMs * admitLevelPerMille) / 1_000) + admitSlackMs;
    if (this.#queued >= queuePerSlotMax * this.#slots || waitMs > waitMsMax) {
      const load = { ...rates, busy: this.#running.size, queued: this.#queued };
      return { type: 'busy', load, retryAfterMs: waitMs };
    }
    this.#enqueue(offer);
    return { type: 'queued', position };
  }

  /** A request ended, failed or was cancelled, running or waiting; unknown ones change nothing. Returns who starts now. */
  release(ticket: Ticket): readonly Ticket[] {
    if (!this.#running.delete(keyOf(ticket))) this.#unqueue(ticket);
    return this.#startWaiting();
  }

  /** The link to a peer broke: all its requests go. Returns who starts now. */
  releasePeer(from: NodeId): readonly Ticket[] {
    this.#queued -= this.#waiting.get(from)?.length ?? 0;
    this.#waiting.delete(from);
    for (const [key, ticket] of this.#running) if (ticket.from === from) this.#running.delete(key);
    return this.#startWaiting();
  }

  /** The engine serves more or fewer at once. Nobody who runs or waits is sent away. Returns who starts now. */
  setSlots(slots: number): readonly Ticket[] {
    invariant(Number.isSafeInteger(slots) && slots >= 1, 'a model that is served has a slot');
    this.#slots = slots;
    return this.#startWaiting();
  }

  /** No new work from now on; running requests finish. Returns who waited: they hear `draining` and go elsewhere. */
  drain(): readonly Ticket[] {
    this.#draining = true;
    const waiting = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    this.#queued = 0;
    return waiting;
  }

  /** From 1; undefined when the request does not wait. Later arrivals of other peers can move it back. */
  positionOf(ticket: Ticket): number | undefined {
    const index = this.#waiting.get(ticket.from)?.findIndex(({ requestId }) => requestId === ticket.requestId) ?? -1;
    return index < 0 ? undefined : this.#positionAt(ticket.from, index);
  }

  get busy(): number {
    return this.#running.size;
  }

  get queued(): number {
    return this.#queued;
  }

  get slots(): number {
    return this.#slots;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** The position of the request that is, or would be, number `index` of this peer's queue. */
  #positionAt(from: NodeId, index: number): number {
    let before = index;
    let passed = false;
    for (const [peer, tickets] of this.#waiting) {
      if (peer === from) passed = true;
      // Peers before this one in the turn go once more than those after it.
      else before += Math.min(tickets.length, passed ? index : index + 1);
    }
    return before + 1;
  }

  #start(ticket: Ticket): void {
    this.#running.set(keyOf(ticket), { from: ticket.from, requestId: ticket.requestId });
  }

  #enqueue({ from, requestId }: Ticket): void {
    const tickets = this.#waiting.get(from);
    if (tickets === undefined) this.#waiting.set(from, [{ from, requestId }]);
    else tickets.push({ from, requestId });
    this.#queued += 1;
  }

  #unqueue({ from, requestId }: Ticket): void {
    const tickets = this.#waiting.get(from);
    const index = tickets?.findIndex((ticket) => ticket.requestId === requestId) ?? -1;
    if (tickets === undefined || index < 0) return;
    tickets.splice(index, 1);
    this.#queued -= 1;
    if (tickets.length === 0) this.#waiting.delete(from);
  }

  #startWaiting(): readonly Ticket[] {
    const started: Ticket[] = [];
    while (this.#running.size < this.#slots) {
      const next = this.#takeTurn();
      if (next === undefined) break;
      this.#start(next);
      started.push(next);
    }
    return started;
  }

  /** The first request of the peer whose turn it is; that peer goes to the end of the turn. */
  #takeTurn(): Ticket | undefined {
    const turn = this.#waiting.entries().next();
    if (turn.done === true) return undefined;
    const [from, [first, ...rest]] = turn.value;
    this.#waiting.delete(from);
    if (rest.length > 0) this.#waiting.set(from, rest);
    this.#queued -= 1;
    return first;
  }
}

function keyOf({ from, requestId }: Ticket): string {
  return `${from} ${requestId}`;
}
