import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { utf8 } from '../../src/bytes.ts';
import { parseModelId, parseRequestId } from '../../src/ids.ts';
import type { AnswerFormat, Job } from '../../src/inference/engine.ts';
import { decodeOpen, encodeJob, encodeOpen, promptBytesOf, promptHeadOf } from '../../src/inference/job-codec.ts';
import { INFERENCE, LIMITS } from '../../src/params.ts';

const requestId = parseRequestId('0123456789abcdef0123456789abcdef');
const model = parseModelId('flock-7b');
assert.ok(requestId !== undefined && model !== undefined);

const JOB: Job = {
  model,
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Why a wedge? 🪿', name: 'ada' },
  ],
  sampling: {
    temperature: 0.7,
    topP: 0.9,
    topK: 40,
    minP: 0.05,
    seed: -3,
    frequencyPenalty: -2,
    presencePenalty: 2,
    stop: ['\n\n', 'END'],
    maxTokens: 100,
  },
};
/** With everything that few jobs have. */
const RICH: Job = {
  ...JOB,
  messages: [
    { role: 'user', content: 'Weather?' },
    { role: 'assistant', content: '', toolCalls: [{ id: 'call_1', name: 'weather', arguments: '{"city":"Ulm"}' }] },
    { role: 'tool', content: 'rain', toolCallId: 'call_1' },
  ],
  sampling: { ...JOB.sampling, repeatPenalty: 1.1, logitBias: [{ token: 3, bias: -100 }], logprobs: 20 },
  toolUse: {
    tools: [{ name: 'weather', description: 'of a city', parameters: '{"type":"object"}' }],
    choice: { type: 'named', name: 'weather' },
    parallel: false,
  },
};
const TASKS: readonly NonNullable<Job['task']>[] = [
  { type: 'completion', prompt: 'Once' },
  { type: 'embedding', inputs: ['a', ''] },
  { type: 'rerank', query: 'geese', documents: ['a goose', 'a car'] },
];
const DIGEST = '0f'.repeat(32);

function encoded(job: Job): Uint8Array {
  assert.ok(requestId !== undefined);
  const parts = { requestId, levelMs: 120, creditTokens: 64, resumeDigest: job.resume === undefined ? '' : DIGEST };
  return encodeOpen({ ...parts, jobText: encodeJob(job), resume: job.resume });
}

function formatted(more: object): object {
  return { type: 'json-schema', name: 'a', schema: '{}', strict: true, ...more };
}

/** A valid body with one field replaced: `path` as in "job.sampling.topP". */
function changed(path: string, value: unknown, whole = JOB): Uint8Array {
  const job = { ...whole, resume: { tokens: 2, tokenIds: [7, 8], text: 'So ' } };
  const keys = path.split('.');
  const replace = (place: unknown, depth: number): unknown => {
    const key = keys[depth];
    if (key === undefined) return value;
    if (Array.isArray(place)) return place.map((item, index) => (`${index}` === key ? replace(item, depth + 1) : item));
    if (typeof place !== 'object' || place === null) return place;
    const known: unknown = Object.entries(place).find(([name]) => name === key)?.[1];
    return { ...place, [key]: replace(known, depth + 1) };
  };
  return utf8(JSON.stringify(replace(JSON.parse(Buffer.from(encoded(job)).toString()), 0)));
}

