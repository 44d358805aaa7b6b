/**
 * Any JSON at all, and requests that are right but for one place, to every route that takes a body: the answer is an answer or
 * the client's fault, in JSON, and never a mistake of the node. Where the mesh was asked, what its fake said may not fit the
 * question: that is the only 5xx.
 */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ROUTES } from '../../src/api/routes.ts';
import { closeApis, ENDED, MODEL, SERVING, startApi, text } from './fakes.ts';

const SCHEMA = { type: 'object', properties: { a: { type: 'string' }, b: { enum: [1, null] } }, required: ['a'] };
const FUNCTION = { name: 'f', description: 'does', parameters: SCHEMA };
const MESSAGES = [
  { role: 'system', content: 'be' },
  { role: 'user', content: [{ type: 'text', text: 'hello' }] },
  { role: 'assistant', content: 'yes' },
  { role: 'user', content: 'hello', name: 'x' },
];
const SAMPLING = { temperature: 0.5, top_p: 0.9, seed: 7, max_tokens: 4, stop: ['x'], stream: false };
const OPTIONS = { temperature: 0.5, top_k: 5, num_predict: 4, stop: ['x'], seed: 1, repeat_penalty: 1.1 };

/** One good request for each. */
const GOOD: Readonly<Record<string, object>> = {
  '/v1/chat/completions': {
    ...SAMPLING,
    model: MODEL,
    messages: MESSAGES,
    n: 2,
    user: 'me',
    logit_bias: { 5: 1 },
    stream_options: { include_usage: true },
    response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema: SCHEMA } },
    metadata: { a: 'b' },
  },
  '/v1/completions': { ...SAMPLING, model: MODEL, prompt: ['hello', 'you'], echo: false, logprobs: 2, suffix: null },
  '/v1/embeddings': { model: MODEL, input: ['hello', 'you'], encoding_format: 'float', user: 'me' },
  '/v1/rerank': { model: MODEL, query: 'q', documents: ['a', { text: 'b' }], top_n: 1, return_documents: true },
  '/v1/responses': {
    model: MODEL,
    instructions: 'be',
    input: [{ role: 'user', content: [{ type: 'input_text', text: 'hello' }] }],
    tools: [{ type: 'function', ...FUNCTION }],
    tool_choice: 'auto',
    max_output_tokens: 4,
    store: false,
    stream: true,
  },
  '/v1/messages': {
    model: MODEL,
    max_tokens: 4,
    system: [{ type: 'text', text: 'be' }],
    messages: [{ role: 'user', content: [{ type: 'text', text: 'hello' }] }],
    tools: [{ name: 'f', description: 'does', input_schema: SCHEMA }],
    tool_choice: { type: 'auto' },
    stop_sequences: ['x'],
    stream: true,
  },
  '/api/chat': {
    model: MODEL,
    messages: [{ role: 'user', content: 'hello' }],
    tools: [{ type: 'function', function: FUNCTION }],
    options: OPTIONS,
    stream: true,
    keep_alive: '5m',
  },
  '/api/generate': { model: MODEL, prompt: 'hello', system: 'be', format: SCHEMA, options: OPTIONS, stream: false },
  '/api/embed': { model: MODEL, input: ['hello'], truncate: true, options: OPTIONS },
  '/api/embeddings': { model: MODEL, prompt: 'hello' },
  '/api/show': { model: MODEL, verbose: false },
};

const HARD = [null, '', -1, 0, -0, 0.5, 1e308, 2 ** 53, 2 ** 31, [], {}, [[]], [null], '\u0000', '\ud800', true, MODEL];
const HOSTILE: readonly unknown[] = [
  ...HARD,
  'x'.repeat(100_000),
  Array.from({ length: 3_000 }, () => 'x'),
  JSON.parse(`${'['.repeat(60)}${']'.repeat(60)}`),
  JSON.parse('{"__proto__":{"a":1},"constructor":{"prototype":1},"toString":1}'),
  { type: 'json_schema', json_schema: { name: 'x', schema: { $ref: '#' } } },
  { type: 'function', function: { name: '__proto__', parameters: { $ref: '#/$defs/a', $defs: { a: {} } } } },
];

