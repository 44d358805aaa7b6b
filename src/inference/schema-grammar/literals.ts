/**
 * One of several given texts, or any string but them, character by character as a tree: where texts begin alike, the
 * grammar goes one way and not several at once. Limits: beyond `DEPTH_MAX` branches on one way the rest of the texts stand
 * side by side, and the depth of the tree is bounded.
 */
import { type CharacterSet, characters, complementOf, EVERY_CHARACTER } from './characters.ts';
import { apart, choice, EMPTY, type Expression, literal, repeated, rule, sequence } from './expression.ts';
import { characterOf } from './json-text.ts';

/** Source: guess: natural names part after few letters. */
const DEPTH_MAX = 32;

export function oneOfTexts(texts: readonly string[]): Expression {
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
    else byCharacter.set(character, [...(byCharacter.get(character) ?? []), text.slice(shared)]);
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
export function noneOfTexts(texts: readonly string[], character: Expression): Expression {
  const anything = repeated(character, { min: 0 });
  return sequence(
    literal('"'),
    others(
      [...new Set(texts)].map((text) => Array.from(text, (one) => one.codePointAt(0) ?? 0)),
      anything,
    ),
  );
}

/** What may follow, closing quote included, so that the whole is none of `texts`. */
function others(texts: readonly (readonly number[])[], anything: Expression): Expression {
  const byCharacter = new Map<number, (readonly number[])[]>();
  for (const [first, ...rest] of texts)
    if (first !== undefined) byCharacter.set(first, [...(byCharacter.get(first) ?? []), rest]);
  const taken: CharacterSet = characters(...[...byCharacter.keys()].map((code) => [[code, code]] as const));
  const ways = [...byCharacter].map(([code, rest]) => sequence(characterOf([[code, code]]), others(rest, anything)));
  const free = sequence(
    characterOf(taken.length === 0 ? EVERY_CHARACTER : complementOf(taken)),
    anything,
    literal('"'),
  );
  const end = texts.some((text) => text.length === 0) ? [] : [literal('"')];
  return apart([...end, free, ...ways]);
}

/** The rule of one character of any string. */
export const CHARACTER = rule('character');
