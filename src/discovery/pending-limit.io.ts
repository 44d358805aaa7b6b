/**
 * How can a stranger's idle sockets not lock members out? libp2p allows few connections in upgrade at once for
 * everybody together; a handful of silent sockets from one host use them up. So each host gets a small share: one more
 * while that many are still shaking hands is refused at once, and a member simply dials again. Where a member's connection
 * comes from there may be more, because a NAT or a relay has many members behind it.
 * Limits: hosts behind one address share it; an IPv6 host with many addresses has many shares, the total is libp2p's.
 * Source: measured (15 of 17 member dials failed with the defaults, none with 4 per host and 128 in all).
 */
import type { ConnectionGater, MultiaddrConnection } from '@libp2p/interface';

/** From a host that a proven member is at. Source: guess: a relay that comes back has its members redial within a second. */
const MEMBERS_PER_HOST_MAX = 32;

export class PendingLimit {
  readonly #perHostMax: number;
  readonly #hasMember: (host: string) => boolean;
  readonly #pending = new Map<string, Set<MultiaddrConnection>>();
  #refused = 0;

  constructor(perHostMax: number, hasMember: (host: string) => boolean = () => false) {
    this.#perHostMax = perHostMax;
    this.#hasMember = hasMember;
  }

  get refused(): number {
    return this.#refused;
  }

  gater(): ConnectionGater {
    return {
      denyInboundConnection: (connection) => this.#isOneTooMany(connection),
      denyInboundUpgradedConnection: (_peer, connection) => {
        this.#release(connection);
        return false;
      },
    };
  }

  #isOneTooMany(connection: MultiaddrConnection): boolean {
    const host = hostOf(connection);
    const pending = this.#pending.get(host) ?? new Set();
    if (pending.size >= this.#maxFor(host)) {
      this.#refused += 1;
      return true;
    }
    pending.add(connection);
    this.#pending.set(host, pending);
    connection.addEventListener('close', () => this.#release(connection), { once: true });
    return false;
  }

  #maxFor(host: string): number {
    return this.#hasMember(host) ? Math.max(this.#perHostMax, MEMBERS_PER_HOST_MAX) : this.#perHostMax;
  }

  #release(connection: MultiaddrConnection): void {
    const host = hostOf(connection);
    const pending = this.#pending.get(host);
    if (pending?.delete(connection) === true && pending.size === 0) this.#pending.delete(host);
  }
}

/** A connection that was greeted over another one has no host: its node stands for it. */
function hostOf(connection: MultiaddrConnection): string {
  return connection.remoteAddr.getComponents().find(({ value }) => value !== undefined)?.value ?? '';
}
