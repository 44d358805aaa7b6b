/**
 * What does the API look like to a program that reads about it? An OpenAPI description of every route in the table, made from the
 * table, the schemas that read the requests, and the registry of errors, so that it cannot say what is not so. `null` stands
 * beside the type of a field (OpenAPI 3.1), because every optional field takes it. Fields that are not named are
 * ignored or refused with their name, which no schema can say.
 * Source: spec (OpenAPI 3.1.1).
 */
import { z } from 'zod';
import { isJsonObject, type JsonObject } from './json-object.ts';
import { READ_SUMMARIES, WORK_DOCS, type WorkDoc } from './openapi-bodies.ts';
import { refTo, SHAPES } from './openapi-shapes.ts';
import { type HandlerName, type Route, ROUTES, type WorkHandler } from './routes.ts';
import { yamlText } from './yaml-text.ts';

const JSON_TYPE = 'application/json';

const ABOUT =
  'One endpoint for all models of the mesh, in the words of OpenAI, Anthropic and Ollama. ' +
  'Every answer has x-request-id; what was decided about a request is told at /api/requests/{id}. ' +
  'Keys are needed as soon as the node has any, and for every other address than loopback. ' +
  'Failures have the same status in every API; those that may be tried again say when in Retry-After.';

const FAILURES = {
  Failure: failureResponse(refTo('Error')),
  OllamaFailure: failureResponse(refTo('OllamaError')),
  AnthropicFailure: failureResponse(refTo('AnthropicError')),
} as const;

const SESSION: JsonObject = {
  name: 'x-session-id',
  in: 'header',
  description: 'Ties the turns of a conversation together, so that they find their prompt cached.',
  schema: { type: 'string' },
};

/** The text of `docs/openapi.yaml`. */
export function openapiText(version: string): string {
  return yamlText(openapiDocument(version));
}

export function openapiDocument(version: string): JsonObject {
  const paths = Object.groupBy(ROUTES, ({ path }) => path);
  return {
    openapi: '3.1.1',
    info: { title: 'skein', version, description: ABOUT, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths: Object.fromEntries(
      Object.entries(paths).map(([path, routes = []]) => [
        path,
        Object.fromEntries(routes.map((route) => [route.method.toLowerCase(), operation(route)])),
      ]),
    ),
    components: {
      schemas: SHAPES,
      responses: FAILURES,
      parameters: { Session: SESSION },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        header: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
    },
  };
}

function operation(route: Route): JsonObject {
  const { handler, path, scope } = route;
  const work = isWork(handler) ? WORK_DOCS[handler] : undefined;
  const parameters = [
    ...(path.endsWith('/{id}') ? [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }] : []),
    ...(work !== undefined && scope === 'infer' ? [{ $ref: '#/components/parameters/Session' }] : []),
  ];
  return {
    operationId: handler,
    summary: isWork(handler) ? WORK_DOCS[handler].summary : READ_SUMMARIES[handler],
    'x-scope': scope,
    security: scope === 'open' ? [] : [{ bearer: [scope] }, { header: [scope] }],
    parameters: parameters.length === 0 ? undefined : parameters,
    requestBody:
      work === undefined ? undefined : { required: true, content: { [JSON_TYPE]: { schema: bodySchema(work) } } },
    responses: {
      200: success(work),
      ...(handler === 'readiness' ? { 503: { description: 'Not ready, with the reasons.' } } : {}),
      default: { $ref: `#/components/responses/${failureOf(route)}` },
    },
  };
}

function success(work: WorkDoc | undefined): JsonObject {
  const whole = { [JSON_TYPE]: { schema: { type: 'object' } } };
  const stream = work?.stream;
  return {
    description: stream === undefined ? 'The answer.' : 'The answer, whole or as a stream.',
    content: stream === undefined ? whole : { ...whole, [stream]: { schema: { type: 'string' } } },
  };
}

function failureOf({ handler }: Route): keyof typeof FAILURES {
  if (handler.startsWith('ollama-')) return 'OllamaFailure';
  return handler === 'messages' || handler === 'count-messages' ? 'AnthropicFailure' : 'Failure';
}

function failureResponse(schema: JsonObject): JsonObject {
  return { description: 'Why there is no answer.', content: { [JSON_TYPE]: { schema } } };
}

function isWork(handler: HandlerName): handler is WorkHandler {
  return Object.hasOwn(WORK_DOCS, handler);
}

function bodySchema({ schema, more = {}, required = [] }: WorkDoc): JsonObject {
  const { $schema: _, ...made } = z.toJSONSchema(schema, { io: 'input' });
  let body = tidy(made);
  for (const [place, field] of Object.entries(more)) body = withField(body, place.split('.'), field);
  if (!isJsonObject(body)) return {};
  const needed: unknown = body['required'];
  const all = [...(Array.isArray(needed) ? needed : []), ...required];
  return all.length === 0 ? body : { ...body, required: all };
}

/** `null` beside the type, and no bounds that only say what JavaScript can count. */
function tidy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(tidy);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== Number.MAX_SAFE_INTEGER && one !== Number.MIN_SAFE_INTEGER); // prettier-ignore
  const plain = Object.fromEntries(entries.map(([name, one]) => [name, tidy(one)]));
  return orNull(plain) ?? plain;
}

function orNull(schema: JsonObject): JsonObject | undefined {
  const { anyOf, ...rest } = schema;
  if (!Array.isArray(anyOf) || anyOf.length !== 2) return undefined;
  const [first, second]: readonly unknown[] = anyOf;
  if (!isJsonObject(first) || !isJsonObject(second) || second['type'] !== 'null') return undefined;
  const { type, enum: words, ...more } = first;
  if (typeof type !== 'string') return undefined;
  return { ...rest, type: [type, 'null'], ...(Array.isArray(words) ? { enum: [...words, null] } : {}), ...more };
}

/** `place`: names of fields from the outside in; "name[]" are the elements of a list. */
function withField(schema: unknown, place: readonly string[], field: JsonObject): unknown {
  const [head, ...rest] = place;
  if (head === undefined) return field;
  const within: JsonObject = isJsonObject(schema) ? schema : {};
  const name = head.replace('[]', '');
  const known = isJsonObject(within['properties']) ? within['properties'] : {};
  const old: unknown = known[name];
  const items = isJsonObject(old) ? old['items'] : undefined;
  const made = head.endsWith('[]')
    ? { ...(isJsonObject(old) ? old : {}), items: withField(items, rest, field) }
    : withField(old, rest, field);
  return { ...within, properties: { ...known, [name]: made } };
}
