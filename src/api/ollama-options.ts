/**
 * What do Ollama's requests have in common? A model by its name, `stream` (true where absent), `options` with its names for how tokens
 * are chosen, and `format`. Temperature and top_p have Ollama's defaults; its other defaults (top_k 40, a repeat penalty of 1.1) are
 * left to the engine, because servers behind an upstream may refuse what they do not know. Ignored as what only tunes: `keep_alive`,
 * `num_ctx` and what else llama.cpp is started with. Refused: what would change the answer (images, thinking, a template).
 * Limits: those of `sampling-fields.ts`. Source: copied (Ollama's API documentation and its `api/types.go`).
 */
import { z } from 'zod';
import type { Failure } from '../errors.ts';
import type { Grammars } from '../inference/answer-format.ts';
import type { AnswerFormat } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import type { ReadContext } from './dialect.ts';
import { field, isJsonObject, isWish, type JsonObject } from './json-object.ts';
import { modelNamed } from './ollama-names.ts';
import { badField, checkCounts, unsupportedField } from './request-body.ts';
import { readResponseFormat } from './response-format.ts';
import { absentOr, type Common, isGiven, noSuchName, readCommon, SAMPLING_FIELDS } from './sampling-fields.ts';

const TEMPERATURE_DEFAULT = 0.8;
const TOP_P_DEFAULT = 0.9;
/** Source: copied (Ollama: a new one each time). */
const SEED_ANY = -1;

const { temperature, top_p, top_k, min_p, seed, stop, repeat_penalty, presence_penalty, frequency_penalty } =
  SAMPLING_FIELDS;

const OPTIONS_SCHEMA = z.object({
  temperature,
  top_p,
  top_k,
  min_p,
  seed,
  stop,
  repeat_penalty,
  presence_penalty,
  frequency_penalty,
  /** -1, -2 and 0 are no limit. */
  num_predict: absentOr(z.int().min(-2).max(LIMITS.answerTokens)),
});

/** Fields of a request for text, whichever route. */
export const OLLAMA_FIELDS = {
  model: z.string(),
  stream: absentOr(z.boolean()),
  options: absentOr(OPTIONS_SCHEMA),
  // "json" or a schema of the client's own.
  format: z.unknown().optional(),
  logprobs: absentOr(z.boolean()),
  top_logprobs: absentOr(z.int().min(0).max(LIMITS.topLogprobs)),
};

const BODY_SCHEMA = z.object(OLLAMA_FIELDS);
type OllamaBody = z.output<typeof BODY_SCHEMA>;
type OptionsBody = Partial<z.output<typeof OPTIONS_SCHEMA>>;

export interface OllamaCommon extends Pick<Common, 'model' | 'sampling' | 'stream' | 'sessionKey'> {
  /** The model as the client wrote it. */
  readonly name: string;
  /** Undefined = text. */
  readonly format: AnswerFormat | undefined;
}

export type OllamaReading =
  { readonly type: 'common'; readonly common: OllamaCommon } | { readonly type: 'refused'; readonly failure: Failure };

/** Before a schema walks the body: what is refused whatever else it says. */
export function refuseEarly(body: JsonObject): Failure | undefined {
  if (isWish(field(body, 'images'))) return unsupportedField('images', 'only text can be read');
  if (isWish(field(body, 'think')))
    return unsupportedField('think', 'thinking cannot be told from the answer: leave it out');
  const options = field(body, 'options');
  return isJsonObject(options) ? checkCounts(options, [['stop', LIMITS.stopSequences]]) : undefined;
}

export function readOllama(body: OllamaBody, context: ReadContext): OllamaReading {
  const model = modelNamed(body.model, context.models());
  if (model === undefined) return refused(noSuchName());
  const read = readCommon(commonInit({ ...body, model }, context.sessionHeader));
  if (read.type === 'refused') return read;
  const { sampling, stream, sessionKey } = read.common;
  const format = readFormat(body.format ?? undefined, context.grammars);
  if (format.type === 'refused') return format;
  return { type: 'common', common: { name: body.model, model, sampling, stream, sessionKey, format: format.format } };
}

function commonInit(body: OllamaBody, sessionHeader: string | undefined): Parameters<typeof readCommon>[0] {
  const { num_predict: limit, ...options }: OptionsBody = body.options ?? {};
  return {
    body: {
      ...options,
      temperature: options.temperature ?? TEMPERATURE_DEFAULT,
      top_p: options.top_p ?? TOP_P_DEFAULT,
      seed: options.seed === SEED_ANY ? undefined : options.seed,
      model: body.model,
      stream: body.stream ?? true,
    },
    sessionHeader,
    maxTokens: isGiven(limit) && limit > 0 ? limit : undefined,
    logprobs: body.logprobs === true ? (body.top_logprobs ?? 0) : undefined,
  };
}

type FormatReading =
  | { readonly type: 'format'; readonly format: AnswerFormat | undefined }
  | { readonly type: 'refused'; readonly failure: Failure };

function readFormat(value: unknown, grammars: Grammars): FormatReading {
  if (value === undefined || value === '') return { type: 'format', format: undefined };
  if (value === 'json') return readResponseFormat({ type: 'json_object' }, grammars);
  if (!isJsonObject(value)) return refused(badField('format', 'expected "json" or a JSON schema'));
  return readResponseFormat({ type: 'json_schema', json_schema: { schema: value } }, grammars);
}

function refused(failure: Failure): { readonly type: 'refused'; readonly failure: Failure } {
  return { type: 'refused', failure };
}
