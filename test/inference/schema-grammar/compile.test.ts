import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { z } from 'zod';
import { compileAnyObject, compileSchema } from '../../../src/inference/schema-grammar/compile.ts';
import { has } from '../../../src/inference/schema-grammar/characters.ts';
import { Prng } from '../../../src/prng.ts';
import { Gbnf } from './gbnf.ts';
import { fits } from './schema-check.ts';
import { drawnSchemas } from './schemas.ts';

function grammarOf(schema: unknown): Gbnf {
  const compiled = compileSchema(schema);
  assert.equal(compiled.type, 'grammar', JSON.stringify(compiled));
  return new Gbnf(compiled.type === 'grammar' ? compiled.text : '');
}

describe('a schema as a grammar', function () {
  this.timeout(30_000);

  it('lets only values through that fit the schema, and each that fits', () => {
    let compiledCount = 0;
    fc.assert(
      fc.property(
        drawnSchemas.chain(({ schema, value }) =>
          fc.tuple(fc.constant(schema), fc.array(value, { minLength: 3, maxLength: 3 }), fc.string()),
        ),
        ([schema, values, seed]) => {
          const compiled = compileSchema(schema);
          if (compiled.type === 'problem') {
            // Only ambiguous unions are refused among these.
            assert.match(compiled.problem.reason, /differ too late/);
            return;
          }
          compiledCount += 1;
          const grammar = new Gbnf(compiled.text);
          const prng = new Prng(seed);
          for (let index = 0; index < 5; index += 1) {
            const member = grammar.member(prng);
            assert.ok(grammar.accepts(member), `the tests disagree with themselves about ${member}`);
            assert.ok(fits(schema, JSON.parse(member)), `${member} does not fit`);
            assert.ok(has(compiled.starts, member.codePointAt(0) ?? 0), `${member} starts otherwise`);
          }
          for (const value of values) {
            const text = JSON.stringify(value);
            assert.ok(fits(schema, JSON.parse(text)), `the tests drew a wrong value ${text}`);
            assert.ok(grammar.accepts(text), `${text} is not in the language`);
          }
        },
      ),
      { numRuns: 120 },
    );
    assert.ok(compiledCount > 80, `${compiledCount} schemas were compiled`);
  });

  it('follows each keyword to the letter', () => {
    for (const { schema, yes, no } of KEYWORDS) {
      const grammar = grammarOf(schema);
      for (const value of yes) {
        assert.ok(grammar.accepts(JSON.stringify(value)), `${JSON.stringify(value)} in ${JSON.stringify(schema)}`);
        assert.ok(fits(schema, value), `the tests take ${JSON.stringify(value)} for wrong`);
      }
      for (const value of no)
        assert.ok(!grammar.accepts(JSON.stringify(value)), `${JSON.stringify(value)} not in ${JSON.stringify(schema)}`);
    }
  });

  it('brings conjunctions together', () => {
    const base = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
    const both = grammarOf({
      $defs: { base },
      allOf: [{ $ref: '#/$defs/base' }, { properties: { a: { minimum: 5 }, b: { type: 'null' } }, required: ['b'] }],
    });
    for (const [text, isMember] of [
      ['{"a":5,"b":null}', true],
      ['{"a":4,"b":null}', false],
      ['{"a":5}', false],
    ] as const)
      assert.equal(both.accepts(text), isMember, text);
    const beside = grammarOf({
      ...base,
      anyOf: [{ required: ['a'] }, { properties: { c: { const: 1 } }, required: ['c'] }],
    });
    for (const [text, isMember] of [
      ['{"a":1}', true],
      ['{"a":1,"c":1}', true],
      ['{"c":1}', false],
    ] as const)
      assert.equal(beside.accepts(text), isMember, text);
    const closed = grammarOf({ allOf: [base, { properties: { a: true, z: true }, additionalProperties: false }] });
    assert.ok(closed.accepts('{"a":1,"z":[]}'));
    assert.ok(!grammarOf({ allOf: [{ ...base, properties: { a: { type: 'integer' }, b: true } }, { properties: { a: true }, additionalProperties: false }] }).accepts('{"a":1,"b":2}')); // prettier-ignore
  });

  it('takes oneOf only where no value fits two branches', () => {
    for (const [branches, isTaken] of [
      [[{ type: 'string' }, { type: 'null' }, { type: 'array', items: { type: 'string' } }], true],
      [[{ type: 'string' }, { type: ['string', 'null'] }], false],
      [[{ type: 'integer' }, { type: 'number' }], false],
      [
        [
          { type: 'integer', maximum: 3 },
          { type: 'number', exclusiveMinimum: 3 },
        ],
        true,
      ],
      [
        [
          { type: 'integer', maximum: 3 },
          { type: 'number', minimum: 3 },
        ],
        false,
      ],
      [[{ enum: ['a', 'b'] }, { enum: ['c', 1] }], true],
      [[{ enum: ['a', 'b'] }, { enum: ['b'] }], false],
      [[{ enum: ['a'] }, { type: 'string' }], false],
      [[shape('x', { v: { type: 'string' } }), shape('y', { v: { type: 'string' } })], true],
      [[shape('x', {}), shape('x', { v: { type: 'string' } })], false],
      [
        [
          { type: 'object', properties: { a: true }, required: ['a'] },
          { type: 'object', properties: { b: true }, required: ['b'] },
        ],
        true,
      ],
      [
        [
          { type: 'object', properties: { a: true }, required: ['a'] },
          { type: 'object', properties: { b: true } },
        ],
        false,
      ],
      [
        [
          { type: 'object', properties: { a: true }, required: ['a'] },
          { type: 'object', properties: { b: true }, additionalProperties: false },
        ],
        true,
      ],
      [
        [
          { type: 'object', properties: { a: true } },
          { type: 'object', properties: { b: true } },
        ],
        false,
      ],
    ] as const) {
      const compiled = compileSchema({ oneOf: branches });
      assert.equal(compiled.type, isTaken ? 'grammar' : 'problem', JSON.stringify(branches));
    }
  });

  it('names the place of what it cannot follow', () => {
    for (const [schema, pointer, reason] of [
      [{ not: {} }, '/not', /not supported/],
      [{ type: 'array', uniqueItems: true }, '/uniqueItems', /not remember/],
      [{ contains: {} }, '/contains', /not supported/],
      [{ if: {} }, '/if', /not supported/],
      [{ dependentRequired: {} }, '/dependentRequired', /not supported/],
      [{ type: 'integer', multipleOf: 3 }, '/multipleOf', /0\.01/],
      [{ type: 'number', minimum: '3' }, '/minimum', /must be a number/],
      [{ type: 'number', minimum: 1e300 }, '', /too many digits/],
      [{ type: 'text' }, '/type', /must be one or several/],
      [{ type: [] }, '/type', /must be one or several/],
      [{ enum: 'a' }, '/enum', /must be an array/],
      [{ enum: [JSON.parse('1e999')] }, '/enum', /too large/],
      [{ anyOf: [] }, '/anyOf', /not empty/],
      [{ type: 'string', format: 'iban' }, '/format', /is none of date/],
      [{ type: 'string', pattern: '(?<=a)b' }, '/pattern', /lookbehind/],
      [{ type: 'string', pattern: 'a{2' }, '/pattern', /begins no count/],
      [{ type: 'string', pattern: '\\p{L}' }, '/pattern', /\\p/],
      [{ type: 'string', minLength: -1 }, '/minLength', /whole number/],
      [{ type: 'string', minLength: 70_000 }, '/minLength', /above/],
      [{ type: 'array', minItems: 3_000 }, '', /2000/],
      [{ type: 'string', enum: ['a'], minLength: 2 }, '', /beside it/],
      [{ $ref: '#/$defs/none' }, '/$ref', /must name a place/],
      [{ $ref: 'https://example.com/schema' }, '/$ref', /must name a place/],
      [{ type: 'object', properties: [] }, '/properties', /must be an object/],
      [{ type: 'object', required: [1] }, '/required', /names/],
      [{ type: 'object', minProperties: 3 }, '/minProperties', /only supported/],
      [{ type: 'object', properties: { a: true, b: true }, maxProperties: 1 }, '/maxProperties', /only supported/],
      [
        { type: 'object', properties: { a: true }, patternProperties: { b: true } },
        '/patternProperties/b',
        /only supported alone/,
      ],
      [7, '', /must be an object or a boolean/],
    ] as const) {
      const compiled = compileSchema(within(schema));
      assert.equal(compiled.type, 'problem', JSON.stringify(schema));
      if (compiled.type !== 'problem') continue;
      assert.equal(compiled.problem.pointer, `#/properties/a~1b~0${pointer}`);
      assert.match(compiled.problem.reason, reason);
    }
  });

  it('refuses what nothing fits, and what has no end', () => {
    for (const [schema, reason] of [
      [false, /fits no value/],
      [{ type: 'integer', minimum: 3, exclusiveMaximum: 3 }, /fits no value/],
      [{ type: 'string', minLength: 3, maxLength: 2 }, /fits no value/],
      [{ type: 'string', pattern: '^a$', minLength: 2 }, /fits no value/],
      [{ type: 'string', enum: [1] }, /fits no value/],
      [{ allOf: [{ type: 'string' }, { type: 'null' }] }, /fits no value/],
      [{ type: 'object', required: ['a'], additionalProperties: false }, /fits no value/],
      [{ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }, /needs itself/],
      [{ $ref: '#' }, /nothing in between/],
      [{ anyOf: [{ $ref: '#' }, { type: 'null' }] }, /nothing in between/],
      [{ $defs: { a: { allOf: [{ $ref: '#/$defs/a' }] } }, $ref: '#/$defs/a' }, /nothing in between/],
    ] as const) {
      const compiled = compileSchema(schema);
      assert.equal(compiled.type, 'problem', JSON.stringify(schema));
      if (compiled.type === 'problem') assert.match(compiled.problem.reason, reason);
    }
  });

  it('gives hostile schemas a bounded answer', () => {
    for (const [schema, reason] of [
      [JSON.parse(`${'{"items":'.repeat(9_000)}{}${'}'.repeat(9_000)}`), /nested more than 64/],
      [
        chain((next) => ({
          anyOf: [
            { type: 'array', items: next },
            { type: 'array', items: next, maxItems: 3 },
          ],
        })),
        /differ too late/,
      ],
      [{ type: 'array', items: { anyOf: [{ $ref: '#' }, { $ref: '#', maxItems: 2 }] } }, /differ too late/],
      [{ type: 'string', pattern: '(.*a.{14}){3}' }, /too complex/],
      [{ type: 'string', pattern: `^${'a?'.repeat(900)}$` }, /too complex/],
      [{ type: 'string', pattern: 'x'.repeat(3_000) }, /longer than/],
      [{ type: 'string', pattern: '(('.repeat(40) }, /groups in groups/],
      [{ enum: range(5_000) }, /more than 4096/],
      [{ anyOf: range(200).map((index) => ({ const: index })) }, /more than 128 branches/],
      [
        { type: 'object', properties: Object.fromEntries(range(600).map((index) => [`p${index}`, true])) },
        /more than 512/,
      ],
      [
        { allOf: range(30).map((index) => ({ anyOf: [{ required: [`a${index}`] }, { required: [`b${index}`] }] })) },
        /more than/,
      ],
      [{ allOf: range(80).map((index) => ({ required: [`${index}`] })) }, /more than 64/],
    ] as const) {
      const compiled = compileSchema(schema);
      assert.equal(compiled.type, 'problem', String(reason));
      if (compiled.type === 'problem') assert.match(compiled.problem.reason, reason);
    }
    // The same, where nothing is ambiguous, is no problem.
    assert.ok(grammarOf(chain((next) => ({ anyOf: [next, next] }))).accepts('null'));
    assert.ok(grammarOf({ type: 'string', pattern: '((a{0,1000}){0,1000}){0,1000}' }).accepts('"aaa"'));
  });

  it('never throws, whatever JSON is called a schema', () => {
    const words = fc.constantFrom('type', 'properties', 'required', 'items', 'prefixItems', 'anyOf', 'oneOf', 'allOf', '$ref', 'enum', 'const', 'pattern', 'format', 'minimum', 'maximum', 'minItems', 'maxLength', 'additionalProperties', 'propertyNames', 'patternProperties', 'not', '$defs'); // prettier-ignore
    const values = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('object', 'array', 'string', '#', '#/items', '#/$defs/a', '^a+$', 'date', 0, 3, -1.5),
    );
    const { schema } = fc.letrec((tie) => ({
      schema: fc.oneof({ maxDepth: 4 }, values, fc.dictionary(words, fc.oneof(values, tie('schema'), fc.array(tie('schema'), { maxLength: 3 }), fc.dictionary(fc.string({ maxLength: 3 }), tie('schema'))))), // prettier-ignore
    }));
    fc.assert(
      fc.property(schema, fc.string(), (drawn, seed) => {
        const compiled = compileSchema(drawn);
        if (compiled.type === 'grammar') JSON.parse(new Gbnf(compiled.text).member(new Prng(seed)));
      }),
      { numRuns: 500 },
    );
  });

  it('writes members in the order of the schema, one form of each string, little white space, and the same each time', () => {
    const schema = { type: 'object', properties: { b: { type: 'string' }, a: { type: 'null' } }, required: ['a', 'b'] };
    const grammar = grammarOf(schema);
    for (const [text, isMember] of [
      ['{"b":"x","a":null}', true],
      [' {"b": "x", "a": null}', true],
      ['{\n  "b": "x",\n  "a": null\n}', true],
      ['{"a":null,"b":"x"}', false],
      ['{"b":"\\u0041","a":null}', false],
      ['{"b":"\\u0001\\n\\"","a":null}', true],
      ['{"b":"x",   "a":null}', false],
      ['{"b":"x","a":null} ', false],
      ['{"b":"x","a":null,"c":1}', false],
    ] as const)
      assert.equal(grammar.accepts(text), isMember, text);
    assert.deepEqual(compileSchema(schema), compileSchema(structuredClone(schema)));
  });

  it('has a grammar for any object', () => {
    const compiled = compileAnyObject();
    assert.ok(compiled.type === 'grammar');
    const grammar = new Gbnf(compiled.text);
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => grammar.accepts(JSON.stringify(value))),
    );
    for (const text of ['[]', '1', '', '{', '{} x', '{"a":}', '{a:1}']) assert.ok(!grammar.accepts(text), text);
  });

  it('follows what a schema library writes', () => {
    const user = z.object({
      id: z.uuid(),
      email: z.email(),
      age: z.int().min(0).max(150).optional(),
      role: z.enum(['admin', 'user']),
      tags: z.array(z.string()).max(3),
      when: z.iso.datetime(),
      sizes: z.record(z.string(), z.number()),
      place: z.tuple([z.number(), z.number()]),
      shape: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('circle'), radius: z.number().positive() }),
        z.object({ kind: z.literal('text'), text: z.string().nullable() }),
      ]),
      either: z.union([z.string(), z.number(), z.null()]),
      score: z.number().min(0).max(1),
    });
    const grammar = grammarOf(z.toJSONSchema(user));
    const prng = new Prng('library');
    for (let index = 0; index < 20; index += 1) user.parse(JSON.parse(grammar.member(prng)));
  });
});

