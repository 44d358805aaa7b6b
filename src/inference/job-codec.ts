/**
 * The body of an `open`: one job for another node, as JSON, and everything the serving node checks about it. The front
 * door has checked the client's words, but the asking node is a peer: counts, sizes, ranges and types are judged again,
 * and the first thing wrong is named with its field. Numbers of sampling may be wider than the API allows; what is
 * refused here is what could hurt an engine. Unknown fields are ignored, so that a newer asker can be understood.
 * The job itself is encoded once for all tries of a request: `encodeOpen` pastes that text.
 */
import { unreachable } from '../assert.ts';
import { fromUtf8, utf8, utf8Length } from '../bytes.ts';
import { type Failure, failure } from '../errors.ts';
import { type RequestId, parseModelId, parseRequestId } from '../ids.ts';
import { INFERENCE, LIMITS } from '../params.ts';
import type { AnswerFormat, ChatMessage, Job, Resume, Sampling, Task } from './engine.ts';
import { FieldReader } from './field-reader.ts';
import { readTask, readToolCallId, readToolCalls, readToolUse } from './tool-codec.ts';

/** What the asking node sends to open a request. */
export interface OpenBody {
  readonly requestId: RequestId;
  /** The water level of the placement that chose the serving node. */
  readonly levelMs: number;
  /** Tokens granted from the start. */
  readonly creditTokens: number;
  readonly job: Job;
  /** Of the model that made the resume's token ids, '' = none or not provable. */
  readonly resumeDigest: string;
}

export type DecodedOpen =
  | { readonly type: 'open'; readonly open: OpenBody }
  | { readonly type: 'rejected'; readonly requestId: RequestId | undefined; readonly failure: Failure };

const BOUNDS = {
  /** Source: guess: above any name in use. */
  nameBytes: 256,
  /** Source: guess: far wider than the API's 0 to 2. */
  temperatureMax: 100,
  /** Source: guess: larger than any vocabulary. */
  topKMax: 1_000_000,
  /** Source: guess: far wider than the API's -2 to 2. */
  penaltyMax: 100,
  /** Source: guess: as wide as OpenAI's -100 to 100, ten times. */
  biasMax: 1_000,
  /** Source: copied: engines keep token ids in 32 signed bits. */
  tokenIdMax: 0x7fff_ffff,
  /** Source: guess: ten days of waiting. */
  levelMsMax: 1_000_000_000,
} as const;
const ROLES: readonly string[] = ['system', 'user', 'assistant', 'tool'] satisfies ChatMessage['role'][];
const DIGEST = /^(?:[0-9a-f]{64})?$/;
const SCHEMA_NAME = /^[A-Za-z0-9_-]+$/;
const PROMPT_HEAD_BYTES = 256;

/** The job without its resume, as it is pasted into every `open` of the request. */
export function encodeJob(job: Job): string {
  const { model, messages, sampling, format, toolUse, task } = job;
  return JSON.stringify({ model, messages, sampling, format, toolUse, task });
}

export interface OpenParts {
  readonly requestId: RequestId;
  readonly levelMs: number;
  readonly creditTokens: number;
  /** From `encodeJob`. */
  readonly jobText: string;
  readonly resume: Resume | undefined;
  readonly resumeDigest: string;
}

export function encodeOpen(parts: OpenParts): Uint8Array {
  const { requestId, levelMs, creditTokens, jobText, resume, resumeDigest } = parts;
  const head = JSON.stringify({ requestId, levelMs, creditTokens, resume, resumeDigest });
  return utf8(`${head.slice(0, -1)},"job":${jobText}}`);
}

export function decodeOpen(body: Uint8Array): DecodedOpen {
  const text = fromUtf8(body);
  if (text === undefined) return rejected(undefined, 'the request is not UTF-8');
  const value = parseJson(text);
  if (value === undefined) return rejected(undefined, 'the request is not JSON');
  const reader = new FieldReader();
  const fields = reader.record(value, 'open');
  const requestId = parseRequestId(fields['requestId']);
  if (requestId === undefined) return rejected(undefined, 'requestId: expected 32 lower-case hex digits');
  const levelMs = reader.number(fields['levelMs'], { path: 'levelMs', min: 0, max: BOUNDS.levelMsMax });
  const creditTokens = reader.whole(fields['creditTokens'], {
    path: 'creditTokens',
    min: 0,
    max: INFERENCE.creditTokens,
  });
  const resumeDigest = reader.text(fields['resumeDigest'], { path: 'resumeDigest', bytesMax: 64 });
  if (!DIGEST.test(resumeDigest)) reader.fail('resumeDigest: expected 64 lower-case hex digits or nothing');
  const job = readJob(reader, fields['job'], fields['resume']);
  if (job === undefined || reader.problem !== '') return rejected(requestId, reader.problem);
  return { type: 'open', open: { requestId, levelMs, creditTokens, job, resumeDigest } };
}

