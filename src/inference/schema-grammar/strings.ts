/**
 * A string with lengths, patterns and formats. Without patterns its characters are only counted. With patterns all that is
 * said becomes one term ("this and that and so long"), and the term an automaton with a rule for each state, so that any
 * number of conditions holds exactly. Limits: those of the automaton; lengths above `LENGTH_MAX` are cut down to it.
 */
import { type State, automatonOf } from './automaton.ts';
import type { Builder } from './builder.ts';
import { EVERY_CHARACTER } from './characters.ts';
import {
  apart,
  choice,
  type Expression,
  literal,
  NOTHING,
  repeated,
  REPEAT_MAX,
  rule,
  sequence,
} from './expression.ts';
import type { TextFacts } from './facts.ts';
import { FORMATS, patternOfFormat } from './formats.ts';
import { characterOf } from './json-text.ts';
import { CHARACTER } from './literals.ts';
import { PATTERN_LIMITS, patternTerm } from './pattern.ts';
import { Terms } from './terms.ts';

/** Source: guess: longer than an answer of most models. */
const LENGTH_MAX = 65_536;
/** Characters that are counted together where there are many. Source: guess; the square root is near. */
const BLOCK = 1_000;

const QUOTE = literal('"');

/** Quotes included. */
export function stringExpression(builder: Builder, facts: TextFacts, pointer: string): Expression {
  const { min, max = Infinity, patterns, formats } = facts;
  if (min > max) return NOTHING;
  return builder.once(`string ${JSON.stringify([min, max, patterns, formats])}`, () => {
    const known = statesOfFormat(facts);
    if (known !== undefined) return sequence(QUOTE, rulesOf(builder, known));
    if (patterns.length + formats.length > 0) return matching(builder, facts, pointer);
    if (min > LENGTH_MAX) return builder.fail(`${pointer}/minLength`, `is above ${LENGTH_MAX}`);
    return sequence(QUOTE, counted(builder, min, max), QUOTE);
  });
}

/** `min` to `max` characters. Many are counted by blocks, because llama.cpp counts no further than `REPEAT_MAX`. */
function counted(builder: Builder, min: number, max: number): Expression {
  const most = max === Infinity ? undefined : Math.min(max, LENGTH_MAX);
  if ((most ?? min) <= REPEAT_MAX) return repeated(CHARACTER, { min, ...(most === undefined ? {} : { max: most }) });
  const block = builder.once('block', () => builder.wrap(repeated(CHARACTER, { min: BLOCK, max: BLOCK })));
  const blocks = (count: number): Expression => repeated(block, { min: count, max: count });
  const rest = min % BLOCK;
  const first = sequence(blocks(Math.floor(min / BLOCK)), repeated(CHARACTER, { min: rest, max: rest }));
  if (most === undefined) return sequence(first, repeated(CHARACTER, { min: 0 }));
  const more = most - min;
  const whole = Math.floor(more / BLOCK);
  if (more <= REPEAT_MAX) return sequence(first, repeated(CHARACTER, { min: 0, max: more }));
  return sequence(
    first,
    choice([
      sequence(repeated(block, { min: 0, max: whole - 1 }), repeated(CHARACTER, { min: 0, max: BLOCK - 1 })),
      sequence(blocks(whole), repeated(CHARACTER, { min: 0, max: more % BLOCK })),
    ]),
  );
}

/** Constants, worked out when they are first needed: the larger ones take as long as all other work of a schema. */
const STATES_OF_FORMATS = new Map<string, readonly State[]>();

/** Where nothing is said but one format; undefined also for an unknown one. */
function statesOfFormat({ min, max, patterns, formats }: TextFacts): readonly State[] | undefined {
  const [format, ...others] = formats;
  if (format === undefined || patterns.length + others.length + min > 0 || max !== undefined) return undefined;
  const known = STATES_OF_FORMATS.get(format);
  const pattern = patternOfFormat(format);
  if (known !== undefined || pattern === undefined) return known;
  const terms = new Terms();
  const read = patternTerm(terms, pattern);
  const states = read.type === 'term' ? automatonOf(terms, read.term) : undefined;
  if (states !== undefined) STATES_OF_FORMATS.set(format, states);
  return states;
}

function matching(builder: Builder, facts: TextFacts, pointer: string): Expression {
  const terms = new Terms(builder.work);
  const conditions = [];
  const sources = [
    ...facts.patterns.map((pattern) => ({ keyword: 'pattern', pattern })),
    ...facts.formats.map((format) => ({ keyword: 'format', pattern: patternOfFormat(format) })),
  ];
  for (const { keyword, pattern } of sources) {
    if (pattern === undefined) return builder.fail(`${pointer}/format`, `is none of ${FORMATS.join(', ')}`);
    const read = patternTerm(terms, pattern);
    if (read.type === 'refused') return builder.fail(`${pointer}/${keyword}`, read.why);
    conditions.push(read.term);
  }
  const { min, max = Infinity } = facts;
  if (Math.max(min, max === Infinity ? 0 : max) > PATTERN_LIMITS.timesMax)
    return builder.fail(pointer, `has a length above ${PATTERN_LIMITS.timesMax} beside a pattern or format`);
  conditions.push(terms.repeat(terms.characters(EVERY_CHARACTER), { min, max }));
  const states = automatonOf(terms, terms.both(conditions));
  builder.spendTerms(terms.count, pointer);
  if (states === undefined) return builder.fail(pointer, 'has a pattern that is too complex');
  return states.length === 0 ? NOTHING : sequence(QUOTE, rulesOf(builder, states));
}

/** From the first state to the closing quote. A state with one way in and one way out needs no rule of its own. */
function rulesOf(builder: Builder, states: readonly State[]): Expression {
  const waysIn = states.map(() => 0);
  for (const { edges } of states) for (const { to } of edges) waysIn[to] = (waysIn[to] ?? 0) + 1;
  const isInline = (index: number): boolean => {
    const state = states[index];
    return index > 0 && waysIn[index] === 1 && state !== undefined && state.edges.length + (state.isEnd ? 1 : 0) === 1;
  };
  const names = states.map((_, index) => (isInline(index) ? '' : builder.reserve()));
  for (const [index, state] of states.entries()) {
    const name = names[index];
    if (name === undefined || name === '') continue;
    const ways = state.edges.map(({ set, to }) => {
      const way = [characterOf(set)];
      let at = to;
      for (let next = states[at]; next !== undefined && isInline(at); next = states[at]) {
        const [only] = next.edges;
        way.push(only === undefined ? QUOTE : characterOf(only.set));
        if (only === undefined) return sequence(...way);
        at = only.to;
      }
      return sequence(...way, rule(names[at] ?? ''));
    });
    builder.define(name, apart([...(state.isEnd ? [QUOTE] : []), ...ways]));
  }
  return rule(names[0] ?? '');
}

/** The body of the rule of one character. */
export const CHARACTER_BODY: Expression = characterOf(EVERY_CHARACTER);
