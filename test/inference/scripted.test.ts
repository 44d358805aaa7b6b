import assert from 'node:assert/strict';
import { failure } from '../../src/errors.ts';
import { type ModelId, parseModelId } from '../../src/ids.ts';
import type { AnswerFormat, Job, EngineEvent, Sampling } from '../../src/inference/engine.ts';
import { ScriptedEngine, type ScriptedOptions } from '../../src/inference/scripted.ts';

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

interface JobMore {
  readonly content?: string;
  readonly sampling?: Partial<Sampling>;
  readonly resume?: Job['resume'];
  readonly format?: AnswerFormat;
}

function start(engine: ScriptedEngine, model = GOOSE, more: JobMore = {}) {
  const events: EngineEvent[] = [];
  const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], ...more.sampling };
  const messages = [{ role: 'user', content: more.content ?? 'two words' } as const];
  const { resume, format } = more;
  const job = {
    model,
    messages,
    sampling,
    ...(format === undefined ? {} : { format }),
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
