/**
 * One direction of a TCP connection: when does what is sent arrive, and when does the sender give up? On a clean path the
 * arrival is computed when it is sent, and one event of the queue stands for the first that travels; the next is looked
 * at when that is there. What is lost is kept, and everything behind it waits (head of line): it is sent again when the
 * retransmission timer fires (doubling), or a round trip after later data got through (fast recovery).
 * Where the way is closed on arrival (cut, asleep, forgotten), all that travels is lost and waits in the same way.
 * Limits: acknowledgements are no packets: data counts as acknowledged when it arrives and the way back is open. No
 * congestion window: the uplink's queue and the timer pace a sender. A retransmission sends all that waits as far as
 * the uplink takes it. While the way back is closed, data passes for one timer, then the sender stalls.
 * Source: RFC 6298 and Linux for the timer, RFC 8985 (RACK) for the recovery.
 */
import type { EventQueue, Timer } from '../kernel/kernel-port.ts';
import { SEGMENT_BYTES } from './last-mile.ts';
import { CONTROL_BYTES, LOST, type Path } from './path.ts';

/** Bytes of one direction that nobody acknowledged; one more breaks the connection. Source: guess, about Linux' default. */
export const SEND_BUFFER_BYTES_MAX = 1_048_576;

/** Without any acknowledgement for so long the sender gives up. Source: guess; systems vary from 20 s to 15 minutes. */
export const CONNECTION_TIMEOUT_MS = 60_000;

/** The retransmission timer is this and a round trip. Source: Linux, TCP_RTO_MIN. */
const RETRY_MS_MIN = 200;

/** What a parcel is to the kernel that receives it. */
export type ParcelKind = 'data' | 'end' | 'reset';

/** The kernel that sends. */
export interface NearEnd {
  /** It gave up, or was told to. */
  broke(reason: string): void;
}

/** The kernel that receives. */
export interface FarEnd<Payload> {
  /** What it does with data now: full = its process does not read, gone = it knows no such connection. */
  admits(): 'open' | 'full' | 'gone';
  deliver(kind: ParcelKind, bytes: number, payload: Payload | undefined): void;
}

export interface FlowInit<Payload> {
  readonly queue: EventQueue;
  readonly forward: Path;
  readonly backward: Path;
  readonly near: NearEnd;
  readonly far: FarEnd<Payload>;
}

class Parcel<Payload> {
  readonly kind: ParcelKind;
  readonly bytes: number;
  readonly payload: Payload | undefined;
  /** When it is there in whole ms, before what is in front of it is waited for; says nothing of what is lost. */
  arrivesAtMs = 0;
  /** The other kernel has it already and waits for what is before it. */
  isAhead = false;
  next: Parcel<Payload> | undefined = undefined;

  constructor(kind: ParcelKind, bytes: number, payload: Payload | undefined) {
    this.kind = kind;
    this.bytes = bytes;
    this.payload = payload;
  }
}

export class Flow<Payload> {
  readonly #queue: EventQueue;
  readonly #forward: Path;
  readonly #backward: Path;
  readonly #near: NearEnd;
  readonly #far: FarEnd<Payload>;
  readonly #onArrival = (): void => this.#arrive();
  readonly #onRetry = (): void => this.#retry();
  /** adrift = its sender is gone: what travels arrives, nothing is sent again. */
  #state: 'live' | 'adrift' | 'over' = 'live';
  // All that did not arrive yet, in order: first what travels, then from `#lost` on what does not.
  #head: Parcel<Payload> | undefined;
  #tail: Parcel<Payload> | undefined;
  #lost: Parcel<Payload> | undefined;
  #arrivalTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  /** Retries in vain since something got through. */
  #attempts = 0;
  /** Since when nothing was acknowledged, while something should be. */
  #silentSinceMs = 0;
  #unackedBytes = 0;
  /** Part of them that arrived while the way back was closed. */
  #owedBytes = 0;

  constructor({ queue, forward, backward, near, far }: FlowInit<Payload>) {
    this.#queue = queue;
    this.#forward = forward;
    this.#backward = backward;
    this.#near = near;
    this.#far = far;
  }

  /** Sent, and not acknowledged yet. */
  get unackedBytes(): number {
    return this.#unackedBytes;
  }

