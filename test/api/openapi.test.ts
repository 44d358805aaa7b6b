/** The description of the API: that it is the committed one, names every route, and is YAML for what it says. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { ERRORS } from '../../src/errors.ts';
import { openapiDocument, openapiText } from '../../src/api/openapi.ts';
import { ROUTES } from '../../src/api/routes.ts';
import { yamlText } from '../../src/api/yaml-text.ts';

type Json = ReturnType<typeof JSON.parse>;

async function fileOf(path: string): Promise<string> {
  return readFile(new URL(`../../${path}`, import.meta.url), 'utf8');
}

describe('the description of the API', () => {
  const document: Json = openapiDocument('1.2.3');

  it('is the one in docs/openapi.yaml: else run `npm run openapi`', async () => {
    const { version } = JSON.parse(await fileOf('package.json')) as { version: string };
    assert.equal(await fileOf('docs/openapi.yaml'), openapiText(version));
  });

  it('has every route of the table, with its scope, and no other', () => {
    const described = Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
      Object.entries<Json>(methods).map(([method, { 'x-scope': scope }]) => `${method.toUpperCase()} ${path} ${scope}`),
    );
    const routes = ROUTES.map(({ method, path, scope }) => `${method} ${path} ${scope}`);
    assert.deepEqual(described.toSorted(), routes.toSorted());
    const ids = Object.values<Json>(document.paths).flatMap((methods) =>
      Object.values<Json>(methods).map(({ operationId }) => operationId),
    );
    assert.equal(new Set(ids).size, ids.length);
  });

  it('says for each route what it takes, how it fails, and whether it needs a key', () => {
    for (const { method, path, scope } of ROUTES) {
      const { security, requestBody, responses } = document.paths[path][method.toLowerCase()];
      assert.equal(security.length > 0, scope !== 'open', path);
      assert.equal(requestBody !== undefined, method === 'POST', path);
      assert.ok(responses.default.$ref, path);
      if (requestBody === undefined) continue;
      const { schema } = requestBody.content['application/json'];
      assert.ok(Object.keys(schema.properties).length > 0, path);
    }
  });

  it('names fields of the schemas with their bounds, and those that are read step by step', () => {
    const { schema } = document.paths['/v1/chat/completions'].post.requestBody.content['application/json'];
    assert.deepEqual(schema.properties.temperature, { type: ['number', 'null'], minimum: 0, maximum: 2 });
    assert.deepEqual(schema.properties.top_k, { type: ['integer', 'null'], minimum: -1 });
    assert.deepEqual(schema.properties.messages.items.properties.content, { $ref: '#/components/schemas/Content' });
    assert.ok(schema.properties.messages.items.properties.role.enum.includes('developer'));
    assert.deepEqual(schema.required, ['model', 'messages']);
  });

  it('has only references to what is there, and every code of an error', () => {
    const text = JSON.stringify(document);
    for (const [, pointer = ''] of text.matchAll(/"\$ref":"#\/([^"]*)"/g)) {
      let value: Json = document;
      for (const name of pointer.split('/')) value = value?.[name];
      assert.ok(value, pointer);
    }
    const { code } = document.components.schemas.Error.properties.error.properties;
    for (const { apiCode } of Object.values(ERRORS)) assert.ok(code.enum.includes(apiCode), apiCode);
  });
});

describe('JSON as YAML', () => {
  const cases: readonly (readonly [value: unknown, text: string])[] = [
    ['plain words', 'plain words\n'],
    ['ends with a space ', '"ends with a space "\n'],
    ['No', '"No"\n'],
    ['null', '"null"\n'],
    ['1.5', '"1.5"\n'],
    ['a: b', '"a: b"\n'],
    ['a #b', '"a #b"\n'],
    ['- a', '"- a"\n'],
    ['', '""\n'],
    ['two\nlines', '"two\\nlines"\n'],
    [1.5, '1.5\n'],
    [null, 'null\n'],
    [{}, '{}\n'],
    [[], '[]\n'],
    [{ a: undefined }, '{}\n'],
    [[1, 'a', true, 'true', null], '[1, a, true, "true", null]\n'],
    [{ '/a/{id}': { 200: 'x', $ref: '#/x' } }, '/a/{id}:\n  "200": x\n  $ref: "#/x"\n'],
    [{ a: [{ b: 1, c: { d: 2 } }, {}] }, 'a:\n- b: 1\n  c:\n    d: 2\n- {}\n'],
    [{ a: [[{ b: 1 }], [2]] }, 'a:\n- - b: 1\n- [2]\n'],
    [{ y: { on: 1 } }, '"y":\n  "on": 1\n'],
  ];
  for (const [value, text] of cases)
    it(`is ${JSON.stringify(text)} for ${JSON.stringify(value)}`, () => {
      assert.equal(yamlText(value), text);
    });
});
