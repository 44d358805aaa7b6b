/**
 * Will llama.cpp take this grammar, and stay quick and small while it follows it? Four questions about the rules:
 * 1. does every rule have a finite text (else a model could never end), 2. does none begin with itself, and is that quick to
 * see (llama.cpp looks along all ways), 3. how large is it once repetitions are written out, 4. at how many places of the
 * grammar can one text be at once? llama.cpp follows all of them, and where a choice that is open for long is
 * inside of itself, they double with each level: whoever asks could make the engine's memory explode.
 * Source: llama-grammar.cpp (copied behaviour), limits are guesses.
 */
import { unreachable } from '../../assert.ts';
import { type Expression, isNothing, type Rules } from './expression.ts';
import type { Leads } from './leads.ts';
import type { Work } from './work.ts';

export const CHECK_LIMITS = {
  /** Ways along which a rule can begin, of all rules together. Source: guess, milliseconds. */
  beginningsMax: 500_000,
  /** Elements with repetitions written out. Source: guess, some 10 MB. */
  elementsMax: 400_000,
  /** Places at once. Source: guess: each costs a look at every token. */
  placesMax: 256,
} as const;

/** What is wrong with it, as the rest of a sentence about the schema. */
export function grammarProblem(rules: Rules, leads: Leads, work: Work): string | undefined {
  return new Check({ rules, leads, work }).problem();
}

interface CheckOptions {
  readonly rules: Rules;
  readonly leads: Leads;
  readonly work: Work;
}

class Check {
  readonly #work: Work;
  readonly #rules: Rules;
  readonly #leads: Leads;
  readonly #finite = new Set<string>();
  readonly #nullable = new Set<string>();

  constructor({ rules, leads, work }: CheckOptions) {
    this.#rules = rules;
    this.#leads = leads;
    this.#work = work;
  }

  problem(): string | undefined {
    this.#settle(this.#finite, (body) => this.#isFinite(body));
    if (this.#finite.size < this.#rules.size) return 'allows a value that has no end, because it needs itself';
    this.#settle(this.#nullable, (body) => this.#isNullable(body));
    const beginnings = this.#countBeginnings();
    if (beginnings === undefined) return 'refers to itself with nothing in between';
    if (beginnings > CHECK_LIMITS.beginningsMax) return 'has too many ways to begin';
    if (this.#countElements() > CHECK_LIMITS.elementsMax) return 'needs a grammar that is too large';
    const isNarrow = this.#isNarrow();
    return isNarrow
      ? undefined
      : 'has alternatives that differ too late: let the first required property of each be a constant that tells them apart';
  }

  /** Adds rules until none can be added any more. */
  #settle(found: Set<string>, holds: (body: Expression) => boolean): void {
    for (let before = -1; before < found.size;) {
      before = found.size;
      this.#work.spend(this.#rules.size - found.size);
      if (this.#work.isSpent) return;
      for (const [name, body] of this.#rules) if (!found.has(name) && holds(body)) found.add(name);
    }
  }

  #isFinite(body: Expression): boolean {
    switch (body.type) {
      case 'literal':
      case 'characters':
        return true;
      case 'rule':
        return this.#finite.has(body.name);
      case 'sequence':
        return body.parts.every((part) => this.#isFinite(part));
      case 'choice':
        // An alternative that never ends is a trap, even beside one that does; those under way are looked at again.
        return body.options.some((option) => this.#isFinite(option)) && !isNothing(body);
      case 'repeat':
        return body.min === 0 || this.#isFinite(body.part);
      default:
        return unreachable(body);
    }
  }

  #isNullable(body: Expression): boolean {
    switch (body.type) {
      case 'literal':
      case 'characters':
        return false;
      case 'rule':
        return this.#nullable.has(body.name);
      case 'sequence':
        return body.parts.every((part) => this.#isNullable(part));
      case 'choice':
        return body.options.some((option) => this.#isNullable(option));
      case 'repeat':
        return body.min === 0 || this.#isNullable(body.part);
      default:
        return unreachable(body);
    }
  }

  /** The rules with which a text of `body` can begin, as often as there are ways. */
  #firstRules(body: Expression): readonly string[] {
    switch (body.type) {
      case 'literal':
      case 'characters':
        return [];
      case 'rule':
        return [body.name];
      case 'sequence': {
        const end = body.parts.findIndex((part) => !this.#isNullable(part));
        return body.parts.slice(0, end < 0 ? undefined : end + 1).flatMap((part) => this.#firstRules(part));
      }
      case 'choice':
        return body.options.flatMap((option) => this.#firstRules(option));
      case 'repeat': {
        const once = this.#firstRules(body.part);
        return this.#isNullable(body.part) ? [...once, ...once] : once;
      }
      default:
        return unreachable(body);
    }
  }

  /** Undefined where a rule begins with itself. */
  #countBeginnings(): number | undefined {
    const counts = new Map<string, number>();
    const open = new Set<string>();
    const countOf = (name: string): number => {
      const known = counts.get(name);
      if (known !== undefined) return known;
      if (open.has(name)) return Infinity;
      open.add(name);
      const body = this.#rules.get(name);
      let count = 1;
      for (const first of body === undefined ? [] : this.#firstRules(body)) count += countOf(first);
      open.delete(name);
      counts.set(name, count);
      return count;
    };
    let all = 0;
    for (const name of this.#rules.keys()) all += countOf(name);
    return all === Infinity ? undefined : all;
  }

  #countElements(): number {
    let count = 0;
    for (const body of this.#rules.values()) count += elementsOf(body);
    return count;
  }

  /** Places at once grow round by round while rules are inside of themselves. */
  #isNarrow(): boolean {
    const widths = new Map<string, number>();
    for (let isGrowing = true; isGrowing;) {
      isGrowing = false;
      for (const [name, body] of this.#rules) {
        this.#work.spend(1);
        const width = this.#widthOf(body, widths);
        if (width > CHECK_LIMITS.placesMax || this.#leads.isExhausted) return false;
        if (width > (widths.get(name) ?? 1)) isGrowing = true;
        widths.set(name, width);
      }
    }
    return true;
  }

  #widthOf(body: Expression, widths: ReadonlyMap<string, number>): number {
    switch (body.type) {
      case 'literal':
      case 'characters':
        return 1;
      case 'rule':
        return widths.get(body.name) ?? 1;
      case 'sequence':
        return Math.max(1, ...body.parts.map((part) => this.#widthOf(part, widths)));
      case 'choice':
        return Math.max(
          1,
          ...this.#leads
            .groups(body)
            .map((group) => group.reduce((sum, option) => sum + this.#widthOf(option, widths), 0)),
        );
      case 'repeat':
        return this.#widthOf(body.part, widths);
      default:
        return unreachable(body);
    }
  }
}

function elementsOf(body: Expression): number {
  switch (body.type) {
    case 'literal':
      return body.text.length;
    case 'characters':
      return body.set.length * 2;
    case 'rule':
      return 1;
    case 'sequence':
      return body.parts.reduce((sum, part) => sum + elementsOf(part), 1);
    case 'choice':
      return body.options.reduce((sum, option) => sum + elementsOf(option) + 1, 1);
    case 'repeat':
      return (elementsOf(body.part) + 3) * Math.max(body.min, body.max ?? body.min + 1, 1);
    default:
      return unreachable(body);
  }
}
