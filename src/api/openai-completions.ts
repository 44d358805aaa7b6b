/**
 * POST /v1/completions as a dialect: goes on with a text, without any template. A text, a list of texts, several choices of
 * each: every one is a job. What would change the answer and cannot be done (a suffix, `best_of`, prompts as token ids,
 * which mean something to one tokenizer only) is refused with its field.
 * Limits: `JOBS_AT_ONCE_MAX` answers in all. Source: spec (OpenAI API description, CreateCompletionRequest).
 */
import { z } from 'zod';
import type { Failure } from '../errors.ts';
import type { Job } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { completionReply, completionStream } from './completion-answer.ts';
import { type Dialect, JOBS_AT_ONCE_MAX, type Reading, type ReadContext, type Show } from './dialect.ts';
import { errorBody } from './error-body.ts';
import { field, isWish, type JsonObject } from './json-object.ts';
import { badField, checkCounts, failureOfIssue, unsupportedField } from './request-body.ts';
import { absentOr, choicesOf, readCommon, SAMPLING_FIELDS } from './sampling-fields.ts';

/** Where the client names no limit. Source: spec (OpenAI). */
const MAX_TOKENS_DEFAULT = 16;
/** Source: spec (OpenAI). */
const LOGPROBS_MAX = 5;

export const COMPLETIONS_SCHEMA = z.object({
  ...SAMPLING_FIELDS,
  max_completion_tokens: SAMPLING_FIELDS.max_tokens,
  echo: absentOr(z.boolean()),
  best_of: absentOr(z.int().min(1)),
  logprobs: z.preprocess(
    (wish) => (wish === false ? undefined : wish),
    absentOr(z.int().min(0).max(LOGPROBS_MAX)),
  ), // prettier-ignore
});

export const OPENAI_COMPLETIONS: Dialect = { read, failureBody: errorBody };

function read(body: JsonObject, { sessionHeader }: ReadContext): Reading {
  const counts = checkCounts(body, [['stop', LIMITS.stopSequences]]);
  if (counts !== undefined) return refused(counts);
  const parsed = COMPLETIONS_SCHEMA.safeParse(body);
  if (!parsed.success) return refused(failureOfIssue(parsed.error));
  const prompts = readPrompts(field(body, 'prompt'));
  if ('code' in prompts) return refused(prompts);
  const unsupported = refuseFeatures(body, parsed.data);
  if (unsupported !== undefined) return refused(unsupported);
  const { max_tokens: maxTokens, max_completion_tokens: maxCompletionTokens, echo } = parsed.data;
  const common = readCommon({
    body: parsed.data,
    sessionHeader,
    maxTokens: maxCompletionTokens ?? maxTokens ?? MAX_TOKENS_DEFAULT,
    logprobs: parsed.data.logprobs ?? undefined,
  });
  if (common.type === 'refused') return common;
  const { model, sampling, choices, stream, includeUsage, sessionKey } = common.common;
  if (prompts.length * choices > JOBS_AT_ONCE_MAX)
    return refused(badField('n', `at most ${JOBS_AT_ONCE_MAX} answers in all, got ${prompts.length * choices}`));
  const jobs = prompts.flatMap((prompt) => {
    const job: Job = { model, messages: [], sampling, task: { type: 'completion', prompt } };
    return choicesOf(job, choices);
  });
  const echoes = jobs.map(({ task }) => (echo === true && task?.type === 'completion' ? task.prompt : ''));
  const options = { choices, includeUsage, echoes, logprobs: sampling.logprobs !== undefined };
  const show: Show = stream
    ? { type: 'stream', open: (head) => completionStream(head, options) }
    : { type: 'reply', body: (head, answers) => completionReply(head, answers, options) };
  return { type: 'asked', asked: { sessionKey, jobs, show } };
}

function readPrompts(value: unknown): readonly string[] | Failure {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > 0 && list.every((item) => typeof item === 'number' || Array.isArray(item)))
    return unsupportedField('prompt', 'token ids mean something to one tokenizer only: send text');
  if (list.length === 0 || list.length > JOBS_AT_ONCE_MAX)
    return badField('prompt', `expected 1 to ${JOBS_AT_ONCE_MAX} texts, got ${list.length}`);
  const prompts = list.filter((item) => typeof item === 'string' && item !== '');
  if (prompts.length < list.length)
    return badField('prompt', 'expected a text, or a list of texts, that are not empty');
  return prompts.map((prompt) => String(prompt).toWellFormed());
}

function refuseFeatures(body: JsonObject, parsed: z.output<typeof COMPLETIONS_SCHEMA>): Failure | undefined {
  if (isWish(field(body, 'suffix')))
    return unsupportedField('suffix', 'a text before a given end is not supported: leave it out');
  if ((parsed.best_of ?? 1) > 1) return unsupportedField('best_of', 'only 1 is supported');
  if (parsed.echo === true && parsed.logprobs !== null && parsed.logprobs !== undefined)
    return unsupportedField('echo', 'not together with logprobs: probabilities of the prompt are not known');
  return undefined;
}

function refused(failure: Failure): Reading {
  return { type: 'refused', failure };
}
