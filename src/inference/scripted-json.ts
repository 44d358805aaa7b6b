/**
 * Which JSON does an engine without a model answer where a schema is asked for? The smallest value that fits it, found by
 * looking at what schemas usually say; what is not looked at (patterns, formats, conditions) has no answer here, so that
 * nothing is made up that might not fit. Limits: `DEPTH_MAX` levels, `ELEMENTS_MAX` elements of a list.
 */

type Fields = Readonly<Record<string, unknown>>;

/** Source: guess; also ends schemas that need themselves. */
const DEPTH_MAX = 16;
/** Source: guess. */
const ELEMENTS_MAX = 64;
/** Source: guess. */
const LENGTH_MAX = 256;
/** Keywords that this file looks at, or that say nothing about values. All others have no answer. */
const KNOWN = new Set(
  ('$ref $defs definitions $schema $id $comment title description default examples deprecated readOnly writeOnly type const enum ' +
    'anyOf oneOf properties required additionalProperties items minItems maxItems minLength maxLength minimum maximum').split(' '), // prettier-ignore
);

/** The smallest value as JSON; undefined where none is found. `schema` is JSON. */
export function smallestJson(schema: string): string | undefined {
  const root = parseJson(schema);
  const value = smallest(root, root, 0);
  return value === undefined ? undefined : JSON.stringify(value);
}

function smallest(root: unknown, schema: unknown, depth: number): unknown {
  if (depth > DEPTH_MAX) return undefined;
  if (schema === true) return {};
  if (!isRecord(schema) || Object.keys(schema).some((keyword) => !KNOWN.has(keyword))) return undefined;
  const next = (inner: unknown): unknown => smallest(root, inner, depth + 1);
  const { $ref: reference, const: constant, enum: values } = schema;
  if (typeof reference === 'string') return next(resolve(root, reference));
  if (constant !== undefined) return constant;
  if (Array.isArray(values)) return values[0];
  const branches: unknown = schema['anyOf'] ?? schema['oneOf'];
  if (Array.isArray(branches)) return branches.map(next).find((value) => value !== undefined);
  return ofType(schema, next);
}

function ofType(schema: Fields, next: (inner: unknown) => unknown): unknown {
  const { type } = schema;
  const { minimum, maximum } = schema;
  switch (Array.isArray(type) ? type[0] : (type ?? 'object')) {
    case 'object':
      return objectOf(schema, next);
    case 'array':
      return listOf(schema, next);
    case 'string':
      return atMost(schema['minLength'], LENGTH_MAX) && 'x'.repeat(numberOf(schema['minLength']));
    case 'integer':
      return Math.min(Math.max(0, Math.ceil(numberOf(minimum))), Math.floor(numberOf(maximum, Infinity)));
    case 'number':
      return Math.min(Math.max(0, numberOf(minimum)), numberOf(maximum, Infinity));
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return undefined;
  }
}

function objectOf(schema: Fields, next: (inner: unknown) => unknown): unknown {
  const { properties = {}, required = [] } = schema;
  if (!isRecord(properties) || !Array.isArray(required)) return undefined;
  const members = Object.keys(properties)
    .filter((name) => required.includes(name))
    .map((name) => [name, next(properties[name])] as const);
  const isWhole = members.length === new Set(required).size && members.every(([, value]) => value !== undefined);
  return isWhole ? Object.fromEntries(members) : undefined;
}

function listOf(schema: Fields, next: (inner: unknown) => unknown): unknown {
  const count = numberOf(schema['minItems']);
  if (count === 0) return [];
  if (count > ELEMENTS_MAX) return undefined;
  const element = next(schema['items'] ?? true);
  return element === undefined ? undefined : Array.from({ length: count }, () => element);
}

function atMost(value: unknown, max: number): true | undefined {
  return numberOf(value) <= max ? true : undefined;
}

function numberOf(value: unknown, otherwise = 0): number {
  return typeof value === 'number' ? value : otherwise;
}

function resolve(root: unknown, reference: string): unknown {
  if (!reference.startsWith('#')) return undefined;
  let at = root;
  for (const step of reference.slice(1).split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    at = isRecord(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
