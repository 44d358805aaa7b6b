/**
 * A grammar as a value, and its text in llama.cpp's GBNF. Rules are named; their bodies are made by the small functions
 * here, which keep them simple: neighbouring literals join, choices are flat and name no rule twice, what matches nothing
 * (`NOTHING`) takes along what cannot do without it. The text is ASCII, so that no encoding can change it.
 * Limits: llama.cpp turns a repetition above 2,000 silently into one without end, and multiplies nested ones; hence only
 * single elements are repeated, and at most `REPEAT_MAX` times. Source: llama-grammar.cpp (copied).
 */
import { invariant, unreachable } from '../../assert.ts';
import type { CharacterSet } from './characters.ts';

export type Expression =
  | { readonly type: 'literal'; readonly text: string }
  | { readonly type: 'characters'; readonly set: CharacterSet }
  | { readonly type: 'rule'; readonly name: string }
  | { readonly type: 'sequence'; readonly parts: readonly Expression[] }
  /** `isApart`: who made it knows that no two options begin alike for long. */
  | { readonly type: 'choice'; readonly options: readonly Expression[]; readonly isApart?: true }
  /** Without `max`: any number from `min` on. */
  | { readonly type: 'repeat'; readonly part: Expression; readonly min: number; readonly max?: number };

/** By name, in the order of the text. */
export type Rules = ReadonlyMap<string, Expression>;

/** Source: copied (MAX_REPETITION_THRESHOLD). */
export const REPEAT_MAX = 2_000;

/** Matches the empty text only. */
export const EMPTY: Expression = { type: 'sequence', parts: [] };

/** Matches no text at all. */
export const NOTHING: Expression = { type: 'choice', options: [] };

export function isNothing(expression: Expression): boolean {
  return expression.type === 'choice' && expression.options.length === 0;
}

export function literal(text: string): Expression {
  return text === '' ? EMPTY : { type: 'literal', text };
}

/** One character of the set. */
export function oneOf(set: CharacterSet): Expression {
  return set.length === 0 ? NOTHING : { type: 'characters', set };
}

export function rule(name: string): Expression {
  return { type: 'rule', name };
}

export function sequence(...parts: readonly Expression[]): Expression {
  const flat: Expression[] = [];
  for (const part of parts.flatMap((one) => (one.type === 'sequence' ? one.parts : [one]))) {
    if (isNothing(part)) return NOTHING;
    const before = flat.at(-1);
    if (part.type === 'literal' && before?.type === 'literal') flat[flat.length - 1] = literal(before.text + part.text);
    else flat.push(part);
  }
  const [only] = flat;
  return only !== undefined && flat.length === 1 ? only : { type: 'sequence', parts: flat };
}

export function choice(options: readonly Expression[]): Expression {
  const flat: Expression[] = [];
  const seen = new Set<string>();
  for (const option of options.flatMap((one) => (one.type === 'choice' && !one.isApart ? one.options : [one]))) {
    const key = option.type === 'rule' || option.type === 'literal' ? textOf(option) : undefined;
    if (key !== undefined && seen.has(key)) continue;
    if (key !== undefined) seen.add(key);
    flat.push(option);
  }
  const [only] = flat;
  return only !== undefined && flat.length === 1 ? only : { type: 'choice', options: flat };
}

/** A choice of options that no text can be on the way of two of for long. */
export function apart(options: readonly Expression[]): Expression {
  const made = choice(options);
  return made.type === 'choice' && made.options.length > 0 ? { ...made, isApart: true } : made;
}

export function optional(part: Expression): Expression {
  if (isNothing(part)) return EMPTY;
  if (part.type !== 'repeat' || part.min > 1) return { type: 'repeat', part, min: 0, max: 1 };
  return { ...part, min: 0 };
}

/** A single element, from `min` to `max` times, or from `min` on. */
export function repeated(part: Expression, { min, max }: { readonly min: number; readonly max?: number }): Expression {
  invariant(min <= REPEAT_MAX && (max ?? min) <= REPEAT_MAX, 'llama.cpp knows the number of repetitions');
  if (max === 0) return EMPTY;
  if (isNothing(part)) return min === 0 ? EMPTY : NOTHING;
  if (min === 1 && max === 1) return part;
  invariant(isSingle(part), 'only single elements are repeated');
  return { type: 'repeat', part, min, ...(max === undefined ? {} : { max }) };
}

function isSingle(part: Expression): boolean {
  if (part.type === 'literal') return Array.from(part.text).length === 1;
  return part.type === 'characters' || part.type === 'rule';
}

/** Of its parts, itself included. */
export function countOf(expression: Expression): number {
  switch (expression.type) {
    case 'sequence':
      return expression.parts.reduce((sum, part) => sum + countOf(part), 1);
    case 'choice':
      return expression.options.reduce((sum, option) => sum + countOf(option), 1);
    case 'repeat':
      return 1 + countOf(expression.part);
    case 'characters':
      return 1 + expression.set.length;
    default:
      return 1;
  }
}

export function grammarText(rules: Rules): string {
  let text = '';
  for (const [name, body] of rules) text += `${name} ::= ${textOf(body)}\n`;
  return text;
}

export function textOf(expression: Expression): string {
  switch (expression.type) {
    case 'literal':
      return `"${Array.from(expression.text, (character) => escaped(character.codePointAt(0) ?? 0)).join('')}"`;
    case 'characters':
      return `[${expression.set.map(([first, last]) => rangeText(first, last)).join('')}]`;
    case 'rule':
      return expression.name;
    case 'sequence':
      return expression.parts.length === 0 ? '""' : expression.parts.map(partText).join(' ');
    case 'choice':
      return expression.options.map(textOf).join(' | ');
    case 'repeat':
      return repeatText(expression);
    default:
      return unreachable(expression);
  }
}

function partText(part: Expression): string {
  const isGroup = part.type === 'sequence' || part.type === 'choice';
  return isGroup ? `(${textOf(part)})` : textOf(part);
}

/** A count behind a count would multiply. */
function repeatText({ part, min, max }: Extract<Expression, { readonly type: 'repeat' }>): string {
  const text = part.type === 'repeat' ? `(${textOf(part)})` : partText(part);
  return text + timesText(min, max);
}

function timesText(min: number, max: number | undefined): string {
  if (max === undefined) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`;
  if (min === max) return `{${min}}`;
  return min === 0 && max === 1 ? '?' : `{${min},${max}}`;
}

function rangeText(first: number, last: number): string {
  if (first === last) return escaped(first);
  return `${escaped(first)}-${escaped(last)}`;
}

/** Letters, digits and what means nothing to GBNF anywhere stand for themselves. */
function escaped(character: number): string {
  const text = String.fromCodePoint(character);
  if (/^[A-Za-z0-9 {}:,._@/+=;#&%~!']$/.test(text)) return text;
  if (text === '"' || text === '\\') return `\\${text}`;
  const hex = character.toString(16);
  if (character <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return character <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
