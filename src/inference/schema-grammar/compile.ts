/**
 * A JSON schema as a grammar whose texts are values that fit it, or the place of the schema that no grammar can follow.
 * Never looser than the schema: what cannot be said exactly is a problem, not a guess. Narrower in few ways that are written
 * where they are made (members in order, one form of each string, bounded white space and digits).
 * One rule for each node (`schema-document.ts`), so that recursion is a rule that names itself. The same schema gives the same
 * grammar. Limits: `SCHEMA_LIMITS`, `GRAMMAR_LIMITS`, `CHECK_LIMITS`; hostile schemas end as a problem, within them.
 */
import { anyObject, anyValue } from './any-value.ts';
import { Builder, GRAMMAR_LIMITS } from './builder.ts';
import type { CharacterSet } from './characters.ts';
import { branchesOf, Exclusion, typesOf } from './disjoint.ts';
import {
  choice,
  EMPTY,
  type Expression,
  grammarText,
  isNothing,
  literal,
  NOTHING,
  repeated,
  rule,
  type Rules,
  sequence,
} from './expression.ts';
import { admits, type Facts, gather, isAssertion, type TypeName, typeOfValue } from './facts.ts';
import { grammarProblem } from './grammar-check.ts';
import { SPACE_BODY } from './json-text.ts';
import { Leads } from './leads.ts';
import { oneOfTexts } from './literals.ts';
import { listExpression } from './lists.ts';
import { decimalNumbers, wholeNumbers } from './numbers.ts';
import { objectExpression } from './objects.ts';
import { expand, type Keywords, type Node, nodeKey, type Place, type Problem, rootOf } from './schema-document.ts';
import { CHARACTER_BODY, stringExpression } from './strings.ts';
import { Work } from './work.ts';

export type CompiledSchema =
  | {
      readonly type: 'grammar';
      /** GBNF; its first rule is `root`. */
      readonly text: string;
      /** The characters with which a value can begin. */
      readonly starts: CharacterSet;
    }
  | { readonly type: 'problem'; readonly problem: Problem };

export const SCHEMA_LIMITS = {
  /** Arrays and objects within one another. Source: copied (LIMITS.jsonDepth). */
  depthMax: 64,
  /** Branches of one union. Source: guess. */
  branchesMax: 128,
} as const;

const ROOT = 'root';

/** Any JSON object: what `json_object` asks for. */
export function compileAnyObject(): CompiledSchema {
  return compileSchema({ type: 'object' });
}

/** `schema`: from `JSON.parse`. */
export function compileSchema(schema: unknown): CompiledSchema {
  const compiled = compileRules(schema, new Work());
  if (compiled.type === 'problem') return compiled;
  const text = grammarText(compiled.rules);
  if (text.length > GRAMMAR_LIMITS.textMax) return problemAt('#', 'needs a grammar that is too large');
  return { type: 'grammar', text, starts: compiled.starts };
}

export type CompiledRules =
  | {
      readonly type: 'rules';
      /** One of them is `root`. */
      readonly rules: Rules;
      readonly starts: CharacterSet;
    }
  | { readonly type: 'problem'; readonly problem: Problem };

/** The objects that fit, as rules of a larger grammar: no other kind of value, and no space before it. */
export function compileObjectRules(schema: unknown, work: Work): CompiledRules {
  return compileRules(schema, work, { pointer: '', schema: { type: 'object' }, done: [] });
}

/** The values that fit, as rules of a larger grammar, a space before them included. */
export function compileValueRules(schema: unknown, work: Work): CompiledRules {
  return compileRules(schema, work);
}

function compileRules(schema: unknown, work: Work, more?: Place): CompiledRules {
  if (isDeeper(schema, SCHEMA_LIMITS.depthMax))
    return problemAt('#', `is nested more than ${SCHEMA_LIMITS.depthMax} levels deep`);
  return new Compiler(schema, work).compile(more);
}

/** A node that was met. */
interface Known {
  readonly name: string;
  /** Its rule was named before it was made. */
  isAsked: boolean;
  made?: Expression;
}

class Compiler {
  readonly #schema: unknown;
  readonly #builder: Builder;
  readonly #exclusion: Exclusion;
  readonly #known = new Map<string, Known>();
  #depth = 0;

  constructor(schema: unknown, work: Work) {
    this.#schema = schema;
    this.#builder = new Builder(work);
    this.#exclusion = new Exclusion(schema, work);
  }

  /** With `more` a part of a larger grammar, that must fit both. */
  compile(more?: Place): CompiledRules {
    const builder = this.#builder;
    // A space before the answer: with some tokenizers every text begins with one.
    builder.define(ROOT, NOTHING);
    builder.define('space', SPACE_BODY);
    builder.define('character', CHARACTER_BODY);
    const value = this.#value([rootOf(this.#schema), ...(more === undefined ? [] : [more])]);
    if (builder.problem !== undefined) return { type: 'problem', problem: builder.problem };
    if (isNothing(value)) return problemAt('#', 'fits no value');
    const before = more === undefined ? repeated(literal(' '), { min: 0, max: 1 }) : EMPTY;
    builder.define(ROOT, sequence(before, value));
    const leads = new Leads(builder.rules, ['space'], builder.work);
    const reason = grammarProblem(builder.rules, leads, builder.work);
    const starts = leads.starts(ROOT);
    if (builder.problem !== undefined) return { type: 'problem', problem: builder.problem };
    return reason === undefined ? { type: 'rules', rules: builder.rules, starts } : problemAt('#', reason);
  }

