/**
 * What the object keywords of a node say together: which members are declared, which node each must fit, and whether there
 * may be others. Every part of a conjunction has its say about every name, through `properties`, or else through
 * `additionalProperties`. Names that `propertyNames` lists are declared by it.
 * Limits: `patternProperties` only alone and only one; names by pattern only where none is declared.
 */
import type { Builder } from './builder.ts';
import { CHARACTER, noneOfTexts } from './literals.ts';
import type { Expression } from './expression.ts';
import { admits, gather, type TextFacts } from './facts.ts';
import { below, expand, isRecord, type Keywords, type Node, type Place, type Problem } from './schema-document.ts';
import { stringExpression } from './strings.ts';

export interface ObjectParts {
  /** In the order of the schema. */
  readonly members: readonly {
    readonly name: string;
    readonly node: Node | 'forbidden';
    readonly isRequired: boolean;
  }[];
  /** What the value of any other member must fit. */
  readonly others: Node | 'none';
  /** Other members are not only left out but forbidden. */
  readonly isClosed: boolean;
  /** Which other names there may be; absent = all that are not declared. */
  readonly keys?: Keys;
}

interface Keys {
  readonly text: TextFacts;
  readonly pointer: string;
}

type Read<Value> = Value | { readonly problem: Problem };

/** One part of a conjunction. */
interface Part {
  readonly place: Place;
  readonly properties: ReadonlyMap<string, Place>;
  readonly required: readonly string[];
  /** `additionalProperties`; absent = not said. */
  readonly additional?: Place;
  readonly patterns: readonly (readonly [string, Place])[];
  readonly names?: Place;
}

export function partsOf(root: unknown, keywords: readonly Keywords[]): Read<ObjectParts> {
  const parts: Part[] = [];
  for (const one of keywords) {
    const part = readPart(one);
    if ('problem' in part) return part;
    parts.push(part);
  }
  const names = readNames(root, parts);
  if ('problem' in names) return names;
  const pattern = readPattern(parts);
  if (pattern !== undefined) return pattern;
  return join(parts, names);
}

function join(parts: readonly Part[], { listed, keys }: Names): Read<ObjectParts> {
  const required = new Set(parts.flatMap((part) => part.required));
  const declared = new Set([...parts.flatMap((part) => [...part.properties.keys()]), ...(listed ?? []), ...required]);
  const others = othersOf(parts);
  const isClosed = listed !== undefined || parts.some(({ additional }) => additional?.schema === false);
  const members = [...declared].map((name) => {
    const isListed = listed === undefined || listed.includes(name);
    const node = isListed ? nodeOf(parts, name) : ('forbidden' as const);
    return { name, node, isRequired: required.has(name) };
  });
  const isOpen = others !== 'none' && listed === undefined;
  if (keys === undefined) return { members, others: isOpen ? others : 'none', isClosed };
  const [first] = members;
  if (first !== undefined)
    return { problem: { pointer: keys.pointer, reason: 'is not supported beside declared properties' } };
  return { members, others, isClosed, keys };
}

/** What all parts say about one name. */
function nodeOf(parts: readonly Part[], name: string): Node | 'forbidden' {
  const places = parts.flatMap(({ properties, additional }) => properties.get(name) ?? additional ?? []);
  return places.some(({ schema }) => schema === false) ? 'forbidden' : places;
}

function othersOf(parts: readonly Part[]): Node | 'none' {
  const places = parts.flatMap(({ additional }) => additional ?? []);
  const isSilent = places.length === 0 && parts.some(({ properties }) => properties.size > 0);
  return isSilent || places.some(({ schema }) => schema === false) ? 'none' : places;
}

interface Names {
  /** The only names there may be. */
  readonly listed?: readonly string[];
  readonly keys?: Keys;
}

