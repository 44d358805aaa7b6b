/**
 * Where in a schema are we, and what holds there? A node is a list of places of the document that must all hold: one place
 * at first, more where `allOf`, `$ref` with neighbours or a chosen branch of a union come together. So a conjunction is
 * never written out, recursion shows as a node that came before, and every problem has its JSON pointer.
 * Limits: references stay within the document (`#/...`); a place that leads back to itself with nothing in between says nothing
 * and is a problem. Source: spec (JSON Schema 2020-12 core, RFC 6901).
 */

/** A schema within the document. */
export interface Place {
  /** As a fragment: `#/properties/name`. */
  readonly pointer: string;
  readonly schema: unknown;
  /** Its keywords that were dealt with: a branch was chosen, a reference was followed. */
  readonly done: readonly string[];
}

/** All of them must hold. */
export type Node = readonly Place[];

export interface Problem {
  readonly pointer: string;
  /** What is wrong, as the rest of a sentence about the place. */
  readonly reason: string;
}

/** An object with keywords, none of which is `$ref` or `allOf`. */
export interface Keywords {
  readonly place: Place;
  readonly fields: ReadonlyMap<string, unknown>;
}

export type Expanded =
  | { readonly type: 'keywords'; readonly parts: readonly Keywords[] }
  /** One of the places is `false`. */
  | { readonly type: 'nothing' }
  | { readonly type: 'problem'; readonly problem: Problem };

/** Places of one node. Source: guess: hand-written conjunctions have two or three. */
const PLACES_MAX = 64;
/** Keywords that say nothing about values. All unknown ones say nothing either. */
const CONJUNCTIONS: readonly string[] = ['$ref', 'allOf'];

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function rootOf(schema: unknown): Place {
  return { pointer: '#', schema, done: [] };
}

/** The place of `schema` below `place`. */
export function below(place: Place, path: readonly (string | number)[], schema: unknown): Place {
  const steps = path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`);
  return { pointer: place.pointer + steps.join(''), schema, done: [] };
}

export function without(place: Place, keyword: string): Place {
  return { ...place, done: [...place.done, keyword].toSorted() };
}

/** Equal for equal nodes. */
export function nodeKey(node: Node): string {
  return node.map(({ pointer, done }) => [pointer, ...done].join('!')).join(' ');
}

/** Follows references and conjunctions. */
export function expand(root: unknown, node: Node): Expanded {
  const parts: Keywords[] = [];
  const seen = new Set<string>();
  const todo = node.map((place) => ({ place, path: [] as readonly string[] }));
  for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
    const { place, path } = next;
    const key = nodeKey([place]);
    if (path.includes(key)) return problem(place, 'refers to itself with nothing in between');
    if (seen.has(key) || place.schema === true) continue;
    seen.add(key);
    if (seen.size > PLACES_MAX) return problem(place, `brings more than ${PLACES_MAX} schemas together`);
    if (place.schema === false) return { type: 'nothing' };
    if (!isRecord(place.schema)) return problem(place, 'must be an object or a boolean');
    const fields = new Map(Object.entries(place.schema).filter(([name]) => !place.done.includes(name)));
    const more = conjunctionOf(root, place, fields);
    if ('problem' in more) return { type: 'problem', problem: more.problem };
    todo.unshift(...more.places.map((one) => ({ place: one, path: [...path, key] })));
    for (const name of CONJUNCTIONS) fields.delete(name);
    parts.push({ place, fields });
  }
  return { type: 'keywords', parts };
}

type Conjunction = { readonly places: readonly Place[] } | { readonly problem: Problem };

function conjunctionOf(root: unknown, place: Place, fields: ReadonlyMap<string, unknown>): Conjunction {
  const reference = fields.get('$ref');
  const all = fields.get('allOf') ?? [];
  if (!Array.isArray(all)) return { problem: { pointer: `${place.pointer}/allOf`, reason: 'must be an array' } };
  const places = all.map((schema: unknown, index) => below(place, ['allOf', index], schema));
  if (reference === undefined) return { places };
  const target = typeof reference === 'string' ? resolve(root, reference) : undefined;
  const pointer = `${place.pointer}/$ref`;
  if (target === undefined)
    return { problem: { pointer, reason: 'must name a place in this schema, as "#/$defs/name" does' } };
  return { places: [target, ...places] };
}

function resolve(root: unknown, reference: string): Place | undefined {
  if (!/^#(?:\/|$)/.test(reference)) return undefined;
  let schema = root;
  const path: (string | number)[] = [];
  for (const step of reference.slice(1).split('/').slice(1)) {
    const name = decoded(step)?.replaceAll('~1', '/').replaceAll('~0', '~');
    if (name === undefined || typeof schema !== 'object' || schema === null || !Object.hasOwn(schema, name))
      return undefined;
    schema = Object.entries(schema).find(([key]) => key === name)?.[1];
    path.push(name);
  }
  return below(rootOf(root), path, schema);
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function problem(place: Place, reason: string): Expanded {
  return { type: 'problem', problem: { pointer: place.pointer, reason } };
}
