import assert from 'node:assert/strict';
import { failure } from '../../src/errors.ts';
import { type ModelId, parseModelId } from '../../src/ids.ts';
import type { AnswerFormat, Job, EngineEvent, Sampling, Task, ToolUse } from '../../src/inference/engine.ts';
import { decodeScore, decodeScoredToken, decodeVector, scoredText } from '../../src/inference/answer-lines.ts';
import { ScriptedEngine, type ScriptedOptions } from '../../src/inference/scripted.ts';
import { encodeToolCall } from '../../src/inference/tool-text.ts';

const GOOSE = modelId('goose:7b');
const GANDER = modelId('gander:70b');

describe('the scripted engine', () => {
  it('gives every node the same answer to the same messages, and another to others', () => {
    const [first, second, other] = [answerOf({}), answerOf({}), answerOf({}, { content: 'something else' })];
    assert.equal(first.text, second.text);
    assert.notEqual(first.text, other.text);
  });

  it('ends by itself after its usual length', () => {
    const { events, text } = answerOf({ tokensPerReply: 3 });
    assert.equal(text.trim().split(' ').length, 3);
    assert.deepEqual(events.at(-1), {
      type: 'ended',
      finishReason: 'stop',
      usage: { promptTokens: 3, completionTokens: 3, cachedTokens: 0 },
    });
  });

  it('follows a script', () => {
    const { text, events } = answerOf({ script: ['Ho', 'nk', '!'] });
    assert.equal(text, 'Honk!');
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'tokens' ? event.tokenIds : [])),
      [0, 1, 2],
    );
  });

  it('refuses a format, because a script says what it says', () => {
    const { events } = answerOf({ script: ['{}'] }, { format: { type: 'json-object' } });
    assert.deepEqual(
      events.map((event) => (event.type === 'failed' ? [event.failure.code, event.failure.param] : event.type)),
      [['unsupported-feature', 'response_format']],
    );
    assert.equal(answerOf({ script: ['Honk'] }, { format: { type: 'text' } }).text, 'Honk');
  });

  it('ends with length where the context is full', () => {
    const { events, text } = answerOf({ contextTokens: 5, script: ['a', 'b', 'c', 'd'] });
    assert.equal(text, 'ab');
    assert.ok(events.some((event) => event.type === 'ended' && event.finishReason === 'length'));
  });

  it('refuses a prompt that leaves no room for an answer, with both numbers', () => {
    for (const { contextTokens, expected } of [
      { contextTokens: 4, expected: 'ended' },
      { contextTokens: 3, expected: 'failed' },
    ]) {
      const last = answerOf({ contextTokens }).events.at(-1);
      assert.equal(last?.type, expected);
      if (last?.type !== 'failed') continue;
      assert.equal(last.failure.code, 'context-length-exceeded');
      assert.match(last.failure.message, /maximum context length is 3 tokens, but the messages have 3 tokens/);
    }
  });

  it('waits for advance() where it is paced by hand', () => {
    const engine = new ScriptedEngine({ models: [GOOSE], pacing: 'manual', script: ['a', 'b', 'c'] });
    const [left, right] = [start(engine), start(engine)];
    left.run.grant(9);
    right.run.grant(1);
    assert.equal(left.text() + right.text(), '');
    assert.equal(engine.advance(), 2);
    assert.deepEqual([left.text(), right.text()], ['a', 'a']);
    assert.equal(engine.advance(9), 2);
    assert.deepEqual([left.text(), right.text()], ['abc', 'a']);
    assert.equal(engine.running, 1);
  });

  it('is busy above its slots, per model', () => {
    const engine = new ScriptedEngine({ models: [GOOSE, GANDER], slots: 1 });
    start(engine);
    assert.deepEqual(start(engine).codes(), ['busy']);
    assert.deepEqual(start(engine, GANDER).codes(), []);
  });

  it('refuses a model that is not ready', () => {
    const engine = new ScriptedEngine({ models: [GOOSE], loadMs: 700 });
    for (const state of ['on-disk', 'loading', 'failed'] as const) {
      engine.setModelState(GOOSE, state);
      assert.equal(engine.models()[0]?.state, state);
      assert.equal(engine.models()[0]?.loadMs, 700);
      assert.deepEqual(start(engine).codes(), ['model-not-ready']);
    }
    engine.setModelState(GOOSE, 'ready');
    assert.deepEqual(start(engine).codes(), []);
  });

  it('fails all that runs when told to crash', () => {
    const engine = new ScriptedEngine({ models: [GOOSE] });
    const runs = [start(engine), start(engine)];
    engine.failAll(failure('engine-failed', 'the power went'));
    assert.deepEqual(
      runs.map((one) => one.codes()),
      [['engine-failed'], ['engine-failed']],
    );
    assert.equal(engine.running, 0);
  });

  it('gives back, on a resume, text that was held back as a possible stop string', () => {
    const script = ['ab', 'cd', 'ef'];
    const resume = { tokens: 2, tokenIds: [0, 1], text: 'ab' };
    assert.equal(answerOf({ script }, { resume, sampling: { stop: ['cdX'] } }).text, 'cdef');
    assert.equal(answerOf({ script }, { resume, sampling: { stop: ['cde'] } }).text, '');
  });
});

