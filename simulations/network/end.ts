/**
 * One end of a connection: what a process holds in its hand, and what its kernel does for it. The kernel takes data while
 * the process stands still, up to a bound; then the other side has to wait. It answers for a closed end that it knows no
 * such connection. The process hears of an end once, and not when it closed it itself.
 */
import type { Connection } from './network-port.ts';
import type { FarEnd, Flow, NearEnd, ParcelKind } from './flow.ts';
import type { Inbox } from './inbox.ts';

/** Data of one connection that waits for a process that stands still. Source: guess, about Linux' default. */
const RECEIVE_BUFFER_BYTES_MAX = 1_048_576;

/** Keeps the books about ends. */
export interface EndWatch<Payload> {
  shut(end: End<Payload>): void;
}

export interface EndInit<Payload> {
  readonly id: number;
  readonly local: number;
  readonly remote: number;
  readonly dialled: boolean;
  readonly path: 'direct' | number;
  readonly inbox: Inbox<Payload>;
  readonly watch: EndWatch<Payload>;
}

export class End<Payload> implements Connection, NearEnd, FarEnd<Payload> {
  readonly id: number;
  readonly local: number;
  readonly remote: number;
  readonly dialled: boolean;
  readonly path: 'direct' | number;
  readonly inbox: Inbox<Payload>;
  readonly #watch: EndWatch<Payload>;
  #outgoing: Flow<Payload> | undefined;
  #isOpen = true;
  #heldBytes = 0;

  constructor(init: EndInit<Payload>) {
    this.id = init.id;
    this.local = init.local;
    this.remote = init.remote;
    this.dialled = init.dialled;
    this.path = init.path;
    this.inbox = init.inbox;
    this.#watch = init.watch;
  }

  get open(): boolean {
    return this.#isOpen;
  }

  /** What it sends; set once, when the connection is made. */
  get outgoing(): Flow<Payload> | undefined {
    return this.#outgoing;
  }

  sendOver(flow: Flow<Payload>): void {
    this.#outgoing = flow;
  }

  /** No more for this process; says nothing to anybody but the books. */
  shut(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#watch.shut(this);
  }

  admits(): 'open' | 'full' | 'gone' {
    if (!this.#isOpen) return 'gone';
    return this.#heldBytes >= RECEIVE_BUFFER_BYTES_MAX ? 'full' : 'open';
  }

  deliver(kind: ParcelKind, bytes: number, payload: Payload | undefined): void {
    this.#outgoing?.heard();
    if (!this.inbox.isHolding) {
      this.#take(kind, payload);
      return;
    }
    this.#heldBytes += bytes;
    this.inbox.give(() => {
      this.#heldBytes -= bytes;
      this.#take(kind, payload);
    });
  }

  broke(reason: string): void {
    this.#outgoing?.stop();
    this.inbox.give(() => this.#lose(reason));
  }

  #take(kind: ParcelKind, payload: Payload | undefined): void {
    if (kind === 'end') this.#lose('closed by the other end');
    else if (kind === 'reset') this.#lose('reset by the other end');
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- Data has a payload; it may be undefined itself.
    else if (this.#isOpen) this.inbox.endpoint.received(this, payload as Payload);
  }

  #lose(reason: string): void {
    if (!this.#isOpen) return;
    this.#outgoing?.stop();
    this.shut();
    this.inbox.endpoint.connectionClosed(this, reason);
  }
}
