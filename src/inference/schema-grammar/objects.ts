/**
 * An object: its declared members in the order of the schema, then any others where those are allowed. What a conjunction
 * says about one name comes together in one node. Two narrowings, both of what only few schemas mean: where properties are
 * declared and nothing is said about others, there are none; and members are in order.
 * Limits: how many members there are is decided only where it follows from the declared ones, because a grammar does not
 * count what it may leave out. Duplicate names among the others are possible, as in JSON itself.
 */
import type { Builder } from './builder.ts';
import {
  EMPTY,
  apart,
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
import { canonicalText, SPACE } from './json-text.ts';
import { CHARACTER, noneOfTexts } from './literals.ts';
import { keyExpression, type ObjectParts, partsOf } from './object-parts.ts';
import type { Keywords, Node } from './schema-document.ts';

export interface ObjectContext {
  readonly builder: Builder;
  readonly root: unknown;
  readonly pointer: string;
  /** The value of a node; `NOTHING` where none fits. */
  readonly value: (node: Node) => Expression;
}

interface Member {
  readonly isRequired: boolean;
  /** Name, colon and value. */
  readonly pair: Expression;
}

interface Members {
  readonly list: readonly Member[];
  /** A pair of another name; `NOTHING` where there are none. */
  readonly other: Expression;
}

/** Source: guess: what may follow each of them is compared with all others. */
const MEMBERS_MAX = 512;
/** Names that are compared letter by letter with those of other members. Source: guess: far above any in use. */
const NAME_LENGTH_MAX = 256;

export const COMMA = sequence(literal(','), SPACE);
const COLON = sequence(literal(':'), SPACE);

export function objectExpression(context: ObjectContext, keywords: readonly Keywords[], count: Count): Expression {
  const { builder, pointer } = context;
  const parts = partsOf(context.root, keywords);
  if ('problem' in parts) return builder.fail(parts.problem.pointer, parts.problem.reason);
  if (parts.members.length > MEMBERS_MAX) return builder.fail(pointer, `has more than ${MEMBERS_MAX} properties`);
  if (!builder.spendParts(parts.members.length + 1, pointer)) return NOTHING;
  const members = membersOf(context, parts);
  if (members === undefined) return NOTHING;
  const counted = applyCount(context, members, count);
  return counted === undefined ? NOTHING : bodyOf(builder, counted);
}

function membersOf(context: ObjectContext, parts: ObjectParts): Members | undefined {
  const list: Member[] = [];
  for (const { name, node, isRequired } of parts.members) {
    const value = node === 'forbidden' ? NOTHING : context.value(node);
    const key = canonicalText(name);
    if (isNothing(value) && isRequired) return undefined;
    if (!isNothing(value) && key !== undefined)
      list.push({ isRequired, pair: context.builder.wrap(sequence(literal(key), COLON, value)) });
  }
  return { list, other: otherOf(context, parts) };
}

function otherOf(context: ObjectContext, { members, others, keys }: ObjectParts): Expression {
  const { builder, pointer } = context;
  if (others === 'none') return NOTHING;
  const names = members.map(({ name }) => name);
  if (names.some((name) => name.length > NAME_LENGTH_MAX))
    return builder.fail(pointer, `has names of more than ${NAME_LENGTH_MAX} characters beside additional properties`);
  const value = context.value(others);
  if (isNothing(value)) return NOTHING;
  const key = keys === undefined ? noneOfTexts(names, CHARACTER, builder.work) : keyExpression(builder, keys);
  return builder.wrap(sequence(key, COLON, value));
}

/** With the bounds of `minProperties` and `maxProperties`; undefined where no object fits. */
function applyCount(
  { builder, pointer }: ObjectContext,
  members: Members,
  count: Count,
): (Members & Count) | undefined {
  const { min = 0, max = Infinity } = count;
  const { list, other } = members;
  const required = list.filter(({ isRequired }) => isRequired).length;
  const most = isNothing(other) ? list.length : Infinity;
  if (Math.max(min, required) > Math.min(max, most)) return undefined;
  // All of them are needed.
  if (min > required && min === most) return { list: list.map(({ pair }) => ({ pair, isRequired: true })), other };
  if (!isMinSayable(min, required))
    builder.fail(`${pointer}/minProperties`, 'is only supported up to the number of required properties');
  if (max >= most) return { ...members, min };
  if (list.length > 0 || max > REPEAT_MAX)
    builder.fail(`${pointer}/maxProperties`, 'is only supported for objects without declared properties');
  return { ...members, min, max };
}

/** Of members that may be missing a grammar can only say that there is one. */
function isMinSayable(min: number, required: number): boolean {
  return min <= Math.max(1, required);
}

function bodyOf(builder: Builder, { list, other, min = 0, max }: Members & Count): Expression {
  const hasOther = !isNothing(other) && max !== 0;
  const rest = hasOther
    ? repeated(builder.wrap(sequence(COMMA, other)), { min: 0, ...(max === undefined ? {} : { max: max - 1 }) })
    : EMPTY;
  const filled = list.some(({ isRequired }) => isRequired)
    ? withRequired(list, rest)
    : allOptional(builder, list, { other: hasOther ? other : NOTHING, rest });
  const inner = isNothing(filled) ? NOTHING : sequence(builder.wrap(filled), SPACE);
  const isEmptyAllowed = min === 0 && !list.some(({ isRequired }) => isRequired);
  return sequence(literal('{'), SPACE, isEmptyAllowed ? optional(inner) : inner, literal('}'));
}

/** Before the first required member each has its comma behind it, after it before it. */
function withRequired(list: readonly Member[], rest: Expression): Expression {
  const anchor = list.findIndex(({ isRequired }) => isRequired);
  const parts = list.map(({ isRequired, pair }, index) => {
    if (index === anchor) return pair;
    const part = index < anchor ? sequence(pair, COMMA) : sequence(COMMA, pair);
    return isRequired ? part : optional(part);
  });
  return sequence(...parts, rest);
}

interface Others {
  /** First of all. */
  readonly other: Expression;
  /** After a member. */
  readonly rest: Expression;
}

/** Any of them may be the first; a rule for what may follow each keeps that short. At least one. */
function allOptional(builder: Builder, list: readonly Member[], { other, rest }: Others): Expression {
  const firsts: Expression[] = [sequence(other, rest)];
  let follow = rest;
  for (const { pair } of list.toReversed()) {
    firsts.push(sequence(pair, follow));
    follow = builder.wrap(sequence(optional(sequence(COMMA, pair)), follow));
  }
  return apart(firsts.toReversed());
}