describe('the scripted engine at other work', () => {
  const tools = [
    { name: 'weather', parameters: '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}' },
    { name: 'add', parameters: '{}' },
  ];
  const use = (choice: ToolUse['choice'], parallel = true): ToolUse => ({ tools, choice, parallel });

  it('calls what the last message of a user asks for, and what it must call', () => {
    const ulm = encodeToolCall('weather', '{"city":"Ulm {"}');
    const add = encodeToolCall('add', '{}');
    for (const { content = 'x', toolUse, expected } of [
      {
        content: 'call:weather {"city":"Ulm {"} now',
        toolUse: use({ type: 'auto' }),
        expected: `I call weather.\n${ulm}`,
      },
      {
        content: 'call:weather {"city":"Ulm {"}, call:add',
        toolUse: use({ type: 'required' }),
        expected: `${ulm}\n${add}`,
      },
      { content: 'call:weather {"city":"Ulm {"}, call:add', toolUse: use({ type: 'required' }, false), expected: ulm },
      {
        content: 'call:add',
        toolUse: use({ type: 'named', name: 'weather' }),
        expected: encodeToolCall('weather', '{"city":""}'),
      },
      { toolUse: use({ type: 'required' }), expected: encodeToolCall('weather', '{"city":""}') },
    ])
      assert.equal(answerOf({}, { content, toolUse }).text, expected);
    const plain = answerOf({}, { content: 'call:unknown' }).text;
    assert.equal(answerOf({}, { content: 'call:unknown', toolUse: use({ type: 'auto' }) }).text, plain);
  });

  it('answers with the smallest JSON of a schema, or not at all', () => {
    for (const { schema, expected } of [
      { schema: { type: 'object' }, expected: '{}' },
      {
        schema: {
          type: 'object',
          properties: { a: { $ref: '#/$defs/a' }, b: { type: 'integer', minimum: 2.5 }, c: { type: 'null' } },
          required: ['b', 'a'],
          $defs: { a: { type: 'array', items: { enum: ['x'] }, minItems: 2 } },
        },
        expected: '{"a":["x","x"],"b":3}',
      },
      { schema: { anyOf: [{ type: 'string', pattern: 'a' }, { const: null }] }, expected: 'null' },
      { schema: { type: 'string', pattern: 'a' }, expected: undefined },
      { schema: { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }, expected: undefined },
    ]) {
      const format = { type: 'json-schema', name: 'a', schema: JSON.stringify(schema), strict: true } as const;
      const { text, events } = answerOf({}, { format });
      if (expected === undefined) assert.equal(events[0]?.type, 'failed');
      else assert.equal(text, expected);
    }
    assert.equal(answerOf({}, { format: { type: 'json-object' } }).text, '{}');
  });

  it('makes near vectors of texts with common words, each of length one', () => {
    const { lines, events } = linesOf({
      type: 'embedding',
      inputs: ['Red goose, blue sky', 'a blue sky', 'tax forms'],
    });
    const vectors = lines.map((line) => decodeVector(line));
    const [near, far] = [1, 2].map((index) => product(vectors[0]?.vector, vectors[index]?.vector));
    assert.ok(near !== undefined && far !== undefined && near > far + 0.2, `${near} and ${far}`);
    for (const { vector } of vectors.filter((one) => one !== undefined))
      assert.ok(Math.abs(product(vector, vector) - 1) < 1e-6);
    assert.deepEqual(
      vectors.map((one) => one?.tokens),
      [4, 3, 2],
    );
    const end = events.at(-1);
    assert.ok(end?.type === 'ended' && end.usage.promptTokens === 9 && end.usage.completionTokens === 3);
  });

  it('scores documents by the words of the query, and goes on with the missing ones', () => {
    const task: Task = { type: 'rerank', query: 'grey goose', documents: ['the grey goose', 'a goose', 'tax'] };
    const { lines } = linesOf(task);
    assert.deepEqual(
      lines.map((line) => decodeScore(line)?.score),
      [1, 0.5, 0],
    );
    const resume = { tokens: 2, tokenIds: [], text: lines.slice(0, 2).join('') };
    assert.deepEqual(linesOf(task, { resume }).lines, lines.slice(2));
  });

  it('names the input that is empty or too long', () => {
    for (const { inputs, code, message } of [
      { inputs: ['a', ''], code: 'invalid-request', message: /^input\[1\] is empty/ },
      { inputs: ['a', 'b c d e'], code: 'context-length-exceeded', message: /4 tokens, but the input\[1\] have 4/ },
    ]) {
      const [failed] = linesOf({ type: 'embedding', inputs }, {}, 4).events;
      assert.ok(failed?.type === 'failed');
      assert.equal(failed.failure.code, code);
      assert.equal(failed.failure.param, 'input');
      assert.match(failed.failure.message, message);
    }
  });

  it('goes on with a text, another for each', () => {
    const [one, same, other] = ['a', 'a', 'b'].map((prompt) => answerOf({}, { task: { type: 'completion', prompt } }));
    assert.equal(one?.text, same?.text);
    assert.notEqual(one?.text, other?.text);
  });

  it('tells how likely each token was, also behind a resume, and what a bias forbids', () => {
    const sampling = { logprobs: 2, stop: ['gan'] };
    const script = ['a g', 'ag', 'b'];
    const { events, text } = answerOf({ script }, { sampling });
    const lines = text.split('\n').slice(0, -1);
    assert.equal(scoredText(text), 'a gagb');
    assert.deepEqual(
      lines.map((line) => decodeScoredToken(line)?.text),
      ['a ', 'ga', 'gb'],
    );
    assert.deepEqual(
      decodeScoredToken(lines[2] ?? '')?.top.map(({ logprob }) => logprob),
      [-0.5, -1.5],
    );
    assert.equal(events.length, 4);
    const resume = { tokens: 2, tokenIds: [], text: `${lines.slice(0, 2).join('\n')}\n` };
    assert.equal(answerOf({ script }, { sampling, resume }).text, `${lines[2] ?? ''}\n`);
    const words = answerOf({}).text.replaceAll(/\d+ /g, ' ');
    const forbidden = { logitBias: [{ token: 0, bias: -100 }] };
    assert.ok(words.includes('goose'));
    assert.ok(!answerOf({}, { sampling: forbidden }).text.includes('goose'));
  });
});

