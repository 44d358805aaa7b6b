import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { jsonExcess } from '../src/json-depth.ts';
import { parseBody } from '../src/api/request-body.ts';
import { LIMITS } from '../src/params.ts';

function nested(depth: number): string {
  return `{"model":"tiny","messages":[{"role":"user","content":"hello"}],"x":${'['.repeat(depth)}${']'.repeat(depth)}}`;
}

function depthOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
}

function partsOf(json: string): number {
  let parts = 0;
  while (jsonExcess(json, { depthMax: 64, partsMax: parts }) !== undefined) parts += 1;
  return parts;
}

function tools(length: number): string {
  return JSON.stringify({ model: 'tiny', tools: Array(length).fill(0) });
}

describe('a body of JSON', () => {
  it('is refused when it is nested too deeply, before it is built', () => {
    assert.equal(parseBody(nested(LIMITS.jsonDepth - 1)).type, 'body');
    assert.equal(parseBody(nested(LIMITS.jsonDepth)).type, 'refused');
    assert.equal(parseBody('['.repeat(5_000_000)).type, 'refused');
    const inText = JSON.stringify({ content: `${'['.repeat(500)}"{{` });
    assert.equal(parseBody(inText).type, 'body', 'brackets in a text nest nothing');
  });

  it('has the depth that a parser gives it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (json) => {
        const depth = depthOf(JSON.parse(json));
        assert.equal(jsonExcess(json, { depthMax: depth, partsMax: Infinity }), undefined);
        if (depth > 0) assert.equal(jsonExcess(json, { depthMax: depth - 1, partsMax: Infinity }), 'depthMax');
      }),
    );
  });

  it('is counted in parts before it is parsed, whatever its strings hold', () => {
    for (const [json, parts] of [
      ['1', 0],
      ['[]', 1],
      ['[1,2,3]', 3],
      ['{"a":1,"b":{"c":2,"d":3}}', 4],
      [String.raw`["a,b,[{\",","\\"]`, 2],
    ] as const)
      assert.equal(partsOf(json), parts, json);
    assert.equal(parseBody(tools(65_000)).type, 'body');
    assert.equal(parseBody(tools(66_000)).type, 'refused');
  });
});
