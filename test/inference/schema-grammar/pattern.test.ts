/** The automaton of a pattern against JavaScript's own regular expressions. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { automatonOf } from '../../../src/inference/schema-grammar/automaton.ts';
import { has } from '../../../src/inference/schema-grammar/characters.ts';
import { patternTerm } from '../../../src/inference/schema-grammar/pattern.ts';
import { Terms } from '../../../src/inference/schema-grammar/terms.ts';

/** Undefined where the pattern is refused or too complex. */
function matcherOf(pattern: string): ((text: string) => boolean) | undefined {
  const terms = new Terms();
  const read = patternTerm(terms, pattern);
  const states = read.type === 'term' ? automatonOf(terms, read.term) : undefined;
  if (states === undefined) return undefined;
  return (text) => {
    let state = states[0];
    for (const character of text) {
      const code = character.codePointAt(0) ?? 0;
      const edge = state?.edges.find(({ set }) => has(set, code));
      state = edge === undefined ? undefined : states[edge.to];
    }
    return state?.isEnd ?? false;
  };
}

const ATOMS = [
  'a',
  'b',
  '\\d',
  '\\W',
  '.',
  '[ab]',
  '[^a]',
  '[a-c1]',
  '\\.',
  'é',
  '\\u{1F9A2}',
  '(?:ab|c)',
  '(a)',
  '\\s',
  '[\\w-]',
  '\\/',
];
const COUNTS = ['', '', '', '*', '+', '?', '{2}', '{1,2}', '{2,}', '*?'];

const piece = fc.tuple(fc.constantFrom(...ATOMS), fc.constantFrom(...COUNTS)).map((parts) => parts.join(''));
const branch = fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join(''));
const grouped = fc.tuple(fc.array(branch, { minLength: 1, maxLength: 3 }), fc.constantFrom(...COUNTS)).map(([branches, count]) => `(${branches.join('|')})${count}`); // prettier-ignore
const look = fc.tuple(fc.constantFrom('?=', '?!'), branch, fc.constantFrom('', '$')).map(([kind, inner, end]) => `(${kind}${inner}${end})`); // prettier-ignore
const whole = fc
  .tuple(
    fc.constantFrom('', '^'),
    fc.array(fc.oneof(branch, grouped, look), { maxLength: 4 }),
    fc.constantFrom('', '$'),
  )
  .map((parts) => parts.flat().join(''));
const texts = fc.array(fc.constantFrom('a', 'b', 'c', '1', 'é', '🦢', '.', '\n', ' ', '/', '-'), { maxLength: 6 }).map((parts) => parts.join('')); // prettier-ignore

describe('a pattern', () => {
  it('matches what JavaScript matches', () => {
    let compared = 0;
    fc.assert(
      fc.property(
        fc.array(whole, { minLength: 1, maxLength: 2 }),
        fc.array(texts, { minLength: 8, maxLength: 8 }),
        (parts, samples) => {
          const pattern = parts.join('|');
          const matches = matcherOf(pattern);
          if (matches === undefined) return;
          const expected = new RegExp(pattern, 'u');
          for (const text of samples)
            // V8 also looks for an unanchored lookahead between the halves of a character.
            if (!pattern.includes('(?!') || !text.includes('🦢'))
              assert.equal(matches(text), expected.test(text), `${pattern} and ${JSON.stringify(text)}`);
          compared += 1;
        },
      ),
      { numRuns: 400 },
    );
    assert.ok(compared > 300, `${compared} patterns were compared`);
  });

  it('is refused where it is none, or means more than a set of texts', () => {
    for (const pattern of [
      '(',
      ')',
      'a)',
      '[a',
      '[b-a]',
      '*',
      'a**',
      'a{2,1}',
      'a{',
      '(?<=a)b',
      '(?i:a)',
      '\\1',
      '\\b',
      '\\p{L}',
      '\\k<a>',
      'a^b',
      '(a$)',
      '(?:(?=a)b)',
      '\\',
      '\\u{110000}',
      '\\ud800',
      '\ud800',
      '(?<name>a',
    ])
      // prettier-ignore
      assert.equal(matcherOf(pattern), undefined, pattern);
  });

  it('takes named groups, lazy counts, pairs of halves and nested repetitions', () => {
    for (const [pattern, text, expected] of [
      ['^(?<year>\\d{4})$', '2024', true],
      ['^\\ud83e\\udda2$', '🦢', true],
      ['^(?:a*)*b$', 'aaab', true],
      ['^(?:(?:a{0,4}){0,4}){0,4}$', 'a'.repeat(64), true],
      ['^(?:(?:a{0,4}){0,4}){0,4}$', 'a'.repeat(65), false],
      ['^(?!.*\\.\\.)[a.]+$', 'a.a', true],
      ['^(?!.*\\.\\.)[a.]+$', 'a..a', false],
      ['', 'anything', true],
    ] as const)
      assert.equal(matcherOf(pattern)?.(text), expected, pattern);
  });
});
