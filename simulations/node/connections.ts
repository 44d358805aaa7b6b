/**
 * The connections of one process, as the membership gate keeps them: several to one node are possible for a moment (both
 * dialled at once), a much older one ends when its node proves a newer one, and the core hears of the first and of the
 * last only. Kept by node number, so that nothing depends on the order in which they came.
 */
import type { Connection } from '../network/network-port.ts';

/** A connection as old as this ends when its node opens a newer one. Source: `discovery/membership.io.ts`. */
const REPLACED_AFTER_MS = 15_000;

interface Kept {
  readonly connection: Connection;
  readonly openedAtMs: number;
}

export class Connections {
  /** By node number; oldest first. */
  readonly #byNode = new Map<number, Kept[]>();

  get size(): number {
    return this.#byNode.size;
  }

  /** The newest: the one that proved last that it carries anything. */
  to(node: number): Connection | undefined {
    return this.#byNode.get(node)?.at(-1)?.connection;
  }

  /** Everybody who is connected, in the order in which they came. */
  nodes(): Iterable<number> {
    return this.#byNode.keys();
  }

  /** Somebody who is connected, the same one while it stays. */
  anybody(): number | undefined {
    for (const node of this.#byNode.keys()) return node;
    return undefined;
  }

  /** Takes it in. `first`: the node was not connected; `replaced`: what must be closed now. */
  add(connection: Connection, nowMs: number): { readonly first: boolean; readonly replaced: readonly Connection[] } {
    const known = this.#byNode.get(connection.remote) ?? [];
    const replaced = known.filter(({ openedAtMs }) => nowMs - openedAtMs >= REPLACED_AFTER_MS);
    const kept = known.filter((one) => !replaced.includes(one));
    this.#byNode.set(connection.remote, [...kept, { connection, openedAtMs: nowMs }]);
    return { first: kept.length === 0, replaced: replaced.map((one) => one.connection) };
  }

  /** `last`: the node is not connected any more. */
  remove(connection: Connection): { readonly known: boolean; readonly last: boolean } {
    const before = this.#byNode.get(connection.remote) ?? [];
    const left = before.filter((one) => one.connection !== connection);
    if (left.length === before.length) return { known: false, last: false };
    if (left.length === 0) this.#byNode.delete(connection.remote);
    else this.#byNode.set(connection.remote, left);
    return { known: true, last: left.length === 0 };
  }

  /** Gives up every connection to a node. */
  take(node: number): readonly Connection[] {
    const taken = (this.#byNode.get(node) ?? []).map(({ connection }) => connection);
    this.#byNode.delete(node);
    return taken;
  }
}