  /** The values of a node: a rule, or something as short; `NOTHING` where there are none. */
  #value(node: Node): Expression {
    const builder = this.#builder;
    const expanded = expand(this.#schema, node);
    if (builder.problem !== undefined || expanded.type === 'nothing') return NOTHING;
    if (expanded.type === 'problem') return builder.fail(expanded.problem.pointer, expanded.problem.reason);
    const parts = expanded.parts.filter(({ fields }) => [...fields.keys()].some(isAssertion));
    const key = nodeKey(parts.map(({ place }) => place));
    const known = this.#known.get(key);
    if (known === undefined) return this.#compile(key, parts);
    known.isAsked = true;
    return known.made ?? rule(known.name);
  }

  #compile(key: string, parts: readonly Keywords[]): Expression {
    const builder = this.#builder;
    const [first] = parts;
    if (first === undefined) return anyValue(builder);
    const { pointer } = first.place;
    if (this.#depth >= GRAMMAR_LIMITS.depthMax) return builder.fail(pointer, 'is nested too deeply');
    const entry: Known = { name: builder.reserve(), isAsked: false };
    this.#known.set(key, entry);
    this.#depth += 1;
    const body = this.#body(parts, pointer);
    this.#depth -= 1;
    const isShort = isNothing(body) || (!entry.isAsked && (body.type === 'rule' || body.type === 'literal'));
    entry.made = isShort ? body : builder.define(entry.name, body);
    return entry.made;
  }

  #body(parts: readonly Keywords[], pointer: string): Expression {
    const builder = this.#builder;
    const gathered = gather(parts);
    if (gathered.type === 'problem') return builder.fail(gathered.problem.pointer, gathered.problem.reason);
    const { facts } = gathered;
    const branches = branchesOf({ facts, parts });
    if (branches !== undefined) return this.#union(branches, facts, pointer);
    if (facts.values !== undefined) return this.#values(facts, pointer);
    return choice([...typesOf(facts)].map((type) => this.#ofType(type, { parts, facts, pointer })));
  }

  #union(branches: readonly Node[], facts: Facts, pointer: string): Expression {
    const builder = this.#builder;
    const keyword = facts.unions[0]?.keyword ?? 'anyOf';
    const at = `${facts.unions[0]?.place.pointer ?? pointer}/${keyword}`;
    if (branches.length > SCHEMA_LIMITS.branchesMax)
      return builder.fail(at, `has more than ${SCHEMA_LIMITS.branchesMax} branches`);
    if (!builder.spendParts(branches.length, at)) return NOTHING;
    if (keyword === 'oneOf')
      for (const [index, left] of branches.entries())
        for (const right of branches.slice(index + 1))
          if (!this.#exclusion.areDisjoint(left, right))
            return builder.fail(
              at,
              'has branches that one value might fit together: use anyOf, or give each a required constant of its own',
            );
    return choice(branches.map((branch) => this.#value(branch)));
  }

  #values({ values, types, said }: Facts, pointer: string): Expression {
    const builder = this.#builder;
    const fitting = [...(values ?? [])].filter(([, value]) => types === undefined || admits(types, typeOfValue(value)));
    if (fitting.some(([, value]) => said.has(kindOf(value))))
      return builder.fail(pointer, 'has a list of values and, beside it, keywords that would have to choose from them');
    if (!builder.spendParts(fitting.length, pointer) || fitting.length === 0) return NOTHING;
    return oneOfTexts(
      fitting.map(([text]) => text),
      builder.work,
    );
  }

  #ofType(
    type: TypeName,
    { parts, facts, pointer }: { parts: readonly Keywords[]; facts: Facts; pointer: string },
  ): Expression {
    const builder = this.#builder;
    const value = (node: Node): Expression => this.#value(node);
    switch (type) {
      case 'object':
        return facts.said.has('object')
          ? objectExpression({ builder, root: this.#schema, pointer, value }, parts, facts.properties)
          : anyObject(builder);
      case 'array':
        return listExpression({ builder, pointer, value }, parts, facts.elements);
      case 'string':
        return stringExpression(builder, facts.text, pointer);
      case 'integer':
        return wholeNumbers(facts.number);
      case 'number':
        return this.#number(facts, pointer);
      case 'boolean':
        return choice([literal('true'), literal('false')]);
      case 'null':
        return literal('null');
      default:
        return type;
    }
  }

  #number({ number }: Facts, pointer: string): Expression {
    const { places, ...range } = number;
    if (places === 0) return wholeNumbers(range);
    const key = `number ${JSON.stringify([range, places])}`;
    return this.#builder.once(key, () => {
      const made = decimalNumbers(range, places);
      if (made === undefined) return this.#builder.fail(pointer, 'has a bound with too many digits');
      return isNothing(made) ? NOTHING : this.#builder.wrap(made);
    });
  }
}

/** The word under which `said` keeps what was said about such values. */
function kindOf(value: unknown): TypeName {
  const type = typeOfValue(value);
  return type === 'integer' ? 'number' : type;
}

/** Without recursion: the schema may be nested as deeply as its text is long. */
function isDeeper(schema: unknown, depthMax: number): boolean {
  let level: unknown[] = [schema];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > depthMax) return true;
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []));
    level = level.filter((value) => typeof value === 'object' && value !== null);
  }
  return false;
}

function problemAt(pointer: string, reason: string): { readonly type: 'problem'; readonly problem: Problem } {
  return { type: 'problem', problem: { pointer, reason } };
}