function shape(kind: string, more: object): object {
  return { type: 'object', properties: { kind: { const: kind }, ...more }, required: ['kind'] };
}

function within(schema: unknown): object {
  return { type: 'object', properties: { 'a/b~': schema }, required: ['a/b~'] };
}

function range(count: number): readonly number[] {
  return [...Array(count).keys()];
}

/** Forty definitions, each of which names the next. */
function chain(branch: (next: object) => unknown): object {
  const links = range(40).map((index) => [`d${index}`, branch({ $ref: `#/$defs/d${index + 1}` })] as const);
  return { $defs: { ...Object.fromEntries(links), d40: { type: 'null' } }, $ref: '#/$defs/d0' };
}

interface Keyword {
  readonly schema: unknown;
  readonly yes: readonly unknown[];
  readonly no: readonly unknown[];
}

const KEYWORDS: readonly Keyword[] = [
  { schema: { type: 'string', minLength: 2, maxLength: 3 }, yes: ['ab', '🦢é\n'], no: ['a', 'abcd', 1] },
  { schema: { type: 'string', minLength: 2_500, maxLength: 6_500 }, yes: ['x'.repeat(2_500), 'x'.repeat(4_711), 'x'.repeat(6_500)], no: ['x'.repeat(2_499), 'x'.repeat(6_501)] }, // prettier-ignore
  { schema: { type: 'string', pattern: 'b+', maxLength: 3 }, yes: ['b', 'abc', 'bbb'], no: ['a', 'abbb'] },
  { schema: { type: 'string', pattern: '^[a-z]+$', format: 'hostname' }, yes: ['localhost'], no: ['a.b', 'A'] },
  { schema: { type: 'string', format: 'date' }, yes: ['2024-02-29', '2000-02-29', '1999-12-31'], no: ['2023-02-29', '1900-02-29', '2024-04-31', '2024-13-01'] }, // prettier-ignore
  { schema: { type: 'string', format: 'ipv4' }, yes: ['255.0.10.249'], no: ['256.0.0.1', '1.2.3', '01.2.3.4'] },
  {
    schema: { type: 'string', format: 'ipv6' },
    yes: ['::', '1::8', '::2:3'],
    no: ['1::2::3', ':', '1:2:3:4:5:6:7:8:9'],
  },
  { schema: { type: 'integer', minimum: -12, exclusiveMaximum: 105 }, yes: [-12, -9, 0, 9, 10, 99, 100, 104], no: [-13, 105, 110, 1_000, 1.5] }, // prettier-ignore
  { schema: { type: 'integer', minimum: 0.5, maximum: 2.5 }, yes: [1, 2], no: [0, 3] },
  { schema: { type: 'integer', maximum: -7 }, yes: [-7, -10, -123_456], no: [-6, 0, 7] },
  { schema: { type: 'number', minimum: 0, maximum: 1 }, yes: [0, 1, 0.25, 0.999], no: [-0.1, 1.01, 2] },
  {
    schema: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 0.5 },
    yes: [0.001, 0.499],
    no: [0, 0.5, 0.51, 1],
  },
  { schema: { type: 'number', minimum: -1.25, maximum: -0.5 }, yes: [-1.25, -1.2, -1, -0.5], no: [-1.26, -0.49, 0, 1] },
  { schema: { type: 'number', minimum: 19.95, exclusiveMaximum: 120.5 }, yes: [19.95, 19.96, 20, 99.9, 120.499], no: [19.9, 120.5, 121, 9] }, // prettier-ignore
  { schema: { type: 'number', multipleOf: 0.01 }, yes: [1, 1.5, -3.25], no: [1.234, 1e300] },
  { schema: { type: 'number', multipleOf: 1 }, yes: [1, -3], no: [1.5] },
  { schema: { type: ['string', 'null'] }, yes: ['', null], no: [1, true] },
  { schema: { type: 'boolean', nullable: true }, yes: [true, false, null], no: ['true'] },
  {
    schema: { enum: ['a', 'ab', 1, null, { x: [1] }] },
    yes: ['a', 'ab', 1, null, { x: [1] }],
    no: ['b', '', 2, { x: [] }],
  },
  { schema: { type: ['string', 'integer'], enum: ['a', 1, null, 1.5] }, yes: ['a', 1], no: [null, 1.5] },
  { schema: { const: 'é"\n' }, yes: ['é"\n'], no: ['é'] },
  { schema: { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 2 }, yes: [[1], [1, 2]], no: [[], [1, 2, 3], ['a']] }, // prettier-ignore
  { schema: { type: 'array', prefixItems: [{ type: 'null' }, { type: 'boolean' }] }, yes: [[null, true]], no: [[null], [null, true, 1]] }, // prettier-ignore
  { schema: { type: 'array', prefixItems: [{ type: 'null' }, { type: 'boolean' }], minItems: 0, items: { type: 'integer' } }, yes: [[], [null], [null, true], [null, true, 1, 2]], no: [[true], [null, 1]] }, // prettier-ignore
  { schema: { type: 'array', items: false }, yes: [[]], no: [[1]] },
  { schema: { type: 'object', properties: { a: { type: 'null' }, b: { type: 'null' }, c: { type: 'null' } }, required: ['b'] }, yes: [{ b: null }, { a: null, b: null }, { b: null, c: null }, { a: null, b: null, c: null }], no: [{}, { a: null }, { b: null, d: 1 }] }, // prettier-ignore
  { schema: { type: 'object', properties: { a: { type: 'null' }, b: { type: 'null' } }, minProperties: 1 }, yes: [{ a: null }, { b: null }, { a: null, b: null }], no: [{}] }, // prettier-ignore
  {
    schema: { type: 'object', properties: { a: true, b: true }, minProperties: 2 },
    yes: [{ a: 1, b: 2 }],
    no: [{ a: 1 }],
  },
  { schema: { type: 'object', additionalProperties: { type: 'integer' }, minProperties: 1, maxProperties: 2 }, yes: [{ x: 1 }, { x: 1, y: 2 }], no: [{}, { x: 'a' }, { x: 1, y: 2, z: 3 }] }, // prettier-ignore
  { schema: { type: 'object', properties: { a: { type: 'null' } }, additionalProperties: { type: 'integer' } }, yes: [{}, { a: null, ab: 1 }, { '': 1 }, { b: 1, 'a"': 2 }], no: [{ a: 1 }, { b: null }] }, // prettier-ignore
  { schema: { type: 'object', propertyNames: { pattern: '^[a-c]$' }, additionalProperties: { type: 'null' } }, yes: [{ a: null }, {}], no: [{ d: null }] }, // prettier-ignore
  { schema: { type: 'object', propertyNames: { enum: ['x', 'y'] }, additionalProperties: { type: 'null' }, required: ['y'] }, yes: [{ y: null }, { x: null, y: null }], no: [{ x: null }, { y: null, z: null }] }, // prettier-ignore
  { schema: { type: 'object', required: ['z'] }, yes: [{ z: 1 }, { z: 1, a: 2 }], no: [{}, { a: 1 }] },
  { schema: { type: 'object', unevaluatedProperties: false }, yes: [{}], no: [{ a: 1 }] },
  { schema: { properties: { a: { type: 'null' } } }, yes: [{}, { a: null }], no: [{ a: 1 }] },
  {
    schema: { title: 'x', description: 'y', default: 1, 'x-order': 3, $comment: 'z' },
    yes: [1, 'a', [], {}, null],
    no: [],
  },
];
