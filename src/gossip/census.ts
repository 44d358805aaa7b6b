/**
 * How many members are there, how old is what they said, and is this view the same as that one? Whoever looks at a node
 * from outside asks for these sums and not for the members, and asks often: in a mesh of a thousand, a list of all members
 * once a second costs more than all that they say. So the moments in which load rows were made are kept as one column
 * of numbers, and the fingerprint is kept up to date by every change.
 * Limits: a free row stays until it is used again; the fingerprint is no defence against members that seek collisions.
 */
import { finalMix, hash64, utf8 } from '../bytes.ts';
import type { NodeId } from '../ids.ts';

export interface Census {
  readonly alive: number;
  readonly suspect: number;
  /** Age of the load rows of all of them, summed up. */
  readonly ageMs: number;
  /** Of (member, incarnation) of all who are alive: 32 bits. */
  readonly fingerprint: number;
}

export interface Counted {
  readonly node: NodeId;
  readonly incarnation: number;
}

/** The part of one member in the fingerprint; taken twice it is nothing. */
export function fingerprintOf({ node, incarnation }: Counted): number {
  return finalMix(hash64(utf8(node)).low ^ incarnation);
}

/** `others`: all in the view but this node, those under suspicion included. */
export function censusOf(
  others: { readonly count: number; readonly ageMs: number; readonly fingerprint: number },
  self: Counted,
  suspects: readonly Counted[],
): Census {
  let fingerprint = others.fingerprint ^ fingerprintOf(self);
  for (const suspect of suspects) fingerprint ^= fingerprintOf(suspect);
  const suspect = suspects.length;
  return { alive: 1 + others.count - suspect, suspect, ageMs: others.ageMs, fingerprint: fingerprint >>> 0 };
}

const ROWS_MIN = 16;

/** When load rows were made, a row for each member. */
export class MadeAtColumn {
  #madeAtMs = new Float64Array(ROWS_MIN).fill(Infinity);
  #rows = 0;
  readonly #free: number[] = [];

  /** A row for a new member. */
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#rows === this.#madeAtMs.length) {
      const larger = new Float64Array(this.#rows * 2).fill(Infinity);
      larger.set(this.#madeAtMs);
      this.#madeAtMs = larger;
    }
    this.#rows += 1;
    return this.#rows - 1;
  }

  set(row: number, madeAtMs: number): void {
    this.#madeAtMs[row] = madeAtMs;
  }

  /** The member is gone: no age. */
  release(row: number): void {
    this.#madeAtMs[row] = Infinity;
    this.#free.push(row);
  }

  /** In whole ms each, none below 0. */
  ageMs(nowMs: number): number {
    const column = this.#madeAtMs;
    let sum = 0;
    for (let row = 0; row < this.#rows; row += 1) sum += Math.max(0, Math.round(nowMs - (column[row] ?? Infinity)));
    return sum;
  }
}