function linesOf(task: Task, more: JobMore = {}, contextTokens = 64) {
  const { events, text } = answerOf({ contextTokens }, { ...more, task });
  return {
    events,
    lines: text
      .split('\n')
      .slice(0, -1)
      .map((line) => `${line}\n`),
  };
}

function product(left: Float32Array = new Float32Array(), right: Float32Array = new Float32Array()): number {
  return left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
}

interface JobMore {
  readonly content?: string;
  readonly sampling?: Partial<Sampling>;
  readonly resume?: Job['resume'];
  readonly format?: AnswerFormat;
  readonly toolUse?: ToolUse;
  readonly task?: Task;
}

function start(engine: ScriptedEngine, model = GOOSE, more: JobMore = {}) {
  const events: EngineEvent[] = [];
  const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], ...more.sampling };
  const { resume, format, toolUse, task } = more;
  const messages = task === undefined ? [{ role: 'user', content: more.content ?? 'two words' } as const] : [];
  const job = {
    model,
    messages,
    sampling,
    ...(format === undefined ? {} : { format }),
    ...(toolUse === undefined ? {} : { toolUse }),
    ...(task === undefined ? {} : { task }),
    ...(resume === undefined ? {} : { resume }),
  };
  const run = engine.start(job, (event) => events.push(event));
  return {
    run,
    events,
    text: () => events.reduce((text, event) => text + (event.type === 'tokens' ? event.text : ''), ''),
    codes: () => events.flatMap((event) => (event.type === 'failed' ? [event.failure.code] : [])),
  };
}

function answerOf(options: Partial<ScriptedOptions>, more: JobMore = {}) {
  const started = start(new ScriptedEngine({ models: [GOOSE], ...options }), GOOSE, more);
  started.run.grant(1_000);
  return { events: started.events, text: started.text() };
}

function modelId(text: string): ModelId {
  const model = parseModelId(text);
  assert.ok(model !== undefined);
  return model;
}