/** Bytes of the prompt in UTF-8, a resumed answer included: what placement and admission estimate tokens from. */
export function promptBytesOf(job: Job): number {
  let bytes = job.resume === undefined ? 0 : utf8Length(job.resume.text);
  for (const { content, toolCalls } of job.messages) {
    bytes += utf8Length(content);
    for (const call of toolCalls ?? []) bytes += utf8Length(call.name + call.arguments);
  }
  for (const { name, description, parameters } of job.toolUse?.tools ?? [])
    bytes += utf8Length(name + (description ?? '') + parameters);
  for (const text of taskTexts(job.task)) bytes += utf8Length(text);
  return bytes;
}

/** The first block of the prompt, at most 256 bytes: equal prompts have equal heads. */
export function promptHeadOf(job: Job): string {
  let head = '';
  for (const { role, content } of job.messages) {
    head += `${role}:${content.slice(0, PROMPT_HEAD_BYTES)}\n`;
    if (head.length >= PROMPT_HEAD_BYTES) break;
  }
  for (const text of taskTexts(job.task)) {
    if (head.length >= PROMPT_HEAD_BYTES) break;
    head += `${job.task?.type}:${text.slice(0, PROMPT_HEAD_BYTES)}\n`;
  }
  while (utf8(head).length > PROMPT_HEAD_BYTES) head = head.slice(0, Math.floor((head.length * 7) / 8));
  return head;
}

function taskTexts(task: Task | undefined): readonly string[] {
  switch (task?.type) {
    case undefined:
      return [];
    case 'completion':
      return [task.prompt];
    case 'embedding':
      return task.inputs;
    case 'rerank':
      return [task.query, ...task.documents];
    default:
      return unreachable(task);
  }
}

function readJob(reader: FieldReader, value: unknown, resume: unknown): Job | undefined {
  const fields = reader.record(value, 'job');
  const model = parseModelId(fields['model']);
  if (model === undefined) reader.fail('job.model: expected a model id');
  const task = fields['task'] === undefined ? undefined : readTask(reader, fields['task']);
  const messages = readMessages(reader, fields['messages'], task === undefined ? 1 : 0);
  const sampling = readSampling(reader, fields['sampling']);
  const constraint = readConstraint(reader, fields);
  const resumed = resume === undefined ? undefined : readResume(reader, resume);
  if (model === undefined) return undefined;
  return {
    model,
    messages,
    sampling,
    ...constraint,
    ...(task === undefined ? {} : { task }),
    ...(resumed === undefined ? {} : { resume: resumed }),
  };
}

function readConstraint(
  reader: FieldReader,
  fields: Readonly<Record<string, unknown>>,
): Pick<Job, 'format' | 'toolUse'> {
  const toolUse = fields['toolUse'] === undefined ? undefined : readToolUse(reader, fields['toolUse']);
  const format = fields['format'] === undefined ? undefined : readFormat(reader, fields['format']);
  if (format !== undefined && toolUse !== undefined && toolUse.choice.type !== 'auto')
    reader.fail('job.format: not where a function must be called');
  return { ...(format === undefined ? {} : { format }), ...(toolUse === undefined ? {} : { toolUse }) };
}

/** Whether a grammar can follow the schema is for the engine to say. */
function readFormat(reader: FieldReader, value: unknown): AnswerFormat {
  const fields = reader.record(value, 'job.format');
  switch (fields['type']) {
    case 'text':
    case 'json-object':
      return { type: fields['type'] };
    case 'json-schema': {
      const name = reader.text(fields['name'], { path: 'job.format.name', bytesMax: LIMITS.schemaNameCharacters });
      if (!SCHEMA_NAME.test(name)) reader.fail('job.format.name: expected letters, digits, "_" and "-"');
      const schema = reader.text(fields['schema'], { path: 'job.format.schema', bytesMax: LIMITS.schemaBytes });
      return { type: 'json-schema', name, schema, strict: fields['strict'] === true };
    }
    default:
      reader.fail('job.format.type: expected one of text, json-object, json-schema');
      return { type: 'text' };
  }
}