type Path = readonly (string | number)[];

function pathsOf(value: unknown, at: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  const inner = Object.entries(value).flatMap(([key, one]) =>
    pathsOf(one, [...at, Array.isArray(value) ? Number(key) : key]),
  );
  return [...(at.length === 0 ? [] : [at]), ...inner];
}

/** A copy with another value at one place. */
function changed(value: unknown, [key, ...rest]: Path, other: unknown): unknown {
  if (key === undefined) return other;
  const copy: unknown = Array.isArray(value) ? [...value] : { ...(value as object) };
  const fields = copy as Record<string | number, unknown>;
  fields[key] = changed(fields[key], rest, other);
  return copy;
}

/** The good request with one or two places changed, some fields of its neighbours added, or anything. */
function bodies(good: object): fc.Arbitrary<string> {
  const paths = pathsOf(good);
  const value = fc.oneof(fc.constantFrom(...HOSTILE), fc.jsonValue());
  const change = fc.tuple(fc.constantFrom(...paths), value);
  const almost = fc
    .array(change, { minLength: 1, maxLength: 2 })
    .map((changes) => changes.reduce<unknown>((body, [path, other]) => safely(body, path, other), good));
  const fields = Object.assign({}, ...Object.values(GOOD)) as Readonly<Record<string, unknown>>;
  const more = fc
    .dictionary(fc.constantFrom(...Object.keys(fields)), value, { maxKeys: 4 })
    .map((added) => ({ ...good, ...added }));
  const mixed = fc.subarray(Object.entries(fields)).map((entries) => ({ ...good, ...Object.fromEntries(entries) }));
  return fc.oneof(
    { arbitrary: almost.map((body) => JSON.stringify(body)), weight: 4 },
    { arbitrary: fc.oneof(more, mixed).map((body) => JSON.stringify(body)), weight: 2 },
    fc.jsonValue().map((body) => JSON.stringify(body)),
    fc.string(),
  );
}

/** The first change may have taken the place of the second away. */
function safely(body: unknown, path: Path, other: unknown): unknown {
  let at: unknown = body;
  for (const key of path.slice(0, -1)) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return body;
    at = (at as Record<string | number, unknown>)[key];
  }
  return typeof at === 'object' && at !== null ? changed(body, path, other) : body;
}

/** Routes below another one take what that one takes. */
function goodAt(path: string): object {
  const found = Object.keys(GOOD).findLast((route) => path === route || path.startsWith(`${route}/`));
  assert.ok(found !== undefined, `there is no good request for ${path}`);
  return GOOD[found] ?? {};
}

describe('any JSON', function () {
  this.timeout(30_000);
  afterEach(closeApis);

  for (const { path } of ROUTES.filter(({ method }) => method === 'POST'))
    it(`is an answer or the client's fault at ${path}`, async () => {
      const { url, chat, log } = await startApi();
      chat.script = [SERVING, text('hi'), ENDED];
      const good = goodAt(path);
      const post = async (body: string): Promise<{ status: number; said: string }> => {
        const headers = { 'content-type': 'application/json' };
        const response = await fetch(url + path, { method: 'POST', headers, body });
        return { status: response.status, said: await response.text() };
      };
      const first = await post(JSON.stringify(good));
      assert.ok(first.status < 400 || chat.runs.length > 0, `the good request is refused: ${first.said}`);
      await fc.assert(
        fc.asyncProperty(bodies(good), async (body) => {
          const before = chat.runs.length;
          const { status, said } = await post(body);
          assert.ok(status < 500 || (status === 502 && chat.runs.length > before), `${status} ${said.slice(0, 400)}`);
          if (status >= 400) assert.match(JSON.stringify(JSON.parse(said)), /error/);
          if (status >= 400 && status < 500) assert.equal(chat.runs.length, before, said);
          assert.deepEqual(
            log.filter(({ type }) => type === 'internal-error'),
            [],
          );
        }),
        { numRuns: 70 },
      );
    });
});
