/** Any JSON value, and any JSON object: three rules that name one another. A schema that says nothing means the first. */
import type { Builder } from './builder.ts';
import { choice, type Expression, literal, optional, repeated, rule, sequence } from './expression.ts';
import { SPACE } from './json-text.ts';
import { CHARACTER } from './literals.ts';
import { decimalNumbers } from './numbers.ts';
import { COMMA } from './objects.ts';

const VALUE = rule('value');

export function anyValue(builder: Builder): Expression {
  define(builder);
  return VALUE;
}

export function anyObject(builder: Builder): Expression {
  return define(builder);
}

/** All of them, once. */
function define(builder: Builder): Expression {
  return builder.once('any', () => {
    const string = builder.define('string', sequence(literal('"'), repeated(CHARACTER, { min: 0 }), literal('"')));
    const number = builder.define('number', decimalNumbers({}) ?? literal('0'));
    const pair = builder.define('pair', sequence(string, literal(':'), SPACE, VALUE));
    const object = builder.define('object', between(builder, ['{', '}'], pair));
    const list = builder.define('list', between(builder, ['[', ']'], VALUE));
    builder.define('value', choice([object, list, string, number, ...['true', 'false', 'null'].map(literal)]));
    return object;
  });
}

function between(builder: Builder, [open, close]: readonly [string, string], part: Expression): Expression {
  const more = builder.wrap(sequence(COMMA, part));
  const inner = builder.wrap(sequence(part, repeated(more, { min: 0 }), SPACE));
  return sequence(literal(open), SPACE, optional(inner), literal(close));
}
