/**
 * With which texts can an alternative begin, and are two alternatives told apart by them? A lead is a fixed text and then
 * one character out of a set; white space between tokens does not count. Two alternatives part where their fixed texts
 * differ, or where one's set of next characters has nothing of the other's.
 * Limits: many leads are reduced to their first characters; what is not known (a rule within itself) could be anything.
 */
import { unreachable } from '../../assert.ts';
import { type CharacterSet, characters, commonTo, countOf, EVERY_CHARACTER, has } from './characters.ts';
import type { Expression, Rules } from './expression.ts';
import type { Work } from './work.ts';

interface Lead {
  readonly text: string;
  /** Behind the text; absent = the text is all of it, and what follows the expression comes next. */
  readonly next?: CharacterSet;
}

/** Of one expression. Source: guess. */
const LEADS_MAX = 48;
/** Source: guess: a discriminator stands within. */
const TEXT_LENGTH_MAX = 256;

const UNKNOWN: readonly Lead[] = [{ text: '', next: EVERY_CHARACTER }];
const NONE: readonly Lead[] = [{ text: '' }];

type Choice = Extract<Expression, { readonly type: 'choice' }>;

export class Leads {
  readonly #rules: Rules;
  readonly #ignored: ReadonlySet<string>;
  readonly #work: Work;
  readonly #known = new Map<string, readonly Lead[]>();
  readonly #groups = new Map<Choice, readonly (readonly Expression[])[]>();

  /** `ignored`: the rules of white space. */
  constructor(rules: Rules, ignored: readonly string[], work: Work) {
    this.#rules = rules;
    this.#work = work;
    this.#ignored = new Set(ignored);
  }

  /** Too much work: what `groups` said since is wrong. */
  get isExhausted(): boolean {
    return this.#work.isSpent;
  }

  /** The characters with which a text of the rule can begin. */
  starts(name: string): CharacterSet {
    return firstsOf(this.#ofRule(name));
  }

  /** The options of a choice, those together that are not told apart at once. */
  groups(choice: Choice): readonly (readonly Expression[])[] {
    const known = this.#groups.get(choice);
    if (known !== undefined) return known;
    if (choice.isApart === true) return choice.options.map((option) => [option]);
    const roots = choice.options.map((_, index) => index);
    const rootOf = (index: number): number => {
      let at = index;
      for (let next = roots[at]; next !== undefined && next !== at; next = roots[at]) at = next;
      return at;
    };
    for (const [left, right] of this.#meetings(choice.options)) roots[rootOf(left)] = rootOf(right);
    const found = new Map<number, Expression[]>();
    for (const [index, option] of choice.options.entries())
      found.set(rootOf(index), [...(found.get(rootOf(index)) ?? []), option]);
    this.#groups.set(choice, [...found.values()]);
    return [...found.values()];
  }

  /** Pairs of options that are not told apart. In the order of their texts, those that can meet stand on one way. */
  #meetings(options: readonly Expression[]): readonly (readonly [number, number])[] {
    const sorted = options
      .flatMap((option, index) => this.#of(option).map((lead) => ({ lead, index })))
      .toSorted((left, right) => (left.lead.text < right.lead.text ? -1 : left.lead.text > right.lead.text ? 1 : 0));
    const meetings: (readonly [number, number])[] = [];
    let before: typeof sorted = [];
    for (const next of sorted) {
      before = before.filter(({ lead }) => next.lead.text.startsWith(lead.text));
      this.#work.spend(before.length + 1);
      if (this.isExhausted) return [];
      for (const one of before)
        if (one.index !== next.index && canMeet(one.lead, next.lead)) meetings.push([one.index, next.index]);
      before.push(next);
    }
    return meetings;
  }

  #ofRule(name: string): readonly Lead[] {
    if (this.#ignored.has(name)) return NONE;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    // Until it is known, it could be anything: it may be within itself.
    this.#known.set(name, UNKNOWN);
    const body = this.#rules.get(name);
    const leads = body === undefined ? UNKNOWN : this.#of(body);
    this.#known.set(name, leads);
    return leads;
  }

  #of(expression: Expression): readonly Lead[] {
    this.#work.spend(1);
    if (this.isExhausted) return UNKNOWN;
    switch (expression.type) {
      case 'literal':
        return [{ text: expression.text }];
      case 'characters':
        return ofCharacters(expression.set);
      case 'rule':
        return this.#ofRule(expression.name);
      case 'sequence':
        return this.#ofSequence(expression.parts);
      case 'choice':
        return this.#ofChoice(expression.options);
      case 'repeat': {
        const once = this.#of(expression.part);
        const isOnce = expression.max === 1;
        const some = isOnce ? once : once.map(({ text, next }) => ({ text, next: next ?? EVERY_CHARACTER }));
        return expression.min === 0 ? limited([...some, { text: '' }]) : some;
      }
      default:
        return unreachable(expression);
    }
  }

  #ofChoice(options: readonly Expression[]): readonly Lead[] {
    const leads = options.flatMap((option) => this.#of(option));
    this.#work.spend(leads.length);
    return limited(leads);
  }

  #ofSequence(parts: readonly Expression[]): readonly Lead[] {
    let leads: readonly Lead[] = NONE;
    for (const part of parts) {
      const whole = leads.filter(({ next, text }) => next === undefined && text.length < TEXT_LENGTH_MAX);
      if (whole.length === 0) break;
      const more = this.#of(part);
      const joined = whole.flatMap(({ text }) => more.map((lead) => ({ ...lead, text: text + lead.text })));
      this.#work.spend(leads.length + joined.length);
      leads = limited([...leads.filter((lead) => !whole.includes(lead)), ...joined]);
    }
    return leads;
  }
}

function ofCharacters(set: CharacterSet): readonly Lead[] {
  const [range] = set;
  return range !== undefined && countOf(set) === 1
    ? [{ text: String.fromCodePoint(range[0]) }]
    : [{ text: '', next: set }];
}

/** `right` begins with the text of `left`. */
function canMeet(left: Lead, right: Lead): boolean {
  if (left.next === undefined) return true;
  const following = right.text.codePointAt(left.text.length);
  if (following !== undefined) return has(left.next, following);
  return right.next === undefined || commonTo(left.next, right.next).length > 0;
}

function limited(leads: readonly Lead[]): readonly Lead[] {
  if (leads.length < 2) return leads;
  const unique = new Map(
    leads.map((lead) => [`${lead.next === undefined ? '' : keyOf(lead.next)} ${lead.text}`, lead]),
  );
  if (unique.size <= LEADS_MAX) return [...unique.values()];
  const firsts = firstsOf(leads);
  return leads.some(({ text, next }) => text === '' && next === undefined)
    ? [{ text: '', next: firsts }, { text: '' }] // prettier-ignore
    : [{ text: '', next: firsts }];
}

function keyOf(set: CharacterSet): string {
  let key = '';
  for (const [first, last] of set) key += `${first}-${last},`;
  return key;
}

function firstsOf(leads: readonly Lead[]): CharacterSet {
  return characters(
    ...leads.map(({ text, next }) => {
      const first = text.codePointAt(0);
      return first === undefined ? (next ?? []) : ([[first, first]] as const);
    }),
  );
}
