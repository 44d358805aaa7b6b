/**
 * Packets without a connection: each goes its own way, so jitter lets one overtake another, losses are final, and a
 * fault may send them twice. A process that stands still finds them when it goes on.
 * Limits: they take the direct way only, past every NAT, and nothing says that they were lost.
 */
import type { EventQueue } from '../kernel/kernel-port.ts';
import type { Inbox } from './inbox.ts';
import type { LastMile } from './last-mile.ts';
import { LOST, type Path } from './path.ts';
import type { Paths } from './paths.ts';

export interface DatagramsInit<Payload> {
  readonly queue: EventQueue;
  readonly paths: Paths;
  readonly inboxOf: (node: number) => Inbox<Payload> | undefined;
}

export interface Datagram {
  readonly from: LastMile;
  readonly to: LastMile;
  readonly bytes: number;
  readonly deliver: () => void;
}

export class Datagrams<Payload> {
  readonly #init: DatagramsInit<Payload>;
  readonly #paths = new Map<LastMile, Map<LastMile, Path>>();
  /** How many faults make a node send and pass things twice. */
  readonly #doubling = new Map<number, number>();

  constructor(init: DatagramsInit<Payload>) {
    this.#init = init;
  }

  send(datagram: Datagram): void {
    this.#sendOnce(datagram);
    const isDoubled = [datagram.from, datagram.to].some(({ node }) => (this.#doubling.get(node) ?? 0) > 0);
    if (isDoubled) this.#sendOnce(datagram);
  }

  /** What is sent from or to this node arrives twice, until it is undone. */
  duplicate(node: number): () => void {
    this.#doubling.set(node, (this.#doubling.get(node) ?? 0) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#doubling.set(node, (this.#doubling.get(node) ?? 1) - 1);
    };
  }

  #sendOnce({ from, to, bytes, deliver }: Datagram): void {
    const { queue, inboxOf } = this.#init;
    const path = this.#pathOf(from, to);
    const travelsMs = path.send(bytes);
    if (travelsMs === LOST) return;
    queue.at(queue.nowMs + travelsMs, () => {
      if (path.reaches) inboxOf(to.node)?.give(deliver);
    });
  }

  #pathOf(from: LastMile, to: LastMile): Path {
    let ways = this.#paths.get(from);
    if (ways === undefined) {
      ways = new Map();
      this.#paths.set(from, ways);
    }
    let path = ways.get(to);
    if (path === undefined) {
      path = this.#init.paths.make('datagram', { from, to, relay: undefined });
      ways.set(to, path);
    }
    return path;
  }
}
