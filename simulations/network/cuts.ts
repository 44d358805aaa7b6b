/**
 * Which node's packets reach which other node? A table of how many cuts lie on each way, so that cuts may overlap and
 * end in any order. Without any cut a question costs one comparison. Directions count: a way may be cut in one only.
 * Limits: at most 65,535 cuts on one way, far above what a plan holds; the table takes 2 bytes for each pair of nodes.
 */
import { invariant } from '../../src/assert.ts';

const CUTS_MAX = 65_535;

export class Cuts {
  readonly #nodes: number;
  #table: Uint16Array | undefined;
  #active = 0;

  constructor(nodes: number) {
    this.#nodes = nodes;
  }

  passes(from: number, to: number): boolean {
    return this.#active === 0 || this.#table === undefined || this.#table[from * this.#nodes + to] === 0;
  }

  /** What is returned undoes it, once. */
  cut(from: readonly number[], to: readonly number[]): () => void {
    this.#table ??= new Uint16Array(this.#nodes * this.#nodes);
    const [sources, targets] = [[...from], [...to]];
    this.#change(this.#table, { sources, targets, by: 1 });
    this.#active += 1;
    let isOver = false;
    return () => {
      if (isOver || this.#table === undefined) return;
      isOver = true;
      this.#active -= 1;
      this.#change(this.#table, { sources, targets, by: -1 });
    };
  }

  #change(
    table: Uint16Array,
    { sources, targets, by }: { readonly sources: readonly number[]; readonly targets: readonly number[]; by: 1 | -1 },
  ): void {
    for (const source of sources)
      for (const target of targets) {
        const index = source * this.#nodes + target;
        const cuts = table[index];
        invariant(cuts !== undefined && cuts + by <= CUTS_MAX, 'a cut is between nodes of this network');
        table[index] = cuts + by;
      }
  }
}
