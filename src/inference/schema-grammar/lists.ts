/**
 * An array: elements with a place of their own (`prefixItems`, or `items` as a list in older drafts), then any number of
 * equal ones, between `minItems` and `maxItems`. Two narrowings: where elements are declared by place and nothing is said
 * about their number, all of them are there, and no others. Limit: counts up to `REPEAT_MAX`.
 */
import type { Builder } from './builder.ts';
import {
  apart,
  EMPTY,
  type Expression,
  isNothing,
  literal,
  NOTHING,
  optional,
  repeated,
  REPEAT_MAX,
  sequence,
} from './expression.ts';
import type { Count } from './facts.ts';
import { SPACE } from './json-text.ts';
import { COMMA } from './objects.ts';
import { below, type Keywords, type Node, type Place } from './schema-document.ts';

/** Elements with a place of their own. Source: guess. */
const PREFIX_MAX = 256;

interface ListContext {
  readonly builder: Builder;
  readonly pointer: string;
  readonly value: (node: Node) => Expression;
}

/** One part of a conjunction. */
interface Part {
  readonly prefix: readonly Place[];
  /** Of what follows; absent = not said. */
  readonly items?: Place;
}

export function listExpression(context: ListContext, keywords: readonly Keywords[], count: Count): Expression {
  const { builder, pointer } = context;
  const parts = keywords.map((one) => readPart(builder, one));
  const prefixLength = Math.max(0, ...parts.map(({ prefix }) => prefix.length));
  if (!builder.spendParts(prefixLength + 1, pointer)) return NOTHING;
  const isOpen = prefixLength === 0 || parts.some(({ items }) => items !== undefined);
  if (prefixLength > PREFIX_MAX)
    builder.fail(pointer, `has more than ${PREFIX_MAX} elements with a place of their own`);
  const { min = prefixLength, max = isOpen ? Infinity : prefixLength } = count;
  if (min > max) return NOTHING;
  const most = max === Infinity ? min : max;
  if (most > REPEAT_MAX) return builder.fail(pointer, `counts more than ${REPEAT_MAX} elements`);
  const items = isOpen ? context.value(nodeAt(parts, prefixLength)) : NOTHING;
  const elements = Array.from({ length: Math.min(prefixLength, PREFIX_MAX) }, (_, index) =>
    context.value(nodeAt(parts, index)),
  );
  const inner = elementsFrom({ builder, elements, items, min, max }, 0);
  if (isNothing(inner)) return NOTHING;
  return sequence(literal('['), SPACE, inner, literal(']'));
}

function nodeAt(parts: readonly Part[], index: number): Node {
  return parts.flatMap(({ prefix, items }) => prefix[index] ?? items ?? []);
}

interface List {
  readonly builder: Builder;
  readonly elements: readonly Expression[];
  readonly items: Expression;
  readonly min: number;
  readonly max: number;
}

/** The elements from `index` on, each with what stands before it, and the space behind the last. */
function elementsFrom(list: List, index: number): Expression {
  const { builder, elements, min, max } = list;
  const element = elements[index];
  if (index >= max) return endAt(index);
  if (element === undefined) return equalElements(list, index);
  const more = sequence(index === 0 ? EMPTY : COMMA, element, elementsFrom(list, index + 1));
  return index < min ? more : builder.wrap(apart([endAt(index), more]));
}

function endAt(index: number): Expression {
  return index === 0 ? EMPTY : SPACE;
}

function equalElements({ builder, items, min, max }: List, index: number): Expression {
  if (isNothing(items)) return index >= min ? endAt(index) : NOTHING;
  const more = builder.wrap(sequence(COMMA, items));
  const times = (from: number): Expression =>
    repeated(more, { min: Math.max(0, min - from), ...(max === Infinity ? {} : { max: max - from }) });
  if (index > 0) return sequence(times(index), SPACE);
  const some = sequence(items, times(1), SPACE);
  return min === 0 ? optional(builder.wrap(some)) : some;
}

function readPart(builder: Builder, { place, fields }: Keywords): Part {
  const items = fields.get('items');
  const isTuple = Array.isArray(items);
  const [keyword, word] = isTuple ? ['items', 'additionalItems'] : ['prefixItems', 'items'];
  const prefix = fields.get(keyword) ?? [];
  const rest = fields.get(word);
  if (!Array.isArray(prefix)) builder.fail(`${place.pointer}/${keyword}`, 'must be an array');
  return {
    prefix: Array.isArray(prefix) ? prefix.map((schema: unknown, index) => below(place, [keyword, index], schema)) : [],
    ...(rest === undefined ? {} : { items: below(place, [word], rest) }),
  };
}
