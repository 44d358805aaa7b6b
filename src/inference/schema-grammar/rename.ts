/**
 * Several grammars in one: their rules get names of their own, so that none means another's. What a rule says stays the same.
 * Limits: names that are not in the table stay as they are.
 */
import { unreachable } from '../../assert.ts';
import type { Expression } from './expression.ts';

export function renamed(expression: Expression, names: ReadonlyMap<string, string>): Expression {
  switch (expression.type) {
    case 'literal':
    case 'characters':
      return expression;
    case 'rule':
      return { type: 'rule', name: names.get(expression.name) ?? expression.name };
    case 'sequence':
      return { type: 'sequence', parts: expression.parts.map((part) => renamed(part, names)) };
    case 'choice':
      return { ...expression, options: expression.options.map((option) => renamed(option, names)) };
    case 'repeat':
      return { ...expression, part: renamed(expression.part, names) };
    default:
      return unreachable(expression);
  }
}