describe('the body of a request between nodes', () => {
  it('comes out as it went in', () => {
    const minimal: Job = {
      model: JOB.model,
      messages: [{ role: 'user', content: '' }],
      sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] },
    };
    const resumed = { ...JOB, resume: { tokens: 2, tokenIds: [7, 8], text: 'So "far\u2028' } };
    const schema = '{"type":"object","properties":{"goose \\ud83e\\udebf":{}}}';
    const formats: AnswerFormat[] = [
      { type: 'text' },
      { type: 'json-object' },
      { type: 'json-schema', name: 'Flight_plan-2', schema, strict: true },
      { type: 'json-schema', name: 'a', schema: 'no JSON: that is for the engine to say', strict: false },
    ];
    for (const job of [JOB, minimal, resumed, ...formats.map((format) => ({ ...JOB, format }))]) {
      const decoded = decodeOpen(encoded(job));
      assert.ok(decoded.type === 'open', JSON.stringify(decoded));
      assert.deepEqual(decoded.open.job, job);
      assert.deepEqual(
        { ...decoded.open, job: undefined },
        { requestId, levelMs: 120, creditTokens: 64, resumeDigest: job === resumed ? DIGEST : '', job: undefined },
      );
    }
  });

  it('is refused for the first thing that is wrong, by name', () => {
    const table: { path: string; value: unknown; message: RegExp | undefined }[] = [
      { path: 'requestId', value: 'ABC', message: /requestId/ },
      { path: 'levelMs', value: -1, message: /levelMs: expected a number from 0/ },
      { path: 'creditTokens', value: INFERENCE.creditTokens, message: undefined },
      { path: 'creditTokens', value: INFERENCE.creditTokens + 1, message: /creditTokens/ },
      { path: 'creditTokens', value: 1.5, message: /creditTokens: expected a whole number, got 1.5/ },
      { path: 'resumeDigest', value: 'zz', message: /resumeDigest/ },
      { path: 'job', value: null, message: /job: expected an object, got null/ },
      { path: 'job.model', value: 'a b', message: /job.model/ },
      { path: 'job.format', value: 'json', message: /job.format: expected an object/ },
      { path: 'job.format', value: { type: 'xml' }, message: /job.format.type: expected one of text/ },
      { path: 'job.format', value: formatted({ name: 'x'.repeat(64) }), message: undefined },
      { path: 'job.format', value: formatted({ name: 'x'.repeat(65) }), message: /job.format.name/ },
      { path: 'job.format', value: formatted({ name: '' }), message: /job.format.name: expected letters/ },
      { path: 'job.format', value: formatted({ name: 'a b' }), message: /job.format.name: expected letters/ },
      { path: 'job.format', value: formatted({ schema: {} }), message: /job.format.schema: expected text/ },
      { path: 'job.format', value: formatted({ schema: ' '.repeat(LIMITS.schemaBytes) }), message: undefined },
      {
        path: 'job.format',
        value: formatted({ schema: ' '.repeat(LIMITS.schemaBytes + 1) }),
        message: /job.format.schema/,
      },
      { path: 'job.messages', value: [], message: /job.messages: expected a list of 1 to 2048, got 0/ },
      { path: 'job.messages', value: Array.from({ length: LIMITS.messages + 1 }, () => 0), message: /got 2049/ },
      { path: 'job.messages.0', value: 'hello', message: /job.messages\[0\]: expected an object/ },
      { path: 'job.messages.1.role', value: 'developer', message: /job.messages\[1\].role/ },
      { path: 'job.messages.1.content', value: 5, message: /job.messages\[1\].content: expected text/ },
      { path: 'job.messages.1.name', value: 'x'.repeat(257), message: /job.messages\[1\].name/ },
      { path: 'job.sampling.temperature', value: '1', message: /job.sampling.temperature/ },
      { path: 'job.sampling.temperature', value: null, message: /job.sampling.temperature/ },
      { path: 'job.sampling.topP', value: 1.01, message: /job.sampling.topP/ },
      { path: 'job.sampling.topP', value: 1, message: undefined },
      { path: 'job.sampling.topK', value: 0.5, message: /job.sampling.topK/ },
      { path: 'job.sampling.minP', value: -0.1, message: /job.sampling.minP/ },
      { path: 'job.sampling.seed', value: 2 ** 53, message: /job.sampling.seed/ },
      { path: 'job.sampling.maxTokens', value: 0, message: /job.sampling.maxTokens/ },
      { path: 'job.sampling.maxTokens', value: LIMITS.answerTokens, message: undefined },
      { path: 'job.sampling.maxTokens', value: LIMITS.answerTokens + 1, message: /job.sampling.maxTokens/ },
      { path: 'job.sampling.stop', value: Array.from({ length: 16 }, () => 'x'), message: undefined },
      { path: 'job.sampling.stop', value: Array.from({ length: 17 }, () => 'x'), message: /job.sampling.stop/ },
      { path: 'job.sampling.stop.0', value: 'é'.repeat(128), message: undefined },
      { path: 'job.sampling.stop.0', value: 'é'.repeat(129), message: /job.sampling.stop\[0\]/ },
      { path: 'job.sampling.stop.0', value: '', message: /job.sampling.stop\[0\]/ },
      { path: 'resume.tokens', value: -1, message: /resume.tokens/ },
      { path: 'resume.tokenIds', value: [7], message: /resume.tokenIds: expected none or 2/ },
      { path: 'resume.tokenIds', value: [], message: undefined },
      { path: 'resume.tokenIds.1', value: -8, message: /resume.tokenIds\[1\]/ },
      { path: 'resume.tokenIds.1', value: 2 ** 31, message: /resume.tokenIds\[1\]/ },
      { path: 'resume.text', value: null, message: /resume.text/ },
      { path: 'somethingNew', value: 1, message: undefined },
    ];
    for (const { path, value, message } of table) {
      const decoded = decodeOpen(changed(path, value));
      if (message === undefined) assert.equal(decoded.type, 'open', `${path}: ${JSON.stringify(decoded)}`);
      else {
        assert.ok(decoded.type === 'rejected', path);
        assert.equal(decoded.failure.code, 'invalid-request');
        assert.match(decoded.failure.message, message);
      }
    }
  });

  it('is refused when it is no JSON object of ours', () => {
    for (const text of ['', '{', '[]', 'null', '5', '{"job":{}}', '['.repeat(100_000)])
      assert.equal(decodeOpen(utf8(text)).type, 'rejected', text.slice(0, 20));
    assert.equal(decodeOpen(Uint8Array.of(0xff)).type, 'rejected');
  });

  it('never makes the serving node throw', () => {
    fc.assert(fc.property(fc.json(), (text) => void decodeOpen(utf8(text))));
    const paths = ['job', 'job.messages', 'job.messages.0', 'job.sampling', 'job.sampling.stop', 'resume', 'levelMs'];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => void decodeOpen(changed(path, value))),
    );
  });
});