function readNames(root: unknown, parts: readonly Part[]): Read<Names> {
  const places = parts.flatMap(({ names }) => names ?? []);
  const [first] = places;
  if (first === undefined) return {};
  const { pointer } = first;
  const refused = (reason: string): { problem: Problem } => ({ problem: { pointer, reason } });
  const expanded = expand(root, places);
  if (expanded.type === 'problem') return { problem: expanded.problem };
  if (expanded.type === 'nothing') return { listed: [] };
  const gathered = gather(expanded.parts);
  if (gathered.type === 'problem') return { problem: gathered.problem };
  const { types, values, text, said, unions } = gathered.facts;
  if (unions.length > 0) return refused('is not supported with a union');
  if (types !== undefined && !admits(types, 'string')) return { listed: [] };
  if (values === undefined) return said.has('string') ? { keys: { text, pointer } } : {};
  if (said.has('string')) return refused('is not supported with both a list and a pattern or length');
  return { listed: [...values.values()].filter((value) => typeof value === 'string') };
}

/** The one way in which `patternProperties` is followed: as the names of a map. */
function readPattern(parts: readonly Part[]): Read<ObjectParts> | undefined {
  const patterns = parts.flatMap((part) => part.patterns.map(([pattern, place]) => ({ pattern, place, part })));
  const [first] = patterns;
  if (first === undefined) return undefined;
  const isAlone =
    patterns.length === 1 && parts.length === 1 && first.part.properties.size + first.part.required.length === 0;
  const { additional, names } = first.part;
  if (!isAlone || names !== undefined || (additional !== undefined && additional.schema !== false))
    return {
      problem: { pointer: first.place.pointer, reason: 'is only supported alone and once, without other properties' },
    };
  const text: TextFacts = { min: 0, patterns: [first.pattern], formats: [] };
  return {
    members: [],
    others: [first.place],
    isClosed: additional !== undefined,
    keys: { text, pointer: first.place.pointer },
  };
}

export function keyExpression(builder: Builder, { text, pointer }: Keys): Expression {
  return text.patterns.length + text.formats.length === 0 && text.min === 0 && text.max === undefined
    ? noneOfTexts([], CHARACTER, builder.work)
    : stringExpression(builder, text, pointer);
}

function readPart({ place, fields }: Keywords): Read<Part> {
  const properties = fields.get('properties') ?? {};
  const patterns = fields.get('patternProperties') ?? {};
  const required = fields.get('required') ?? [];
  const wrong = (keyword: string, reason: string): { problem: Problem } => ({
    problem: { pointer: below(place, [keyword], undefined).pointer, reason },
  });
  if (!isRecord(properties)) return wrong('properties', 'must be an object');
  if (!isRecord(patterns)) return wrong('patternProperties', 'must be an object');
  if (!Array.isArray(required) || !required.every((name): name is string => typeof name === 'string'))
    return wrong('required', 'must be an array of names');
  const additional = additionalOf(place, fields);
  const names = fields.get('propertyNames');
  return {
    place,
    properties: new Map(placesOf(place, 'properties', properties)),
    required,
    ...(additional === undefined ? {} : { additional }),
    patterns: placesOf(place, 'patternProperties', patterns),
    ...(names === undefined ? {} : { names: below(place, ['propertyNames'], names) }),
  };
}

/** Whatever is not declared here is not evaluated elsewhere either, as far as a grammar writes it. */
function additionalOf(place: Place, fields: Keywords['fields']): Place | undefined {
  for (const keyword of ['additionalProperties', 'unevaluatedProperties']) {
    const schema = fields.get(keyword);
    const isSaid = keyword === 'additionalProperties' ? schema !== undefined : schema === false;
    if (isSaid) return below(place, [keyword], schema);
  }
  return undefined;
}

function placesOf(place: Place, keyword: string, schemas: Readonly<Record<string, unknown>>): [string, Place][] {
  return Object.entries(schemas).map(([name, schema]) => [name, below(place, [keyword, name], schema)]);
}
