/**
 * POST /api/generate as a dialect: one prompt, with the model's template (and a system text) or `raw`, without any. Without a prompt it
 * is the wish to load a model, which is answered at once. Refused, because the answer would be another one: a template
 * of the client's own, a suffix, and `context`, which are token ids that mean something to one tokenizer only.
 */
import { z } from 'zod';
import type { Failure } from '../errors.ts';
import type { ChatMessage, Job } from '../inference/engine.ts';
import type { Dialect, ReadContext, Reading } from './dialect.ts';
import { field, isWish, type JsonObject } from './json-object.ts';
import { askOllama, loadOllama } from './ollama-answer.ts';
import { ollamaErrorBody } from './ollama-error.ts';
import { OLLAMA_FIELDS, readOllama, refuseEarly } from './ollama-options.ts';
import { failureOfIssue, unsupportedField } from './request-body.ts';
import { absentOr } from './sampling-fields.ts';

export const OLLAMA_GENERATE_SCHEMA = z.object({
  ...OLLAMA_FIELDS,
  prompt: absentOr(z.string()),
  system: absentOr(z.string()),
  raw: absentOr(z.boolean()),
});

const UNSUPPORTED = [
  ['template', 'the template of the model is used: leave it out, or send the whole prompt with raw'],
  ['suffix', 'a text before a given end is not supported: leave it out'],
  ['context', 'token ids mean something to one tokenizer only: send the conversation to /api/chat'],
] as const;

export const OLLAMA_GENERATE: Dialect = { read: readGenerate, failureBody: ollamaErrorBody };

function readGenerate(body: JsonObject, context: ReadContext): Reading {
  const early = refuseOwn(body) ?? refuseEarly(body);
  if (early !== undefined) return refused(early);
  const parsed = OLLAMA_GENERATE_SCHEMA.safeParse(body);
  if (!parsed.success) return refused(failureOfIssue(parsed.error));
  const { data } = parsed;
  const read = readOllama(data, context);
  if (read.type === 'refused') return read;
  if (data.raw === true && (isWish(data.system) || read.common.format !== undefined))
    return refused(unsupportedField('raw', 'not together with system or format'));
  if (!isWish(data.prompt)) return loadOllama('generate', read.common, context);
  return askOllama('generate', read.common, workOf(data));
}

function workOf({ prompt, system, raw }: z.output<typeof OLLAMA_GENERATE_SCHEMA>): Pick<Job, 'messages' | 'task'> {
  const content = prompt?.toWellFormed() ?? '';
  if (raw === true) return { messages: [], task: { type: 'completion', prompt: content } };
  const asked: ChatMessage = { role: 'user', content };
  const told = system?.toWellFormed() ?? '';
  return { messages: told === '' ? [asked] : [{ role: 'system', content: told }, asked] };
}

function refuseOwn(body: JsonObject): Failure | undefined {
  for (const [name, text] of UNSUPPORTED) if (isWish(field(body, name))) return unsupportedField(name, text);
  return undefined;
}

function refused(failure: Failure): Reading {
  return { type: 'refused', failure };
}
