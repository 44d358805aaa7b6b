/**
 * What do the keywords of a node say, brought together? Types are cut, bounds take the tighter end, lists of patterns grow,
 * and the schemas of properties and elements stay with the part they came from (`objects.ts`, `lists.ts` join them).
 * Keywords that a grammar cannot follow exactly are problems with their place; annotations and unknown words are
 * ignored, because the standard says that they do not constrain. Source: spec (JSON Schema 2020-12 validation).
 */
import { canonicalText } from './json-text.ts';
import type { Bound, Range } from './numbers.ts';
import { below, type Keywords, type Node, type Place, type Problem } from './schema-document.ts';

export type TypeName = 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null';

export interface TextFacts {
  readonly min: number;
  readonly max?: number;
  readonly patterns: readonly string[];
  readonly formats: readonly string[];
}

export interface NumberFacts extends Range {
  /** Decimal places at most. */
  readonly places?: number;
}

/** How many properties or elements. */
export interface Count {
  readonly min?: number;
  readonly max?: number;
}

export interface Union {
  readonly keyword: 'anyOf' | 'oneOf';
  readonly place: Place;
  readonly branches: readonly Node[];
}

export interface Facts {
  /** Absent: nothing was said. */
  readonly types?: ReadonlySet<TypeName>;
  /** By canonical text, in the order of the schema. */
  readonly values?: ReadonlyMap<string, unknown>;
  readonly text: TextFacts;
  readonly number: NumberFacts;
  readonly properties: Count;
  readonly elements: Count;
  /** The kinds of values that some keyword says more about. */
  readonly said: ReadonlySet<TypeName>;
  readonly unions: readonly Union[];
}

export type Gathered =
  { readonly type: 'facts'; readonly facts: Facts } | { readonly type: 'problem'; readonly problem: Problem };

const ALL_TYPES: readonly TypeName[] = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'];

/** Which kind of value a keyword is about. */
const ABOUT: Readonly<Record<string, TypeName>> = {
  properties: 'object',
  required: 'object',
  additionalProperties: 'object',
  unevaluatedProperties: 'object',
  patternProperties: 'object',
  propertyNames: 'object',
  minProperties: 'object',
  maxProperties: 'object',
  items: 'array',
  prefixItems: 'array',
  additionalItems: 'array',
  minItems: 'array',
  maxItems: 'array',
  minLength: 'string',
  maxLength: 'string',
  pattern: 'string',
  format: 'string',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'number',
  exclusiveMaximum: 'number',
  multipleOf: 'number',
};

/** Constraints that no grammar of this size can follow. */
const UNSUPPORTED: readonly string[] = [
  'not',
  'if',
  'then',
  'else',
  'dependentRequired',
  'dependentSchemas',
  'dependencies',
  'contains',
  'unevaluatedItems',
  '$dynamicRef',
  '$recursiveRef',
];

/** Whether a keyword says anything about values. */
export function isAssertion(keyword: string): boolean {
  return (
    Object.hasOwn(ABOUT, keyword) ||
    UNSUPPORTED.includes(keyword) ||
    ['type', 'enum', 'const', 'anyOf', 'oneOf', 'uniqueItems'].includes(keyword)
  );
}

