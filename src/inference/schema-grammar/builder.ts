/**
 * The grammar while it grows: its rules, what it may still cost, and the first problem. Whoever finds a problem tells it here
 * and goes on with `NOTHING`; the compiler looks once at the end. Names are numbers in the order of definition, so that
 * equal schemas give equal grammars. Limits: below; what is beyond them is a problem of the place that went beyond.
 */
import { countOf, type Expression, NOTHING, rule, type Rules } from './expression.ts';
import type { Problem } from './schema-document.ts';
import type { Work } from './work.ts';

export const GRAMMAR_LIMITS = {
  /** Source: guess: OpenAI's largest schemas need some hundreds; llama.cpp reads as many in milliseconds. */
  rulesMax: 4_096,
  /** Characters of the grammar. Source: guess, four times a schema. */
  textMax: 262_144,
  /** Nodes that are being compiled at once: the depth of the schema. Source: guess, under any stack. */
  depthMax: 128,
  /** Members of one object, elements with a place of their own, values of one enum, branches of one union: of all of one schema
   *  together. Source: copied (OpenAI allows 5,000 properties and 1,000 values), less. */
  partsMax: 4_096,
  /** Terms of all patterns. Source: guess, some 100 ms. */
  termsMax: 60_000,
} as const;

const TOO_COMPLEX = 'is, with what came before, too complex';

export class Builder {
  readonly work: Work;
  readonly #rules = new Map<string, Expression>();
  #reserved = 0;
  #problem: Problem | undefined;
  #parts = 0;
  #terms = 0;
  readonly #shared = new Map<string, Expression>();

  constructor(work: Work) {
    this.work = work;
  }

  get problem(): Problem | undefined {
    if (this.work.isSpent) this.fail('#', '');
    return this.#problem;
  }

  get rules(): Rules {
    return this.#rules;
  }

  /** Keeps the first problem. Where no work is left, nothing else is known for sure. */
  fail(pointer: string, reason: string): Expression {
    this.#problem ??= { pointer, reason: this.work.isSpent ? TOO_COMPLEX : reason };
    return NOTHING;
  }

  /** A name for a rule whose body comes later, or never. */
  reserve(): string {
    this.#reserved += 1;
    return `r${this.#reserved}`;
  }

  define(name: string, body: Expression): Expression {
    this.#rules.set(name, body);
    this.work.spend(countOf(body));
    if (this.#rules.size > GRAMMAR_LIMITS.rulesMax)
      this.fail('#', `needs a grammar of more than ${GRAMMAR_LIMITS.rulesMax} rules`);
    return rule(name);
  }

  /** A rule of its own around `body`. */
  wrap(body: Expression): Expression {
    return body.type === 'rule' ? body : this.define(this.reserve(), body);
  }

  /** The same expression for the same key. */
  once(key: string, make: () => Expression): Expression {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#shared.set(key, made);
    return made;
  }

  /** Counts parts of the schema; false = too many. */
  spendParts(count: number, pointer: string): boolean {
    this.#parts += count;
    if (this.#parts <= GRAMMAR_LIMITS.partsMax) return true;
    this.fail(pointer, `has, with what came before, more than ${GRAMMAR_LIMITS.partsMax} members, values and branches`);
    return false;
  }

  spendTerms(count: number, pointer: string): void {
    this.#terms += count;
    if (this.#terms > GRAMMAR_LIMITS.termsMax)
      this.fail(pointer, 'has, with what came before, patterns that are too complex');
  }
}
