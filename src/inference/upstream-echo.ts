/**
 * Does a server go on with a given text, or begin again? A server that does not know how to continue a message repeats
 * the answer from its start. Deltas are kept back while they repeat the given text; when all of it has been repeated it
 * is dropped, and when they turn out differently they are released as what they are: the rest of the answer.
 * Weak spot: a true rest that begins with the whole text so far loses that repeat; likely only for very short texts.
 */

export class Echo {
  readonly #given: string;
  readonly #deltas: string[] = [];
  #characters = 0;
  #over: boolean;

  constructor(given: string) {
    this.#given = given;
    this.#over = given === '';
  }

  /** What may go on now: nothing while it is open, then what was kept or what follows the repeat. */
  accept(delta: string): readonly string[] {
    if (this.#over) return [delta];
    const missing = this.#given.length - this.#characters;
    const repeats = this.#given.startsWith(delta.slice(0, missing), this.#characters);
    this.#deltas.push(delta);
    this.#characters += delta.length;
    if (!repeats) return this.release();
    if (delta.length < missing) return [];
    this.#over = true;
    return delta.length > missing ? [delta.slice(missing)] : [];
  }

  /** The answer is over: what was kept back is no repeat, or not of everything. */
  release(): readonly string[] {
    if (this.#over) return [];
    this.#over = true;
    return this.#deltas;
  }
}
