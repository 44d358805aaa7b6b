/**
 * Is the body of a request a JSON object that may be walked? The same for every dialect: nested not too deeply and of not too many
 * parts (asked before parsing), valid JSON, an object at the top. What its fields mean is the dialect's business.
 * Limits: `LIMITS.jsonDepth`; the size was bounded while the body came in.
 */
import type { z } from 'zod';
import { type Failure, failure } from '../errors.ts';
import { LIMITS } from '../params.ts';
import { jsonExcess } from '../json-depth.ts';
import { isJsonObject, type JsonObject } from './json-object.ts';

type ParsedBody =
  { readonly type: 'body'; readonly body: JsonObject } | { readonly type: 'refused'; readonly failure: Failure };

/** Source: measured: so many members are parsed in some 50 ms; the largest sets of tools and messages have half of it. */
const BODY_PARTS_MAX = 65_536;

export function parseBody(text: string): ParsedBody {
  const excess = jsonExcess(text, { depthMax: LIMITS.jsonDepth, partsMax: BODY_PARTS_MAX });
  if (excess === 'depthMax')
    return refused(failure('invalid-request', `the body is nested more than ${LIMITS.jsonDepth} levels deep`));
  if (excess === 'partsMax')
    return refused(failure('invalid-request', `the body has more than ${BODY_PARTS_MAX} members and elements`));
  const json = parseJson(text);
  if (json.type === 'malformed') return refused(failure('invalid-json', 'the body is not valid JSON'));
  if (!isJsonObject(json.value)) return refused(failure('invalid-request', 'the body must be a JSON object'));
  return { type: 'body', body: json.value };
}

/** Before a schema walks them: every bad element of a list would make an issue of its own. */
export function checkCounts(
  body: JsonObject,
  limits: readonly (readonly [name: string, max: number])[],
): Failure | undefined {
  for (const [name, max] of limits) {
    const list = Object.hasOwn(body, name) ? body[name] : undefined;
    if (Array.isArray(list) && list.length > max)
      return failure('invalid-request', `${name}: at most ${max}, got ${list.length}`, { param: name });
  }
  return undefined;
}

/** The first issue of a schema, with its place as a client would write it: `messages[2].content`. */
export function failureOfIssue(error: z.ZodError, prefix: readonly PropertyKey[] = []): Failure {
  const [issue] = error.issues;
  const param = [...prefix, ...(issue?.path ?? [])]
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .slice(1);
  return failure('invalid-request', `${param}: ${issue?.message ?? 'invalid'}`, { param });
}

export function badField(param: string, text: string): Failure {
  return failure('invalid-request', `${param}: ${text}`, { param });
}

export function unsupportedField(param: string, text: string): Failure {
  return failure('unsupported-feature', `${param}: ${text}`, { param });
}

function parseJson(text: string): { type: 'parsed'; value: unknown } | { type: 'malformed' } {
  try {
    return { type: 'parsed', value: JSON.parse(text) };
  } catch {
    return { type: 'malformed' };
  }
}

function refused(reason: Failure): ParsedBody {
  return { type: 'refused', failure: reason };
}
