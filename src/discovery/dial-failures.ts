/**
 * What was wrong with an address when it was dialled last? For people only: the book's decisions need the number of
 * failures and not their words. Kept by address, because of one node the next address may fail for another reason.
 * Limits: addresses, the one that failed longest ago goes; the length of a reason, of which the first line counts.
 */
import type { NodeId } from '../ids.ts';

/** Source: guess: what people look at when they ask why a machine is missing, many times over. */
const ADDRESSES_MAX = 512;
/** Source: guess: a sentence. Libraries join the stories of all their attempts. */
const REASON_CHARACTERS_MAX = 160;

export interface DialFailure {
  readonly address: string;
  readonly reason: string;
  readonly atMs: number;
}

/** What came of the dials of a node, or of a bootstrap address of nobody known: for people. */
export interface DialReport {
  readonly node: NodeId | undefined;
  /** Best first. */
  readonly addresses: readonly string[];
  readonly isDialling: boolean;
  /** In a row. */
  readonly failures: number;
  /** When it is dialled next, unless it calls first. */
  readonly nextAtMs: number;
  /** What was wrong with each address the last time. */
  readonly lastFailures: readonly DialFailure[];
}

export class DialFailures {
  readonly #byAddress = new Map<string, DialFailure>();

  failed({ address, reason, atMs }: DialFailure): void {
    const [line = ''] = reason.split('\n', 1);
    const short =
      line.length > REASON_CHARACTERS_MAX ? `${line.slice(0, REASON_CHARACTERS_MAX - 3).trimEnd()}...` : line;
    this.#byAddress.delete(address);
    this.#byAddress.set(address, { address, reason: short === '' ? 'no answer' : short, atMs });
    const [oldest] = this.#byAddress.keys();
    if (this.#byAddress.size > ADDRESSES_MAX && oldest !== undefined) this.#byAddress.delete(oldest);
  }

  /** A connection came about there. */
  forget(address: string): void {
    this.#byAddress.delete(address);
  }

  /** Those of these addresses that failed, in their order. */
  of(addresses: readonly string[]): readonly DialFailure[] {
    return addresses.flatMap((address) => this.#byAddress.get(address) ?? []);
  }
}
