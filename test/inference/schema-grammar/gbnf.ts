/**
 * GBNF once more, written without a look at the compiler: a parser of the text, a recogniser of whole texts, and a maker of
 * random members. Strict: what llama.cpp would take otherwise than it looks (a repetition above its limit, an undefined
 * rule) throws.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../../src/prng.ts';

type Element =
  | { readonly type: 'text'; readonly codes: readonly number[] }
  | { readonly type: 'class'; readonly ranges: readonly (readonly [number, number])[] }
  | { readonly type: 'rule'; readonly name: string }
  | { readonly type: 'group'; readonly options: readonly (readonly Item[])[] };
interface Item {
  readonly element: Element;
  readonly min: number;
  readonly max: number;
}
type Options = readonly (readonly Item[])[];

const LLAMA_REPEAT_MAX = 2_000;
const ESCAPES: Readonly<Record<string, number>> = { t: 9, r: 13, n: 10 };

export class Gbnf {
  readonly #rules = new Map<string, Options>();
  readonly #heights = new Map<string, number>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const found = /^([a-zA-Z0-9-]+) ::= (.*)$/.exec(line);
      assert.ok(found !== null, line);
      const reader = new Reader(found[2] ?? '');
      this.#rules.set(found[1] ?? '', reader.options());
      assert.ok(reader.isAtEnd, line);
    }
    for (let grew = true; grew;) {
      grew = false;
      for (const [name, options] of this.#rules) {
        const height = 1 + this.#heightOf(options);
        if (height < (this.#heights.get(name) ?? Infinity)) {
          this.#heights.set(name, height);
          grew = true;
        }
      }
    }
    for (const name of this.#rules.keys()) assert.ok(this.#heights.has(name), `${name} has no end`);
  }

  get size(): number {
    return this.#rules.size;
  }

  accepts(text: string): boolean {
    const codes = Array.from(text, (character) => character.codePointAt(0) ?? 0);
    const memo = new Map<string, ReadonlySet<number>>();
    const ofRule = (name: string, at: number): ReadonlySet<number> => {
      const key = `${name} ${at}`;
      const known = memo.get(key);
      if (known !== undefined) return known;
      const ends = ofOptions(this.#rule(name), at);
      memo.set(key, ends);
      return ends;
    };
    const ofElement = (element: Element, at: number): ReadonlySet<number> => {
      if (element.type === 'rule') return ofRule(element.name, at);
      if (element.type === 'group') return ofOptions(element.options, at);
      if (element.type === 'text')
        return element.codes.every((code, index) => codes[at + index] === code)
          ? new Set([at + element.codes.length])
          : new Set();
      const code = codes[at] ?? -1;
      return new Set(element.ranges.some(([first, last]) => code >= first && code <= last) ? [at + 1] : []);
    };
    const ofItem = ({ element, min, max }: Item, at: number): ReadonlySet<number> => {
      const ends = new Set<number>(min === 0 ? [at] : []);
      let front: ReadonlySet<number> = new Set([at]);
      for (let count = 1; count <= max && front.size > 0; count += 1) {
        const next = new Set<number>();
        for (const from of front) for (const end of ofElement(element, from)) next.add(end);
        front = count < min ? next : new Set([...next].filter((end) => !ends.has(end)));
        if (count >= min) for (const end of next) ends.add(end);
      }
      return ends;
    };
    const ofOptions = (options: Options, at: number): ReadonlySet<number> => {
      const ends = new Set<number>();
      for (const items of options) {
        let front: ReadonlySet<number> = new Set([at]);
        for (const item of items) front = new Set([...front].flatMap((from) => [...ofItem(item, from)]));
        for (const end of front) ends.add(end);
      }
      return ends;
    };
    return ofRule('root', 0).has(codes.length);
  }

  /** A random member; beyond `depth` rules within rules it takes the shortest way out. */
  member(prng: Prng, depth = 12): string {
    return this.#sampleOptions(this.#rule('root'), prng, depth);
  }

  #sampleOptions(options: Options, prng: Prng, depth: number): string {
    const shortest = Math.min(...options.map((items) => this.#heightOf([items])));
    const open = depth > 0 ? options : options.filter((items) => this.#heightOf([items]) === shortest);
    const items = open[prng.nextBelow(open.length)] ?? [];
    return items.map((item) => this.#sampleItem(item, prng, depth)).join('');
  }

  #sampleItem({ element, min, max }: Item, prng: Prng, depth: number): string {
    const most = depth > 0 ? Math.min(max, min + 3) : min;
    const count = min + prng.nextBelow(most - min + 1);
    let text = '';
    for (let index = 0; index < count; index += 1) text += this.#sampleElement(element, prng, depth);
    return text;
  }

  #sampleElement(element: Element, prng: Prng, depth: number): string {
    if (element.type === 'text') return String.fromCodePoint(...element.codes);
    if (element.type === 'rule') return this.#sampleOptions(this.#rule(element.name), prng, depth - 1);
    if (element.type === 'group') return this.#sampleOptions(element.options, prng, depth);
    const [first, last] = element.ranges[prng.nextBelow(element.ranges.length)] ?? [0, 0];
    return String.fromCodePoint(first + prng.nextBelow(last - first + 1));
  }

  #rule(name: string): Options {
    const options = this.#rules.get(name);
    assert.ok(options !== undefined, `undefined rule ${name}`);
    return options;
  }

  #heightOf(options: Options): number {
    const ofElement = (element: Element): number => {
      if (element.type === 'rule') return this.#heights.get(element.name) ?? Infinity;
      return element.type === 'group' ? this.#heightOf(element.options) : 0;
    };
    return Math.min(
      ...options.map((items) => Math.max(0, ...items.map(({ element, min }) => (min === 0 ? 0 : ofElement(element))))),
    );
  }
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  options(): Options {
    const options: Item[][] = [[]];
    for (;;) {
      while (this.#text[this.#at] === ' ') this.#at += 1;
      const next = this.#text[this.#at];
      if (next === undefined || next === ')') return options;
      if (next === '|') {
        this.#at += 1;
        options.push([]);
      } else options.at(-1)?.push(this.#item());
    }
  }

  #item(): Item {
    const element = this.#element();
    const found = /^(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})/.exec(this.#text.slice(this.#at));
    this.#at += found?.[0].length ?? 0;
    if (found === null) return { element, min: 1, max: 1 };
    if (found[0] === '*') return { element, min: 0, max: Infinity };
    if (found[0] === '+') return { element, min: 1, max: Infinity };
    if (found[0] === '?') return { element, min: 0, max: 1 };
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === '' ? Infinity : Number(found[3]);
    assert.ok(
      min <= LLAMA_REPEAT_MAX && (max === Infinity || max <= LLAMA_REPEAT_MAX),
      'llama.cpp would not count so far',
    );
    assert.ok(element.type !== 'group', 'llama.cpp multiplies what is in a group');
    return { element, min, max };
  }

  #element(): Element {
    const next = this.#text[this.#at];
    if (next === '(') {
      this.#at += 1;
      const options = this.options();
      assert.equal(this.#text[this.#at], ')');
      this.#at += 1;
      return { type: 'group', options };
    }
    if (next === '"') {
      const codes: number[] = [];
      for (this.#at += 1; this.#text[this.#at] !== '"';) codes.push(this.#code());
      this.#at += 1;
      return { type: 'text', codes };
    }
    if (next === '[') {
      const ranges: (readonly [number, number])[] = [];
      assert.notEqual(this.#text[this.#at + 1], '^');
      for (this.#at += 1; this.#text[this.#at] !== ']';) {
        const first = this.#code();
        const isRange = this.#text[this.#at] === '-';
        if (isRange) this.#at += 1;
        ranges.push([first, isRange ? this.#code() : first]);
      }
      this.#at += 1;
      return { type: 'class', ranges };
    }
    const name = /^[a-zA-Z0-9-]+/.exec(this.#text.slice(this.#at))?.[0] ?? '';
    assert.notEqual(name, '', this.#text.slice(this.#at));
    this.#at += name.length;
    return { type: 'rule', name };
  }

  #code(): number {
    const next = this.#text[this.#at] ?? '';
    this.#at += 1;
    assert.ok(next >= ' ' && next <= '~', 'the text is plain ASCII');
    if (next !== '\\') return next.codePointAt(0) ?? 0;
    const escape = this.#text[this.#at] ?? '';
    this.#at += 1;
    const digits = { x: 2, u: 4, U: 8 }[escape];
    if (digits === undefined) {
      assert.match(escape, /^[trn\\"[\]-]$/);
      return ESCAPES[escape] ?? escape.codePointAt(0) ?? 0;
    }
    const hex = this.#text.slice(this.#at, this.#at + digits);
    this.#at += digits;
    assert.match(hex, /^[0-9a-f]+$/);
    return Number.parseInt(hex, 16);
  }
}
