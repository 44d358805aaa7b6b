/** Answers in a format, through the real engine: the sampler obeys the grammar, also where another engine began. */
import assert from 'node:assert/strict';
import type { AnswerFormat, Job, Resume, Sampling } from '../../../src/inference/engine.ts';
import { LlamaEngine } from '../../../src/inference/llama/llama-engine.io.ts';
import { Recording } from '../../contract/engine.contract.ts';
import { fits } from '../schema-grammar/schema-check.ts';
import { type Hello, openHello } from './hello.ts';

const GREEDY: Sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };

const PERSON = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 2, maxLength: 5 },
    kind: { enum: ['goose', 'swan', 'größer 🦢'] },
    age: { type: 'integer', minimum: 1, maximum: 130 },
    score: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
    tags: { type: 'array', items: { type: 'string', pattern: '^[a-z]{1,3}$' }, maxItems: 2 },
    next: { anyOf: [{ type: 'null' }, { type: 'boolean' }] },
  },
  required: ['name', 'kind', 'age', 'score', 'tags', 'next'],
  additionalProperties: false,
};

describe('the llama engine with a format', function () {
  this.timeout(30_000);
  let hello: Hello;
  let engine: LlamaEngine;

  before(async () => {
    hello = await openHello();
    engine = new LlamaEngine({ models: [hello.stored], slots: 2, maxThreads: 1, contextTokens: 2_048 });
    await engine.ready(hello.stored.model);
  });
  after(async () => {
    await engine.close();
    await hello.remove();
  });

  function job(format: AnswerFormat, more: { sampling?: Partial<Sampling>; resume?: Resume } = {}): Job {
    return {
      model: hello.stored.model,
      messages: [{ role: 'user', content: 'x' }],
      sampling: { ...GREEDY, ...more.sampling },
      format,
      ...(more.resume === undefined ? {} : { resume: more.resume }),
    };
  }

  it('answers with a value of the schema and ends by itself, however hot', async () => {
    for (const [temperature, seed] of [
      [0, 1],
      [1.5, 2],
      [2, 3],
    ] as const) {
      const run = new Recording(engine, job(schemaFormat(PERSON), { sampling: { temperature, seed } }), 1_000);
      const ended = await run.ended();
      assert.equal(ended.finishReason, 'stop', run.text);
      assert.ok(fits(PERSON, JSON.parse(run.text)), run.text);
    }
  });

  it('answers with any object where only JSON was asked for, or says that the length ended it', async () => {
    const run = new Recording(
      engine,
      job({ type: 'json-object' }, { sampling: { temperature: 1, seed: 7, maxTokens: 300 } }),
      1_000,
    );
    const ended = await run.ended();
    if (ended.finishReason === 'stop') assert.equal(typeof JSON.parse(run.text), 'object');
    assert.match(run.text, /^ ?\{/);
  });

  it('goes on with what another engine began, from any token, by ids or by text', async () => {
    const whole = new Recording(engine, job(schemaFormat(PERSON)), 1_000);
    await whole.ended();
    const pieces = whole.events.flatMap((event) => (event.type === 'tokens' ? [event] : []));
    const ids = pieces.flatMap(({ tokenIds }) => tokenIds);
    let resumed = 0;
    for (let tokens = 1; tokens <= ids.length; tokens += 4) {
      const text = textBefore(pieces, tokens);
      for (const tokenIds of text === undefined ? [] : [ids.slice(0, tokens), []]) {
        const rest = new Recording(
          engine,
          job(schemaFormat(PERSON), { resume: { tokens, tokenIds, text: text ?? '' } }),
          1_000,
        );
        resumed += 1;
        assert.equal((await rest.ended()).finishReason, 'stop');
        const answer = text + rest.text;
        assert.ok(fits(PERSON, JSON.parse(answer)), `${answer}, resumed at ${tokens} with ${tokenIds.length} ids`);
      }
    }
    assert.ok(resumed >= 6, `only ${resumed} messages to go on from`);
  });

  it('goes on in the middle of a character', async () => {
    const goose = schemaFormat({ const: '🦢 ü' });
    const bytes = [...Buffer.from('"🦢 ü"')].map((byte) => byte + FIRST_BYTE);
    for (const tokens of [1, 2, 3, 4, 5]) {
      const text = tokens < 5 ? '"' : '"🦢';
      const rest = new Recording(
        engine,
        job(goose, { resume: { tokens, tokenIds: bytes.slice(0, tokens), text } }),
        100,
      );
      await rest.ended();
      assert.equal(text + rest.text, '"🦢 ü"', `resumed at ${tokens}`);
    }
  });

  it('never puts a control token into a string, hidden as its name would be', async () => {
    const wide = schemaFormat({ type: 'string', minLength: 40, maxLength: 60 });
    for (let seed = 1; seed <= 12; seed += 1) {
      const run = new Recording(engine, job(wide, { sampling: { temperature: 100, topK: 0, seed } }), 1_000);
      await run.ended();
      const ids = run.events.flatMap((event) => (event.type === 'tokens' ? event.tokenIds : []));
      assert.ok(
        ids.every((id) => id > 3),
        `seed ${seed}`,
      );
      assert.equal(typeof JSON.parse(run.text), 'string');
    }
  });

  it('refuses to go on with a text that leaves the format, and serves the next', async () => {
    for (const text of ['Sure! Here is', '{"name": 1', '{}']) {
      const run = new Recording(engine, job(schemaFormat(PERSON), { resume: { tokens: 3, tokenIds: [], text } }), 10);
      const { failure } = await run.failed();
      assert.equal(failure.code, 'engine-failed');
      assert.match(failure.message, /leaves the format/);
    }
    const end = await new Recording(
      engine,
      job(schemaFormat({ type: 'null' }), { resume: { tokens: 1, tokenIds: [2], text: '' } }),
      10,
    ).failed();
    assert.match(end.failure.message, /is over/);
    const next = new Recording(engine, job(schemaFormat({ type: 'null' })), 10);
    await next.ended();
    assert.equal(next.text.trim(), 'null');
  });

  it('refuses a schema that no grammar can follow, with its place, before anything runs', async () => {
    for (const [schema, message] of [
      [
        { type: 'object', properties: { a: { not: {} } } },
        'response_format: the schema at #/properties/a/not is not supported',
      ],
      [{ type: 'string', pattern: '(' }, 'response_format: the schema at #/pattern has a "(" without its ")"'],
    ] as const) {
      const { failure } = await new Recording(engine, job(schemaFormat(schema)), 10).failed();
      assert.deepEqual(failure, { code: 'invalid-request', message, param: 'response_format' });
    }
    const { failure } = await new Recording(
      engine,
      job({ type: 'json-schema', name: 'a', schema: '{', strict: true }),
      10,
    ).failed();
    assert.equal(failure.message, 'response_format: the schema is not valid JSON');
  });

  it('reads every kind of grammar that schemas become', async () => {
    const schemas: readonly [unknown, RegExp][] = [
      [{ type: 'string', maxLength: 5_000, minLength: 1 }, /^ ?"/],
      [{ type: 'string', format: 'date-time' }, /^ ?"\d{4}-\d\d-\d\dT/],
      [{ type: 'string', format: 'email' }, /^ ?"\S/],
      [{ type: 'number' }, /^ ?-?\d/],
      [
        { type: 'array', items: { type: 'integer', minimum: -5, maximum: 1_000 }, minItems: 2, maxItems: 2_000 },
        /^ ?\[/,
      ],
      [{ type: 'object', additionalProperties: { type: 'null' } }, /^ ?\{/],
      [{ type: 'object', properties: { a: { $ref: '#' }, b: { type: 'boolean' } } }, /^ ?\{/],
      [
        {
          type: 'object',
          properties: { é: { const: '"\\\n\u0001\u2028' } },
          required: ['é'],
          additionalProperties: true,
        },
        /^ ?\{\s*"é": ?\n?/,
      ],
      [{}, /^ ?["{[\dtfn-]/],
    ];
    for (const [schema, start] of schemas) {
      const run = new Recording(
        engine,
        job(schemaFormat(schema), { sampling: { maxTokens: 24, temperature: 1, seed: 5 } }),
        100,
      );
      const ended = await run.ended();
      assert.match(run.text, start);
      if (ended.finishReason === 'stop') assert.ok(fits(schema, JSON.parse(run.text)), run.text);
    }
  });
});

function schemaFormat(schema: unknown): AnswerFormat {
  return { type: 'json-schema', name: 'answer', schema: JSON.stringify(schema), strict: true };
}

/** The id of the first byte token of the default model. Source: default-model.ts. */
const FIRST_BYTE = 5;

type Piece = { readonly position: number; readonly tokens: number; readonly text: string };

/** The text that left with the first tokens; undefined where they are no whole message. */
function textBefore(pieces: readonly Piece[], tokens: number): string | undefined {
  const before = pieces.filter(({ position }) => position < tokens);
  const last = before.at(-1);
  if (last === undefined || last.position + last.tokens !== tokens) return undefined;
  return before.map(({ text }) => text).join('');
}
