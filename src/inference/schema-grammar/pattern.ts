/**
 * Which texts does a `pattern` of a schema accept? Reads the part of JavaScript's regular expressions that describes plain
 * sets of texts, into terms: characters, classes, groups, alternatives, counts, `^` and `$` around the whole, and
 * lookaheads that stand outside of groups, because "and" and "not" are terms too. As the standard says, a pattern without
 * anchors may match anywhere. What is no set of texts (references, `\b`, lookbehind) or changes the meaning of
 * letters (`\p`) is refused with a sentence. Source: spec (ECMA-262 22.2, with the flag u; JSON Schema 6.3.3).
 */
import {
  type CharacterSet,
  characters,
  complementOf,
  DIGITS,
  EVERY_CHARACTER,
  commonTo,
  NO_LINE_END,
  SPACES,
  WORD,
} from './characters.ts';
import type { TermId, Terms } from './terms.ts';

type PatternTerm =
  { readonly type: 'term'; readonly term: TermId } | { readonly type: 'refused'; readonly why: string };

export const PATTERN_LIMITS = {
  /** Source: guess: the longest in use (e-mail, URL) have some hundreds. */
  charactersMax: 2_000,
  /** Source: guess. */
  groupDepthMax: 32,
  /** Times that a part is repeated. Source: guess: longer texts have `maxLength`. */
  timesMax: 1_000,
} as const;

const CONTROL_ESCAPES: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 };
const CLASS_ESCAPES: Readonly<Record<string, CharacterSet>> = { d: DIGITS, w: WORD, s: SPACES };
/** With these behind the backslash a number of hex digits follows. */
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4 };

export function patternTerm(terms: Terms, pattern: string): PatternTerm {
  if (pattern.length > PATTERN_LIMITS.charactersMax)
    return { type: 'refused', why: `is longer than ${PATTERN_LIMITS.charactersMax} characters` };
  const reader = new PatternReader(terms, pattern);
  const term = reader.whole();
  return reader.problem === '' ? { type: 'term', term } : { type: 'refused', why: reader.problem };
}

interface Element {
  readonly look: 'none' | 'ahead' | 'not-ahead';
  readonly term: TermId;
}

/** Keeps the first problem and goes on to the end with harmless terms. */
class PatternReader {
  problem = '';
  readonly #terms: Terms;
  readonly #text: readonly string[];
  #at = 0;
  #groups = 0;

  constructor(terms: Terms, pattern: string) {
    this.#terms = terms;
    this.#text = Array.from(pattern);
  }

  whole(): TermId {
    const term = this.#alternatives('whole');
    if (this.#at < this.#text.length) this.#fail('has a ")" without its "("');
    return term;
  }

  get #next(): string {
    return this.#text[this.#at] ?? '';
  }