function readMessages(reader: FieldReader, value: unknown, countMin: number): ChatMessage[] {
  const list = reader.list(value, { path: 'job.messages', min: countMin, max: LIMITS.messages });
  return list.map((item, index) => {
    const path = `job.messages[${index}]`;
    const fields = reader.record(item, path);
    const { role, name, toolCalls, toolCallId } = fields;
    if (!isRole(role)) reader.fail(`${path}.role: expected one of ${ROLES.join(', ')}`);
    return {
      role: isRole(role) ? role : 'user',
      content: reader.text(fields['content'], { path: `${path}.content`, bytesMax: INFERENCE.bodyBytesMax }),
      ...(name === undefined ? {} : { name: reader.text(name, { path: `${path}.name`, bytesMax: BOUNDS.nameBytes }) }),
      ...(toolCalls === undefined ? {} : { toolCalls: readToolCalls(reader, toolCalls, `${path}.toolCalls`) }),
      ...(toolCallId === undefined ? {} : { toolCallId: readToolCallId(reader, toolCallId, `${path}.toolCallId`) }),
    };
  });
}

function readSampling(reader: FieldReader, value: unknown): Sampling {
  const fields = reader.record(value, 'job.sampling');
  const ranged = (key: string, min: number, max: number): number =>
    reader.number(fields[key], { path: `job.sampling.${key}`, min, max });
  const whole = (key: string, min: number, max: number): number =>
    reader.whole(fields[key], { path: `job.sampling.${key}`, min, max });
  const stops = reader.list(fields['stop'], { path: 'job.sampling.stop', min: 0, max: LIMITS.stopSequences });
  return {
    temperature: ranged('temperature', 0, BOUNDS.temperatureMax),
    topP: ranged('topP', 0, 1),
    ...(fields['topK'] === undefined ? {} : { topK: whole('topK', 0, BOUNDS.topKMax) }),
    ...(fields['minP'] === undefined ? {} : { minP: ranged('minP', 0, 1) }),
    ...(fields['seed'] === undefined ? {} : { seed: whole('seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) }),
    frequencyPenalty: ranged('frequencyPenalty', -BOUNDS.penaltyMax, BOUNDS.penaltyMax),
    presencePenalty: ranged('presencePenalty', -BOUNDS.penaltyMax, BOUNDS.penaltyMax),
    stop: stops.map((item, index) => {
      const path = `job.sampling.stop[${index}]`;
      const text = reader.text(item, { path, bytesMax: LIMITS.stopBytes });
      if (text === '') reader.fail(`${path}: expected at least one character`);
      return text;
    }),
    ...(fields['maxTokens'] === undefined ? {} : { maxTokens: whole('maxTokens', 1, LIMITS.answerTokens) }),
    ...(fields['repeatPenalty'] === undefined ? {} : { repeatPenalty: ranged('repeatPenalty', 0, BOUNDS.penaltyMax) }),
    ...(fields['logitBias'] === undefined ? {} : { logitBias: readLogitBias(reader, fields['logitBias']) }),
    ...(fields['logprobs'] === undefined ? {} : { logprobs: whole('logprobs', 0, LIMITS.topLogprobs) }),
  };
}

function readLogitBias(reader: FieldReader, value: unknown): NonNullable<Sampling['logitBias']> {
  const list = reader.list(value, { path: 'job.sampling.logitBias', min: 0, max: LIMITS.logitBiases });
  return list.map((item, index) => {
    const path = `job.sampling.logitBias[${index}]`;
    const fields = reader.record(item, path);
    return {
      token: reader.whole(fields['token'], { path: `${path}.token`, min: 0, max: BOUNDS.tokenIdMax }),
      bias: reader.number(fields['bias'], { path: `${path}.bias`, min: -BOUNDS.biasMax, max: BOUNDS.biasMax }),
    };
  });
}

function readResume(reader: FieldReader, value: unknown): Resume {
  const fields = reader.record(value, 'resume');
  const tokens = reader.whole(fields['tokens'], { path: 'resume.tokens', min: 0, max: LIMITS.answerTokens });
  const ids = reader.list(fields['tokenIds'], { path: 'resume.tokenIds', min: 0, max: LIMITS.answerTokens });
  if (ids.length !== 0 && ids.length !== tokens) reader.fail(`resume.tokenIds: expected none or ${tokens}`);
  const tokenIds = ids.map((id, index) =>
    reader.whole(id, { path: `resume.tokenIds[${index}]`, min: 0, max: BOUNDS.tokenIdMax }),
  );
  const text = reader.text(fields['text'], { path: 'resume.text', bytesMax: INFERENCE.bodyBytesMax });
  return { tokens, tokenIds, text };
}

function isRole(value: unknown): value is ChatMessage['role'] {
  return typeof value === 'string' && ROLES.includes(value);
}

function rejected(requestId: RequestId | undefined, reason: string): DecodedOpen {
  const [param] = reason.split(':', 1);
  const named = reason.includes(':') && param !== undefined ? { param } : {};
  return { type: 'rejected', requestId, failure: failure('invalid-request', reason, named) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