  /** False when the buffer is full. True says nothing: what is sent into a broken connection is gone. */
  send(bytes: number, payload: Payload): boolean {
    if (this.#state !== 'live') return true;
    if (this.#unackedBytes + bytes > SEND_BUFFER_BYTES_MAX) return false;
    this.#append(new Parcel<Payload>('data', bytes, payload));
    return true;
  }

  /** The process closed: what it sent arrives, then the end of it. */
  finish(): void {
    if (this.#state === 'live') this.#append(new Parcel<Payload>('end', CONTROL_BYTES, undefined));
  }

  /** The process died: one reset behind what travels; nothing is sent again. */
  abort(): void {
    if (this.#state !== 'live') return;
    this.vanish();
    const travelsMs = this.#forward.send(CONTROL_BYTES);
    if (travelsMs === LOST) return;
    const reset = new Parcel<Payload>('reset', CONTROL_BYTES, undefined);
    this.#link(reset);
    this.#travel(reset, travelsMs);
  }

  /** The machine went dark: what travels arrives, and no more. */
  vanish(): void {
    if (this.#state !== 'live') return;
    this.#release();
    this.#state = 'adrift';
    this.#dropLost();
  }

  /** Nothing arrives any more. */
  stop(): void {
    if (this.#state === 'over') return;
    this.#release();
    this.#state = 'over';
    this.#drop();
  }

  /** Something came from the other end: it is worth another try soon, however often the timer doubled. */
  heard(): void {
    if (this.#retryTimer !== undefined) this.#retryBy(this.#queue.nowMs + this.#retryMs());
  }

  /** The other end, or a relay, says that it takes data again. */
  urged(): void {
    if (this.#retryTimer !== undefined) this.#retryBy(this.#queue.nowMs);
  }

  /** This machine woke up: its timers stood still. */
  wokeUp(sleptMs: number): void {
    if (this.#state !== 'live' || (this.#lost === undefined && this.#owedBytes === 0)) return;
    this.#silentSinceMs = Math.min(this.#queue.nowMs, this.#silentSinceMs + sleptMs);
    this.#retryAt(this.#queue.nowMs);
  }

  #append(parcel: Parcel<Payload>): void {
    this.#link(parcel);
    this.#unackedBytes += parcel.bytes;
    if (this.#lost !== undefined) {
      this.#sendAhead(parcel);
      return;
    }
    const travelsMs = this.#attempts > 0 ? LOST : this.#forward.send(parcel.bytes);
    if (travelsMs === LOST) {
      this.#lost = parcel;
      this.#stall();
    } else this.#travel(parcel, travelsMs);
  }

  #link(parcel: Parcel<Payload>): void {
    if (this.#tail === undefined) this.#head = parcel;
    else this.#tail.next = parcel;
    this.#tail = parcel;
  }

  #travel(parcel: Parcel<Payload>, travelsMs: number): void {
    // Whole numbers: V8 keeps them inside the object, and puts every fraction into one of its own.
    parcel.arrivesAtMs = Math.ceil(this.#queue.nowMs + travelsMs);
    this.#arm();
  }

  /** Something before it is lost. If this one gets through, the sender learns of the gap within a round trip. */
  #sendAhead(parcel: Parcel<Payload>): void {
    if (!this.#forward.reaches || !this.#backward.isOpen || this.#far.admits() !== 'open') return;
    if (this.#forward.send(parcel.bytes) === LOST) return;
    parcel.isAhead = true;
    this.#retryBy(this.#queue.nowMs + this.#roundTripMs());
  }

  #arm(): void {
    if (this.#arrivalTimer !== undefined || this.#head === undefined || this.#head === this.#lost) return;
    this.#arrivalTimer = this.#queue.at(this.#head.arrivesAtMs, this.#onArrival);
  }

  #arrive(): void {
    this.#arrivalTimer = undefined;
    const nowMs = this.#queue.nowMs;
    for (let parcel = this.#head; parcel !== undefined && parcel !== this.#lost; parcel = this.#head) {
      if (parcel.arrivesAtMs > nowMs) break;
      const answer = this.#forward.reaches ? this.#far.admits() : 'lost';
      if (answer === 'gone') this.#refused(0);
      else if (answer !== 'open') this.#loseAll();
      if (answer !== 'open') return;
      this.#head = parcel.next;
      if (this.#head === undefined) this.#tail = undefined;
      if (this.#state === 'live') this.#acknowledge(parcel.bytes);
      this.#far.deliver(parcel.kind, parcel.bytes, parcel.payload);
    }
    this.#arm();
  }

  #acknowledge(bytes: number): void {
    if (!this.#backward.isOpen) {
      this.#owedBytes += bytes;
      this.#stall();
      return;
    }
    this.#unackedBytes -= bytes + this.#owedBytes;
    this.#owedBytes = 0;
    if (this.#lost !== undefined) this.#silentSinceMs = this.#queue.nowMs;
    else if (this.#retryTimer !== undefined || this.#attempts > 0) this.#calm();
  }

  /** Nobody there knows the connection: a reset comes back, if it does. */
  #refused(alreadyMs: number): void {
    const travelsMs = this.#state === 'live' ? this.#backward.send(CONTROL_BYTES) : LOST;
    if (travelsMs === LOST) {
      this.#loseAll();
      return;
    }
    this.stop();
    this.#queue.at(this.#queue.nowMs + alreadyMs + travelsMs, () => this.#near.broke('reset by the other end'));
  }

  #loseAll(): void {
    if (this.#state !== 'live') {
      this.#drop();
      return;
    }
    this.#lost = this.#head;
    this.#disarm();
    this.#stall();
  }

  #stall(): void {
    if (this.#retryTimer !== undefined) return;
    this.#silentSinceMs = this.#queue.nowMs;
    this.#attempts = 0;
    this.#retryAt(this.#queue.nowMs + this.#retryMs());
  }

  #retry(): void {
    this.#retryTimer = undefined;
    if (!this.#forward.canSend) return;
    const nowMs = this.#queue.nowMs;
    if (this.#forward.reaches && this.#backward.isOpen) {
      const answer = this.#far.admits();
      if (answer === 'open' && this.#sendAgain()) return;
      // A closed window is an acknowledgement too.
      if (answer === 'full') this.#silentSinceMs = nowMs;
      if (answer === 'gone') {
        this.#refused(this.#forward.delayMs);
        if (this.#state === 'over') return;
      }
    }
    if (nowMs - this.#silentSinceMs >= CONNECTION_TIMEOUT_MS) {
      this.stop();
      this.#near.broke('timed out');
      return;
    }
    this.#attempts += 1;
    const waitMs = this.#retryMs() * 2 ** this.#attempts;
    // The last try is made at the end of the time limit.
    this.#retryAt(Math.min(nowMs + waitMs, this.#silentSinceMs + CONNECTION_TIMEOUT_MS));
  }

  /** Whether anything got through that way. */
  #sendAgain(): boolean {
    const wasOwed = this.#owedBytes > 0;
    this.#unackedBytes -= this.#owedBytes;
    this.#owedBytes = 0;
    if (!this.#sendLost() && !wasOwed) return false;
    this.#attempts = 0;
    this.#silentSinceMs = this.#queue.nowMs;
    if (this.#lost !== undefined) this.#retryAt(this.#queue.nowMs + this.#roundTripMs());
    return true;
  }

  /** As much as the uplink takes, in order; false when not even the first segment got through. */
  #sendLost(): boolean {
    const first = this.#lost;
    // One segment of a long message goes ahead: when it is acknowledged, that is a sign of life, whatever becomes of the rest.
    const isLong = first !== undefined && first.bytes > SEGMENT_BYTES;
    if (isLong && this.#forward.send(SEGMENT_BYTES) === LOST) return false;
    for (let parcel = first; parcel !== undefined; parcel = parcel.next) {
      const travelsMs = parcel.isAhead ? 0 : this.#forward.send(parcel.bytes);
      if (travelsMs === LOST) return isLong || parcel !== first;
      this.#lost = parcel.next;
      this.#travel(parcel, travelsMs);
    }
    return first !== undefined;
  }

  #retryMs(): number {
    return RETRY_MS_MIN + this.#roundTripMs();
  }

  #roundTripMs(): number {
    return Math.max(1, this.#forward.delayMs + this.#backward.delayMs);
  }

  #retryAt(atMs: number): void {
    if (this.#retryTimer !== undefined) this.#queue.cancel(this.#retryTimer);
    this.#retryTimer = this.#queue.at(atMs, this.#onRetry);
  }

  #retryBy(atMs: number): void {
    if (this.#retryTimer === undefined || this.#retryTimer.atMs > atMs) this.#retryAt(atMs);
  }

  /** Nothing is waited for. */
  #calm(): void {
    if (this.#retryTimer !== undefined) this.#queue.cancel(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#attempts = 0;
  }

  #disarm(): void {
    if (this.#arrivalTimer !== undefined) this.#queue.cancel(this.#arrivalTimer);
    this.#arrivalTimer = undefined;
  }

  /** Nobody waits for acknowledgements any more. */
  #release(): void {
    this.#unackedBytes = 0;
    this.#owedBytes = 0;
    this.#calm();
  }

  #dropLost(): void {
    if (this.#lost === undefined) return;
    if (this.#head === this.#lost) {
      this.#drop();
      return;
    }
    let last = this.#head;
    while (last?.next !== undefined && last.next !== this.#lost) last = last.next;
    if (last !== undefined) last.next = undefined;
    this.#tail = last;
    this.#lost = undefined;
  }

  #drop(): void {
    this.#disarm();
    this.#head = undefined;
    this.#tail = undefined;
    this.#lost = undefined;
  }
}
