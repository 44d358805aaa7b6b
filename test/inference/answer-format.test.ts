import assert from 'node:assert/strict';
import { Grammars } from '../../src/inference/answer-format.ts';
import type { AnswerFormat } from '../../src/inference/engine.ts';
import { LIMITS } from '../../src/params.ts';

function schemaFormat(schema: string): AnswerFormat {
  return { type: 'json-schema', name: 'a', schema, strict: true };
}

function constant(value: number): AnswerFormat {
  return schemaFormat(`{"const":${value}}`);
}

describe('the grammar of an answer', () => {
  it('is none for text, and begins with a brace for an object', () => {
    const grammars = new Grammars();
    assert.equal(grammars.of(undefined).type, 'free');
    assert.equal(grammars.of({ type: 'text' }).type, 'free');
    const object = grammars.of({ type: 'json-object' });
    assert.ok(object.type === 'grammar');
    assert.deepEqual(object.starts, [
      [0x20, 0x20],
      [0x7b, 0x7b],
    ]);
  });

  it('is refused for a schema that is no JSON, too large or not to be followed', () => {
    const grammars = new Grammars();
    const large = JSON.stringify({ const: 'x'.repeat(LIMITS.schemaBytes) });
    for (const [schema, message] of [
      ['{', 'response_format: the schema is not valid JSON'],
      ['{"not":{}}', 'response_format: the schema at #/not is not supported'],
      [large, 'response_format: the schema is larger than 65536 bytes'],
    ] as const)
      assert.deepEqual(grammars.of(schemaFormat(schema)), {
        type: 'refused',
        failure: { code: 'invalid-request', message, param: 'response_format' },
      });
  });

  it('is remembered while it is in use, among the last sixteen', () => {
    const grammars = new Grammars();
    const first = grammars.of(constant(0));
    for (let index = 1; index < 40; index += 1) {
      grammars.of(constant(index));
      assert.equal(grammars.of(constant(0)), first, `after ${index} others`);
    }
    for (let index = 40; index < 56; index += 1) grammars.of(constant(index));
    assert.notEqual(grammars.of(constant(0)), first);
    assert.deepEqual(grammars.of(constant(0)), first);
  });
});
