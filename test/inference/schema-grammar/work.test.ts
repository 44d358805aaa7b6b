/** Schemas that are small enough for every single limit, and yet would keep the event loop busy. */
import assert from 'node:assert/strict';
import { compileObjectRules, compileSchema } from '../../../src/inference/schema-grammar/compile.ts';
import { Work } from '../../../src/inference/schema-grammar/work.ts';

const range = (length: number): readonly number[] => [...Array(length).keys()];
const properties = (
  length: number,
  schemaOf: (index: number) => unknown,
  prefix = 'p',
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(range(length).map((index) => [`${prefix}${index}`, schemaOf(index)]));
const text = { type: 'string' };

describe('the work of one schema', () => {
  it('ends where it would take long, as a problem', () => {
    for (const schema of [
      { type: 'object', properties: properties(500, () => text, 'n'.repeat(60)), additionalProperties: true },
      { type: 'object', properties: properties(250, () => text, 'n'.repeat(200)), additionalProperties: true },
      {
        type: 'object',
        properties: properties(400, (index) => ({
          type: 'number',
          minimum: -1_234_567.123_4 - index,
          maximum: 98_765_432.1,
        })),
      },
      { type: 'string', pattern: `^${'a?'.repeat(900)}$` },
      { anyOf: range(128).map((index) => ({ type: 'object', properties: properties(60, () => text, `b${index}-`) })) },
    ]) {
      const compiled = compileSchema(schema);
      assert.equal(compiled.type, 'problem', JSON.stringify(schema).slice(0, 80));
      assert.match(compiled.type === 'problem' ? compiled.problem.reason : '', /too complex|more than/);
    }
  });

  it('is enough for what people write', () => {
    const formats = ['date', 'time', 'date-time', 'duration', 'uuid', 'email', 'hostname', 'ipv4', 'ipv6', 'uri'];
    for (const schema of [
      {
        type: 'object',
        properties: properties(formats.length, (index) => ({ type: 'string', format: formats[index] })),
      },
      { type: 'object', properties: properties(500, () => text) },
      { type: 'object', properties: properties(500, () => text), required: Object.keys(properties(500, () => text)) },
      { enum: range(4_000).map((index) => `value number ${index}`) },
      {
        oneOf: range(40).map((index) => ({
          type: 'object',
          properties: { kind: { const: index }, ...properties(10, () => text) },
          required: ['kind'],
        })),
      },
      {
        type: 'object',
        properties: properties(40, (index) => ({ type: 'number', minimum: 0.25, maximum: index + 1 })),
      },
    ])
      assert.equal(compileSchema(schema).type, 'grammar', JSON.stringify(schema).slice(0, 80));
  });

  it('is one sum for all functions of a request, and the same each time', () => {
    const schema = { type: 'object', properties: properties(100, () => text) };
    const outcomes = (): readonly string[] => {
      const work = new Work();
      return range(40).map(() => compileObjectRules(schema, work).type);
    };
    const first = outcomes();
    assert.equal(first[0], 'rules');
    assert.equal(first.at(-1), 'problem');
    assert.deepEqual(outcomes(), first);
  });
});
