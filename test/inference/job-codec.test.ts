import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { utf8 } from '../../src/bytes.ts';
import { parseModelId, parseRequestId } from '../../src/ids.ts';
import type { AnswerFormat, ChatJob } from '../../src/inference/engine.ts';
import { decodeOpen, encodeJob, encodeOpen, promptBytesOf, promptHeadOf } from '../../src/inference/job-codec.ts';
import { INFERENCE, LIMITS } from '../../src/params.ts';

const requestId = parseRequestId('0123456789abcdef0123456789abcdef');
const model = parseModelId('flock-7b');
assert.ok(requestId !== undefined && model !== undefined);

const JOB: ChatJob = {
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
const DIGEST = '0f'.repeat(32);

function encoded(job: ChatJob): Uint8Array {
  assert.ok(requestId !== undefined);
  const parts = { requestId, levelMs: 120, creditTokens: 64, resumeDigest: job.resume === undefined ? '' : DIGEST };
  return encodeOpen({ ...parts, jobText: encodeJob(job), resume: job.resume });
}

function formatted(more: object): object {
  return { type: 'json-schema', name: 'a', schema: '{}', strict: true, ...more };
}

/** A valid body with one field replaced: `path` as in "job.sampling.topP". */
function changed(path: string, value: unknown): Uint8Array {
  const job = { ...JOB, resume: { tokens: 2, tokenIds: [7, 8], text: 'So ' } };
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
    const minimal: ChatJob = {
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
