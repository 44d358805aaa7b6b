/**
 * Which texts does a regular expression mean, also "this and that" and "not this"? Terms with Brzozowski's derivatives:
 * the derivative of a term by a character is the term for the rest of the texts that begin with it. Equal terms have
 * equal numbers (each is kept once, in a normal form), so that a text is finished in few different terms.
 * Source: Brzozowski 1964, Owens, Reppy and Turon 2009 (paper). Limits: `TERMS_MAX` terms and the work of one schema; after
 * that `full` is true and what comes is wrong, so that the caller gives up.
 */
import { unreachable } from '../../assert.ts';
import { type CharacterSet, EVERY_CHARACTER, has } from './characters.ts';
import { Work } from './work.ts';

/** A term of one table. */
export type TermId = number;

type Term =
  | { readonly type: 'class'; readonly set: CharacterSet }
  | { readonly type: 'empty' }
  | { readonly type: 'sequence'; readonly first: TermId; readonly rest: TermId }
  | { readonly type: 'either'; readonly terms: readonly TermId[] }
  | { readonly type: 'both'; readonly terms: readonly TermId[] }
  | { readonly type: 'not'; readonly term: TermId }
  | { readonly type: 'repeat'; readonly term: TermId; readonly min: number; readonly max: number };

/** Source: guess: a pattern of an e-mail address makes some hundreds. */
const TERMS_MAX = 20_000;

export class Terms {
  readonly work: Work;
  readonly #terms: Term[] = [];
  readonly #nullable: boolean[] = [];
  readonly #byKey = new Map<string, TermId>();
  readonly #derivatives = new Map<string, TermId>();
  /** The empty text only. */
  readonly empty: TermId;
  /** No text. */
  readonly never: TermId;
  /** Every text. */
  readonly all: TermId;

  constructor(work: Work = new Work()) {
    this.work = work;
    this.empty = this.#keep({ type: 'empty' });
    this.never = this.characters([]);
    this.all = this.repeat(this.characters(EVERY_CHARACTER), { min: 0, max: Infinity });
  }

  /** Too many: nothing that was made since can be relied on. */
  get full(): boolean {
    return this.#terms.length >= TERMS_MAX || this.work.isSpent;
  }

  get count(): number {
    return this.#terms.length;
  }

  /** Those that any term of this table is made of. */
  get classes(): readonly CharacterSet[] {
    return this.#terms.flatMap((term) => (term.type === 'class' ? [term.set] : []));
  }

  characters(set: CharacterSet): TermId {
    return this.#keep({ type: 'class', set });
  }

  sequence(first: TermId, rest: TermId): TermId {
    if (first === this.never || rest === this.never) return this.never;
    if (first === this.empty) return rest;
    if (rest === this.empty) return first;
    const term = this.#terms[first];
    if (term?.type === 'sequence') return this.sequence(term.first, this.sequence(term.rest, rest));
    return this.#keep({ type: 'sequence', first, rest });
  }

  either(terms: readonly TermId[]): TermId {
    if (this.full) return this.never;
    const flat = this.#flat('either', terms).filter((term) => term !== this.never);
    if (flat.includes(this.all)) return this.all;
    return this.#several('either', flat, this.never);
  }

  both(terms: readonly TermId[]): TermId {
    if (this.full) return this.never;
    const flat = this.#flat('both', terms).filter((term) => term !== this.all);
    if (flat.includes(this.never)) return this.never;
    return this.#several('both', flat, this.all);
  }

  not(term: TermId): TermId {
    const inner = this.#terms[term];
    if (inner?.type === 'not') return inner.term;
    if (term === this.never) return this.all;
    return term === this.all ? this.never : this.#keep({ type: 'not', term });
  }

  repeat(term: TermId, { min, max }: { readonly min: number; readonly max: number }): TermId {
    if (max === 0 || term === this.empty) return this.empty;
    if (term === this.never) return min === 0 ? this.empty : this.never;
    return min === 1 && max === 1 ? term : this.#keep({ type: 'repeat', term, min, max });
  }

  /** True when the empty text is one of its texts. */
  isNullable(id: TermId): boolean {
    return this.#nullable[id] ?? false;
  }

  derive(id: TermId, character: number): TermId {
    const key = `${id} ${character}`;
    const known = this.#derivatives.get(key);
    if (known !== undefined) return known;
    const derivative = this.full ? this.never : this.#derive(id, character);
    this.#derivatives.set(key, derivative);
    return derivative;
  }

  #derive(id: TermId, character: number): TermId {
    this.work.spend(1);
    const term = this.#terms[id];
    switch (term?.type) {
      case undefined:
      case 'empty':
        return this.never;
      case 'class':
        return has(term.set, character) ? this.empty : this.never;
      case 'sequence': {
        const through = this.sequence(this.derive(term.first, character), term.rest);
        return this.isNullable(term.first) ? this.either([through, this.derive(term.rest, character)]) : through;
      }
      case 'either':
        return this.either(term.terms.map((one) => this.derive(one, character)));
      case 'both':
        return this.both(term.terms.map((one) => this.derive(one, character)));
      case 'not':
        return this.not(this.derive(term.term, character));
      case 'repeat': {
        const rest = this.repeat(term.term, { min: Math.max(0, term.min - 1), max: term.max - 1 });
        return this.sequence(this.derive(term.term, character), rest);
      }
      default:
        return unreachable(term);
    }
  }

  #flat(type: 'either' | 'both', terms: readonly TermId[]): readonly TermId[] {
    const flat = terms.flatMap((id) => {
      const term = this.#terms[id];
      return term?.type === type ? term.terms : [id];
    });
    this.work.spend(flat.length);
    return [...new Set(flat)].toSorted((left, right) => left - right);
  }

  #several(type: 'either' | 'both', terms: readonly TermId[], none: TermId): TermId {
    const [first] = terms;
    if (first === undefined) return none;
    return terms.length === 1 ? first : this.#keep({ type, terms });
  }

  #keep(term: Term): TermId {
    const key = keyOf(term);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const id = this.#terms.length;
    this.#terms.push(term);
    this.#nullable.push(this.#isNullable(term));
    this.#byKey.set(key, id);
    return id;
  }

  #isNullable(term: Term): boolean {
    switch (term.type) {
      case 'empty':
        return true;
      case 'class':
        return false;
      case 'sequence':
        return this.isNullable(term.first) && this.isNullable(term.rest);
      case 'either':
        return term.terms.some((one) => this.isNullable(one));
      case 'both':
        return term.terms.every((one) => this.isNullable(one));
      case 'not':
        return !this.isNullable(term.term);
      case 'repeat':
        return term.min === 0 || this.isNullable(term.term);
      default:
        return unreachable(term);
    }
  }
}

function keyOf(term: Term): string {
  switch (term.type) {
    case 'empty':
      return 'e';
    case 'class':
      return `c${term.set.map(([first, last]) => `${first}-${last}`).join(',')}`;
    case 'sequence':
      return `s${term.first},${term.rest}`;
    case 'either':
      return `o${term.terms.join(',')}`;
    case 'both':
      return `a${term.terms.join(',')}`;
    case 'not':
      return `n${term.term}`;
    case 'repeat':
      return `r${term.term},${term.min},${term.max}`;
    default:
      return unreachable(term);
  }
}