  #fail(why: string): void {
    if (this.problem === '') this.problem = why;
    this.#at = this.#text.length;
  }

  #take(text: string): boolean {
    const found = this.#text.slice(this.#at, this.#at + text.length).join('') === text;
    if (found) this.#at += text.length;
    return found;
  }

  #alternatives(where: 'whole' | 'look' | 'group'): TermId {
    const found = [this.#alternative(where)];
    while (this.#take('|')) found.push(this.#alternative(where));
    return this.#terms.either(found);
  }

  /** In a lookahead the start is where it stands; in a group start and end are those of what is around it. */
  #alternative(where: 'whole' | 'look' | 'group'): TermId {
    const terms = this.#terms;
    const isAtStart = where === 'whole' && this.#take('^');
    const elements: Element[] = [];
    let isAtEnd = false;
    while (this.#next !== '' && this.#next !== '|' && this.#next !== ')') {
      if (isAtEnd) this.#fail('has a "$" that is not at its end');
      else if (where !== 'group' && this.#take('$')) isAtEnd = true;
      else elements.push(this.#element(where));
    }
    const term = this.#joined(elements, isAtEnd || where === 'group' ? terms.empty : terms.all);
    return where === 'whole' && !isAtStart ? terms.sequence(terms.all, term) : term;
  }

  /** From the last on, because a lookahead is about all that follows. */
  #joined(elements: readonly Element[], end: TermId): TermId {
    const terms = this.#terms;
    return elements.reduceRight((rest, { look, term }) => {
      if (look === 'none') return terms.sequence(term, rest);
      return terms.both([look === 'ahead' ? term : terms.not(term), rest]);
    }, end);
  }

  #element(where: 'whole' | 'look' | 'group'): Element {
    const look = this.#take('(?=') ? 'ahead' : this.#take('(?!') ? 'not-ahead' : 'none';
    if (look === 'none') return { look, term: this.#counted(this.#atom()) };
    if (where === 'group') this.#fail('has a lookahead within a group');
    const term = this.#inGroup('look');
    return { look, term };
  }

  #atom(): TermId {
    const character = this.#next;
    this.#at += 1;
    switch (character) {
      case '.':
        return this.#terms.characters(NO_LINE_END);
      case '[':
        return this.#terms.characters(this.#class());
      case '(':
        return this.#group();
      case '\\':
        return this.#terms.characters(this.#escape());
      case '^':
      case '$':
        this.#fail(`has a "${character}" in the middle`);
        return this.#terms.empty;
      case '*':
      case '+':
      case '?':
      case '{':
        this.#fail(`has a "${character}" with nothing to repeat`);
        return this.#terms.empty;
      default:
        return this.#terms.characters(this.#one(character));
    }
  }

  #group(): TermId {
    if (this.#take('?') && !this.#take(':')) {
      if (this.#take('<') && this.#next !== '=' && this.#next !== '!') {
        const end = this.#text.indexOf('>', this.#at);
        this.#at = end < 0 ? this.#text.length : end + 1;
      } else this.#fail('has a group that is more than a group (lookbehind or flags)');
    }
    return this.#inGroup('group');
  }

  /** What stands before the next ")". */
  #inGroup(where: 'look' | 'group'): TermId {
    this.#groups += 1;
    if (this.#groups > PATTERN_LIMITS.groupDepthMax) this.#fail('has too many groups in groups');
    const term = this.#alternatives(where);
    this.#groups -= 1;
    if (!this.#take(')') && this.problem === '') this.#fail('has a "(" without its ")"');
    return term;
  }

  /** The count behind a part. A lazy one means the same texts. */
  #counted(part: TermId): TermId {
    const count = this.#count();
    if (count === undefined) return part;
    this.#take('?');
    if (/^[*+?{]$/.test(this.#next)) this.#fail('has a count behind a count');
    return this.#terms.repeat(part, count);
  }

  #count(): { readonly min: number; readonly max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Infinity };
    if (this.#take('+')) return { min: 1, max: Infinity };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (this.#next !== '{') return undefined;
    const found = /^\{(\d+)(,?)(\d*)\}/.exec(this.#text.slice(this.#at, this.#at + 16).join(''));
    if (found === null) {
      this.#fail('has a "{" that begins no count');
      return undefined;
    }
    this.#at += found[0].length;
    const min = Number(found[1]);
    const max = found[2] === '' ? min : found[3] === '' ? Infinity : Number(found[3]);
    const most = Math.max(min, max === Infinity ? 0 : max);
    if (most > PATTERN_LIMITS.timesMax) this.#fail(`repeats a part more than ${PATTERN_LIMITS.timesMax} times`);
    if (max < min) this.#fail('has a count whose end is before its beginning');
    return { min, max };
  }

  /** Behind "[". */
  #class(): CharacterSet {
    const isComplement = this.#take('^');
    const sets: CharacterSet[] = [];
    while (this.#next !== '' && this.#next !== ']') {
      const first = this.#classCharacter();
      const isRange = this.#next === '-' && (this.#text[this.#at + 1] ?? ']') !== ']';
      if (isRange) {
        this.#at += 1;
        sets.push(this.#range(first, this.#classCharacter()));
      } else sets.push(first);
    }
    if (!this.#take(']')) this.#fail('has a "[" without its "]"');
    const set = characters(...sets);
    return isComplement ? complementOf(set) : set;
  }

  #classCharacter(): CharacterSet {
    const character = this.#next;
    this.#at += 1;
    return character === '\\' ? this.#escape() : this.#one(character);
  }

  #range(from: CharacterSet, to: CharacterSet): CharacterSet {
    const first = singleOf(from);
    const last = singleOf(to);
    if (first !== undefined && last !== undefined && first <= last) return commonTo([[first, last]], EVERY_CHARACTER);
    this.#fail('has a range of characters whose ends are not in order');
    return [];
  }

  /** Behind the backslash, in a class or not. */
  #escape(): CharacterSet {
    const character = this.#next;
    this.#at += 1;
    const set = CLASS_ESCAPES[character.toLowerCase()];
    if (set !== undefined) return character === character.toLowerCase() ? set : complementOf(set);
    const control = CONTROL_ESCAPES[character];
    if (control !== undefined && !(character === '0' && /\d/.test(this.#next))) return [[control, control]];
    const digits = HEX_DIGITS[character];
    if (digits !== undefined) return this.#hex(digits);
    if (character !== '' && !/[A-Za-z0-9]/.test(character)) return this.#one(character);
    this.#fail(`has "\\${character}", which is not supported`);
    return [];
  }

  #hex(digits: number): CharacterSet {
    const text = this.#text.slice(this.#at, this.#at + 12).join('');
    const found = new RegExp(`^(?:\\{([0-9a-f]{1,6})\\}|([0-9a-f]{${digits}})(?:\\\\u(d[c-f][0-9a-f]{2}))?)`, 'i').exec(
      text,
    );
    const [whole = '', braced, plain = '', low] = found ?? [];
    const high = Number.parseInt(braced ?? plain, 16);
    const isPair = low !== undefined && high >= 0xd800 && high <= 0xdbff;
    const code = isPair ? 0x1_0000 + (high - 0xd800) * 0x400 + Number.parseInt(low, 16) - 0xdc00 : high;
    this.#at += isPair || low === undefined ? whole.length : whole.length - 6;
    const set = found === null ? [] : commonTo([[code, code]], EVERY_CHARACTER);
    if (set.length === 0) this.#fail('has a "\\u" or "\\x" that names no character');
    return set;
  }

  #one(character: string): CharacterSet {
    const code = character.codePointAt(0) ?? 0xd800;
    if (code >= 0xd800 && code <= 0xdfff) this.#fail('has half a character');
    return [[code, code]];
  }
}

function singleOf(set: CharacterSet): number | undefined {
  const [range] = set;
  return range !== undefined && set.length === 1 && range[0] === range[1] ? range[0] : undefined;
}
