/**
 * The canonical JSON of values, as grammar: what `JSON.stringify` writes, character for character, so that each text has
 * one form and lengths count what the schema means. Between the tokens there may be a little white space, because models
 * write better with it: one space, or a line end with some indentation; never more, or a model could go on with it for ever.
 * Source: spec (RFC 8259; ECMA-262 QuoteJSONString).
 */
import { type CharacterSet, characters, commonTo, complementOf, has } from './characters.ts';
import { choice, type Expression, literal, oneOf, repeated, rule, sequence } from './expression.ts';

/** Most spaces or tabs behind a line end. Source: copied (llama.cpp's own converter). */
const INDENTATION_MAX = 20;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_ESCAPES: readonly (readonly [number, string])[] = [
  [QUOTE, '\\"'],
  [BACKSLASH, '\\\\'],
  [0x08, '\\b'],
  [0x0c, '\\f'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
];
const CONTROLS: CharacterSet = [[0, 0x1f]];
const PLAIN: CharacterSet = complementOf(characters(CONTROLS, [[QUOTE, QUOTE]], [[BACKSLASH, BACKSLASH]]));

/** White space between two tokens. */
export const SPACE = rule('space');

export const SPACE_BODY: Expression = choice([
  repeated(literal(' '), { min: 0, max: 1 }),
  sequence(literal('\n'), repeated(oneOf([[0x09, 0x09], [0x20, 0x20]]), { min: 0, max: INDENTATION_MAX })), // prettier-ignore
]);

/** One character of `set` as it stands within a string. */
export function characterOf(set: CharacterSet): Expression {
  if (isPlain(set)) return oneOf(set);
  const escapes = LETTER_ESCAPES.filter(([code]) => has(set, code)).map(([, text]) => literal(text));
  return choice([oneOf(commonTo(set, PLAIN)), ...escapes, ...controlsOf(set)]);
}

/** Nothing of it needs a backslash: the usual case, and the quickest. */
function isPlain(set: CharacterSet): boolean {
  return set.every(
    ([first, last]) => first > 0x1f && (last < QUOTE || first > QUOTE) && (last < BACKSLASH || first > BACKSLASH),
  );
}

/** The control characters without a letter of their own: `\u001b`, grouped by their first digit. */
function controlsOf(set: CharacterSet): readonly Expression[] {
  const lettered = characters(...LETTER_ESCAPES.map(([code]) => [[code, code]] as const));
  return [0x00, 0x10].flatMap((row) => {
    const digits: CharacterSet[] = [];
    for (let low = 0; low < 0x10; low += 1) {
      const code = row + low;
      const digit = low.toString(16).charCodeAt(0);
      if (has(set, code) && !has(lettered, code)) digits.push([[digit, digit]]);
    }
    if (digits.length === 0) return [];
    return [sequence(literal(`\\u00${row === 0 ? '0' : '1'}`), oneOf(characters(...digits)))];
  });
}

/** Undefined where JSON has no text for it: a number that became infinite. */
export function canonicalText(value: unknown): string | undefined {
  return isFiniteThroughout(value) ? JSON.stringify(value) : undefined;
}

function isFiniteThroughout(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(isFiniteThroughout);
}