describe('the rare parts of a job', () => {
  it('come out as they went in', () => {
    for (const job of [RICH, ...TASKS.map((task) => ({ ...JOB, messages: [], task }))]) {
      const decoded = decodeOpen(encoded(job));
      assert.deepEqual(decoded.type === 'open' ? decoded.open.job : decoded, job);
    }
  });

  it('are refused for the first thing that is wrong, by name', () => {
    const cases: readonly (readonly [path: string, value: unknown, message: RegExp | undefined])[] = [
      ['job.messages.1.toolCalls', [], /job.messages\[1\].toolCalls: expected a list of 1 to 128/],
      ['job.messages.1.toolCalls.0.name', 'a b', /toolCalls\[0\].name: expected letters/],
      ['job.messages.1.toolCalls.0.arguments', {}, /toolCalls\[0\].arguments: expected text/],
      ['job.messages.2.toolCallId', 'x'.repeat(3 * 128 + 1), /job.messages\[2\].toolCallId/],
      ['job.sampling.logprobs', 21, /job.sampling.logprobs: expected a number from 0 to 20/],
      ['job.sampling.logitBias', {}, /job.sampling.logitBias: expected a list/],
      ['job.sampling.logitBias.0.bias', 1_001, /logitBias\[0\].bias/],
      ['job.sampling.logitBias.0.token', -1, /logitBias\[0\].token/],
      ['job.sampling.repeatPenalty', -1, /repeatPenalty/],
      ['job.toolUse.tools', [], /job.toolUse.tools: expected a list of 1 to 128/],
      ['job.toolUse.tools', [RICH.toolUse?.tools[0], RICH.toolUse?.tools[0]], /two have the same name/],
      ['job.toolUse.tools.0.name', 'x'.repeat(64), /job.toolUse.choice.name: no tool has this name/],
      ['job.toolUse.tools.0.name', 'x'.repeat(65), /job.toolUse.tools\[0\].name/],
      ['job.toolUse.tools.0.parameters', {}, /tools\[0\].parameters: expected text/],
      ['job.toolUse.choice', { type: 'any' }, /job.toolUse.choice.name/],
      ['job.toolUse.choice', { type: 'any', name: 'weather' }, /job.toolUse.choice.type/],
      ['job.toolUse.choice', { type: 'auto' }, undefined],
      ['job.task', { type: 'paint' }, /job.task.type/],
      ['job.task', { type: 'embedding', inputs: [] }, /job.task.inputs: expected a list of 1 to 2048/],
      ['job.task', { type: 'embedding', inputs: ['a', 1] }, /job.task.inputs\[1\]: expected text/],
      ['job.task', { type: 'rerank', query: 'a', documents: Array.from({ length: 1_025 }, () => '') }, /documents/],
    ];
    for (const [path, value, message] of cases) {
      const decoded = decodeOpen(
        changed(
          path,
          value,
          path === 'job.task' ? { ...RICH, ...(TASKS[0] === undefined ? {} : { task: TASKS[0] }) } : RICH,
        ),
      );
      if (message === undefined) assert.equal(decoded.type, 'open', path);
      else assert.match(decoded.type === 'rejected' ? decoded.failure.message : '', message, path);
    }
  });

  it('count for placement', () => {
    assert.equal(promptBytesOf({ ...JOB, messages: [], task: { type: 'rerank', query: 'ab', documents: ['c'] } }), 3);
    const calls = 'weather{"city":"Ulm"}'.length;
    const tools = 'weatherof a city{"type":"object"}'.length;
    assert.equal(promptBytesOf(RICH), 'Weather?rain'.length + calls + tools);
    const heads = TASKS.map((task) => promptHeadOf({ ...JOB, messages: [], task }));
    assert.equal(new Set(heads).size, TASKS.length);
  });
});

describe('what placement sees of a prompt', () => {
  it('is its length in bytes, a resumed answer included', () => {
    assert.equal(promptBytesOf(JOB), 26);
    assert.equal(promptBytesOf({ ...JOB, resume: { tokens: 1, tokenIds: [], text: 'äb' } }), 26 + 3);
  });

  it('is a head of at most 256 bytes, equal for equal prompts', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 400 }), { minLength: 1 }), (contents) => {
        const job = { ...JOB, messages: contents.map((content) => ({ role: 'user', content }) as const) };
        const head = promptHeadOf(job);
        assert.ok(utf8(head).length <= 256);
        assert.equal(promptHeadOf(structuredClone(job)), head);
      }),
    );
    assert.notEqual(promptHeadOf(JOB), promptHeadOf({ ...JOB, messages: [{ role: 'user', content: 'Why?' }] }));
  });
});