export function gather(parts: readonly Keywords[]): Gathered {
  const gatherer = new Gatherer();
  for (const part of parts) gatherer.add(part);
  const { problem } = gatherer;
  return problem === undefined ? { type: 'facts', facts: gatherer.facts } : { type: 'problem', problem };
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

/** Keeps the first problem. */
class Gatherer {
  problem: Problem | undefined;
  #place: Place = { pointer: '#', schema: {}, done: [] };
  #types: ReadonlySet<TypeName> | undefined;
  #values: ReadonlyMap<string, unknown> | undefined;
  readonly #text: { min: number; max?: number; readonly patterns: string[]; readonly formats: string[] } = {
    min: 0,
    patterns: [],
    formats: [],
  };
  readonly #number: Mutable<NumberFacts> = {};
  readonly #properties: Mutable<Count> = {};
  readonly #elements: Mutable<Count> = {};
  readonly #said = new Set<TypeName>();
  readonly #unions: Union[] = [];

  get facts(): Facts {
    return {
      ...(this.#types === undefined ? {} : { types: this.#types }),
      ...(this.#values === undefined ? {} : { values: this.#values }),
      text: this.#text,
      number: this.#number,
      properties: this.#properties,
      elements: this.#elements,
      said: this.#said,
      unions: this.#unions,
    };
  }

  add({ place, fields }: Keywords): void {
    this.#place = place;
    for (const [keyword, value] of fields) {
      const kind = Object.hasOwn(ABOUT, keyword) ? ABOUT[keyword] : undefined;
      if (kind !== undefined) this.#said.add(kind);
      if (UNSUPPORTED.includes(keyword)) this.#fail(keyword, 'is not supported');
      else if (!this.#addType(keyword, value, fields))
        if (!this.#addCount(keyword, value)) this.#addOther(keyword, value);
    }
  }

  #fail(keyword: string, reason: string): void {
    this.problem ??= { pointer: below(this.#place, [keyword], undefined).pointer, reason };
  }

  /** True where the keyword was one of these. */
  #addType(keyword: string, value: unknown, fields: ReadonlyMap<string, unknown>): boolean {
    switch (keyword) {
      case 'type':
        this.#cutTypes(Array.isArray(value) ? value : [value], fields.get('nullable') === true);
        return true;
      case 'enum':
        if (Array.isArray(value)) this.#cutValues(keyword, value);
        else this.#fail(keyword, 'must be an array');
        return true;
      case 'const':
        this.#cutValues(keyword, [value]);
        return true;
      case 'anyOf':
      case 'oneOf': {
        const place = this.#place;
        if (!Array.isArray(value) || value.length === 0) this.#fail(keyword, 'must be an array that is not empty');
        else
          this.#unions.push({
            keyword,
            place,
            branches: value.map((schema: unknown, index) => [below(place, [keyword, index], schema)]),
          });
        return true;
      }
      default:
        return false;
    }
  }

  #cutTypes(names: readonly unknown[], isNullable: boolean): void {
    const types = new Set(ALL_TYPES.filter((type) => names.includes(type)));
    if (types.size !== names.length || types.size === 0)
      this.#fail('type', `must be one or several of ${ALL_TYPES.join(', ')}`);
    if (isNullable) types.add('null');
    if (types.has('number')) types.delete('integer');
    const before = this.#types;
    if (before === undefined) this.#types = types;
    else this.#types = new Set([...types, ...before].filter((type) => admits(types, type) && admits(before, type)));
  }

  #cutValues(keyword: string, values: readonly unknown[]): void {
    const texts = new Map<string, unknown>();
    for (const value of values) {
      const text = canonicalText(value);
      if (text === undefined) this.#fail(keyword, 'holds a number that is too large');
      else if (this.#values?.has(text) !== false) texts.set(text, value);
    }
    this.#values = texts;
  }

  #addCount(keyword: string, value: unknown): boolean {
    const counts: Readonly<Record<string, Mutable<Count>>> = {
      Length: this.#text,
      Items: this.#elements,
      Properties: this.#properties,
    };
    const found = /^(min|max)(Length|Items|Properties)$/.exec(keyword);
    const count = counts[found?.[2] ?? ''];
    if (found === null || count === undefined) return false;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      this.#fail(keyword, 'must be a whole number');
    else if (found[1] === 'min') count.min = Math.max(count.min ?? 0, value);
    else count.max = Math.min(count.max ?? Infinity, value);
    return true;
  }

  #addOther(keyword: string, value: unknown): void {
    switch (keyword) {
      case 'minimum':
      case 'exclusiveMinimum':
      case 'maximum':
      case 'exclusiveMaximum':
        this.#addBound(keyword, value);
        return;
      case 'multipleOf':
        this.#addMultiple(value);
        return;
      case 'pattern':
      case 'format':
        if (typeof value === 'string') (keyword === 'pattern' ? this.#text.patterns : this.#text.formats).push(value);
        else this.#fail(keyword, 'must be a string');
        return;
      case 'uniqueItems':
        if (value !== false) this.#fail(keyword, 'is not supported: a grammar does not remember the elements before');
        return;
      default:
    }
  }

  #addBound(keyword: string, value: unknown): void {
    if (typeof value !== 'number' || !Number.isFinite(value)) return this.#fail(keyword, 'must be a number');
    const bound: Bound = { value, isOpen: keyword.startsWith('exclusive') };
    const side = keyword.toLowerCase().endsWith('minimum') ? 'low' : 'high';
    const before = this.#number[side];
    const sign = side === 'low' ? 1 : -1;
    const isTighter =
      before === undefined || (value - before.value) * sign > 0 || (value === before.value && bound.isOpen);
    if (isTighter) this.#number[side] = bound;
  }

  /** A power of ten below one limits the decimal places; nothing else is a matter of digits. */
  #addMultiple(value: unknown): void {
    const places = [...Array(16).keys()].find((count) => value === Number(`1e-${count}`));
    if (places === undefined) this.#fail('multipleOf', 'is only supported as 1, 0.1, 0.01 and so on');
    else this.#number.places = Math.min(this.#number.places ?? places, places);
  }
}

/** Whether a value of `type` is one of `types`. */
export function admits(types: ReadonlySet<TypeName>, type: TypeName): boolean {
  return types.has(type) || (type === 'integer' && types.has('number'));
}

export function typeOfValue(value: unknown): TypeName {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (typeof value === 'string') return 'string';
  return typeof value === 'boolean' ? 'boolean' : 'object';
}
