/**
 * Which fields say how tokens are chosen, and within which ranges? The same for chats and completions, and a part of both
 * schemas. Ranges are those of OpenAI's API description; `top_k`, `min_p` and the two names of the repeat penalty are those of
 * llama.cpp and vLLM. `null` stays in the output of a schema: turning it into `undefined` there costs as much as the rest.
 * Limits: `LIMITS.stopSequences`, `stopBytes`, `logitBiases`, `answerTokens`; at most `JOBS_AT_ONCE_MAX` choices.
 */
import { z } from 'zod';
import { utf8 } from '../bytes.ts';
import { type Failure, failure } from '../errors.ts';
import { type ModelId, parseModelId } from '../ids.ts';
import type { Job, Sampling } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { JOBS_AT_ONCE_MAX } from './dialect.ts';
import { readLogitBias } from './logit-bias.ts';
import { badField, failureOfIssue } from './request-body.ts';

/** A session key is cut here: it only steers requests to the node that may hold their prefix. Source: guess. */
const SESSION_KEY_LENGTH_MAX = 128;

const answerTokens = z.int().min(1).max(LIMITS.answerTokens);
const repeatPenalty = z.number().positive().max(10);

export const SAMPLING_FIELDS = {
  model: z.string(),
  stream: absentOr(z.boolean()),
  // Read only where `stream` is true: elsewhere it is ignored, whatever it is.
  stream_options: z.unknown().optional(),
  temperature: absentOr(z.number().min(0).max(2)),
  top_p: absentOr(z.number().min(0).max(1)),
  /** 0 and -1 both mean "off" to somebody. */
  top_k: absentOr(z.int().min(-1)),
  min_p: absentOr(z.number().min(0).max(1)),
  frequency_penalty: absentOr(z.number().min(-2).max(2)),
  presence_penalty: absentOr(z.number().min(-2).max(2)),
  repeat_penalty: absentOr(repeatPenalty),
  repetition_penalty: absentOr(repeatPenalty),
  /** 64-bit seeds lose their last digits in JSON numbers; an integer is all that is asked. */
  seed: absentOr(z.number().refine((seed) => Number.isInteger(seed), 'expected a whole number')),
  stop: absentOr(z.preprocess((stop) => (typeof stop === 'string' ? [stop] : stop), z.array(z.string()))),
  max_tokens: absentOr(answerTokens),
  n: absentOr(z.int().min(1).max(JOBS_AT_ONCE_MAX)),
  // Token ids and numbers: `logit-bias.ts` reads it.
  logit_bias: z.unknown().optional(),
  // Hints: used where they are texts, ignored otherwise.
  user: z.unknown().optional(),
  prompt_cache_key: z.unknown().optional(),
};

const SAMPLING_SCHEMA = z.object(SAMPLING_FIELDS);
type AllFields = z.output<typeof SAMPLING_SCHEMA>;
/** A dialect may lack some of the fields. */
export type SamplingBody = Pick<AllFields, 'model'> & Partial<AllFields>;

const STREAM_OPTIONS_SCHEMA = absentOr(z.object({ include_usage: absentOr(z.boolean()) }));

/** What the shared fields ask for. */
export interface Common {
  readonly model: ModelId;
  readonly sampling: Sampling;
  readonly stream: boolean;
  /** A last chunk with the usage was asked for; false where `stream` is. */
  readonly includeUsage: boolean;
  readonly sessionKey: string;
  /** Answers to each prompt. */
  readonly choices: number;
}

export type CommonReading =
  { readonly type: 'common'; readonly common: Common } | { readonly type: 'refused'; readonly failure: Failure };

export interface CommonInit {
  readonly body: SamplingBody;
  readonly sessionHeader: string | undefined;
  readonly maxTokens: number | undefined;
  /** As in `Sampling`. */
  readonly logprobs: number | undefined;
}

export function readCommon(init: CommonInit): CommonReading {
  const { body, sessionHeader } = init;
  const model = parseModelId(body.model);
  if (model === undefined) return refused(noSuchName());
  const sampling = readSampling(init);
  if ('code' in sampling) return refused(sampling);
  const stream = body.stream ?? false;
  const options = STREAM_OPTIONS_SCHEMA.safeParse(stream ? body.stream_options : undefined);
  if (!options.success) return refused(failureOfIssue(options.error, ['stream_options']));
  const sessionKey = toSessionKey([sessionHeader, body.prompt_cache_key, body.user]);
  const includeUsage = options.data?.include_usage ?? false;
  return { type: 'common', common: { model, sampling, stream, includeUsage, sessionKey, choices: body.n ?? 1 } };
}

function readSampling({ body, maxTokens, logprobs }: CommonInit): Sampling | Failure {
  const stop = (body.stop ?? []).map((text) => text.toWellFormed()).filter((text) => text !== '');
  if (stop.some((text) => utf8(text).length > LIMITS.stopBytes))
    return badField('stop', `at most ${LIMITS.stopBytes} bytes each`);
  const bias = readLogitBias(body.logit_bias);
  if (bias.type === 'refused') return bias.failure;
  return {
    ...samplingOf(body),
    stop,
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(bias.bias === undefined ? {} : { logitBias: bias.bias }),
    ...(logprobs === undefined ? {} : { logprobs }),
  };
}

/** One job for each choice. Equal seeds would make equal choices, so each goes on from the one before. */
export function choicesOf(job: Job, choices: number): readonly Job[] {
  const { seed } = job.sampling;
  return Array.from({ length: choices }, (_, index) =>
    seed === undefined || index === 0 ? job : { ...job, sampling: { ...job.sampling, seed: toSeed(seed + index) } },
  );
}

export function noSuchName(): Failure {
  return failure('model-not-found', 'no model has such a name: see GET /v1/models', { param: 'model' });
}

export function isGiven<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined;
}

/** `null` for absent, as most client libraries write it. */
export function absentOr<Schema extends z.ZodType>(schema: Schema): z.ZodType<z.output<Schema> | null | undefined> {
  return schema.nullish();
}

/** The first hint that is a text, without half characters at the cut. */
export function toSessionKey(hints: readonly unknown[]): string {
  for (const hint of hints) {
    if (typeof hint === 'string' && hint !== '') return hint.slice(0, SESSION_KEY_LENGTH_MAX).toWellFormed();
  }
  return '';
}

function samplingOf(body: SamplingBody): Omit<Sampling, 'stop'> {
  const penalty = body.repeat_penalty ?? body.repetition_penalty ?? 1;
  return {
    temperature: body.temperature ?? 1,
    topP: body.top_p ?? 1,
    ...(isGiven(body.top_k) && body.top_k > 0 ? { topK: body.top_k } : {}),
    ...(isGiven(body.min_p) ? { minP: body.min_p } : {}),
    ...(isGiven(body.seed) ? { seed: toSeed(body.seed) } : {}),
    frequencyPenalty: body.frequency_penalty ?? 0,
    presencePenalty: body.presence_penalty ?? 0,
    ...(penalty === 1 ? {} : { repeatPenalty: penalty }),
  };
}

/** Engines take 32 bits; equal seeds stay equal, also negative and huge ones. */
function toSeed(seed: number): number {
  return ((seed % 2 ** 32) + 2 ** 32) % 2 ** 32;
}

function refused(reason: Failure): CommonReading {
  return { type: 'refused', failure: reason };
}
