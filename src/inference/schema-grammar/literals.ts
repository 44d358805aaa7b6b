/**
 * One of several given texts, or any string but them, character by character as a tree: where texts begin alike, the
 * grammar goes one way and not several at once. Limits: beyond `DEPTH_MAX` branches on one way the rest of the texts stand
 * side by side, and the depth of the tree is bounded.
 */
import { type CharacterSet, characters, complementOf, EVERY_CHARACTER } from './characters.ts';
import { apart, choice, EMPTY, type Expression, literal, NOTHING, repeated, rule, sequence } from './expression.ts';
import { characterOf } from './json-text.ts';
import type { Work } from './work.ts';

/** Source: guess: natural names part after few letters. */
const DEPTH_MAX = 32;
/** Source: measured, against the other units of work. */
const LETTER_WORK = 6;

export function oneOfTexts(texts: readonly string[], work: Work): Expression {
  // Each letter is looked at a few times.
  for (const text of texts) work.spend(text.length);
  if (work.isSpent) return NOTHING;
  return branches(
    [...new Set(texts)].map((text) => Array.from(text)),
    0,
  );
}

function branches(texts: readonly (readonly string[])[], depth: number): Expression {
  if (texts.length === 1 || depth > DEPTH_MAX) return choice(texts.map((text) => literal(text.join(''))));
  const shared = sharedLength(texts);
  const byCharacter = new Map<string, (readonly string[])[]>();
  let mayEnd = false;
  for (const text of texts) {
    const character = text[shared];
    if (character === undefined) mayEnd = true;
    else append(byCharacter, character, text.slice(shared));
  }
  const ways = [...byCharacter.values()].map((group) => branches(group, depth + 1));
  const rest = apart(mayEnd ? [...ways, EMPTY] : ways);
  return sequence(literal(texts[0]?.slice(0, shared).join('') ?? ''), rest);
}

function sharedLength(texts: readonly (readonly string[])[]): number {
  const [first = [], ...more] = texts;
  let length = first.length;
  for (const other of more) {
    let same = 0;
    while (same < length && other[same] === first[same]) same += 1;
    length = same;
  }
  return length;
}

/** The quoted strings that are none of `texts`. `character` is the rule of one character of a string. */
export function noneOfTexts(texts: readonly string[], character: Expression, work: Work): Expression {
  // Each letter becomes a choice of its own.
  for (const text of texts) work.spend(text.length * LETTER_WORK);
  if (work.isSpent) return NOTHING;
  const anything = repeated(character, { min: 0 });
  return sequence(
    literal('"'),
    others(
      [...new Set(texts)].map((text) => Array.from(text, (one) => one.codePointAt(0) ?? 0)),
      { at: 0, anything },
    ),
  );
}

interface Place {
  /** So many letters are behind us. */
  readonly at: number;
  readonly anything: Expression;
}

/** What may follow, closing quote included, so that the whole is none of `texts`. */
function others(texts: readonly (readonly number[])[], { at, anything }: Place): Expression {
  const byCharacter = new Map<number, (readonly number[])[]>();
  for (const text of texts) {
    const first = text[at];
    if (first !== undefined) append(byCharacter, first, text);
  }
  const taken: CharacterSet = characters(...[...byCharacter.keys()].map((code) => [[code, code]] as const));
  const ways = [...byCharacter].map(([code, rest]) =>
    sequence(characterOf([[code, code]]), others(rest, { at: at + 1, anything })),
  );
  const free = sequence(
    characterOf(taken.length === 0 ? EVERY_CHARACTER : complementOf(taken)),
    anything,
    literal('"'),
  );
  const end = texts.some((text) => text.length === at) ? [] : [literal('"')];
  return apart([...end, free, ...ways]);
}

function append<Key, Value>(groups: Map<Key, Value[]>, key: Key, value: Value): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [value]);
  else group.push(value);
}

/** The rule of one character of any string. */
export const CHARACTER = rule('character');
