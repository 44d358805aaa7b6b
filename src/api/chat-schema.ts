/**
 * Which fields of a chat completion request do we read, and within which ranges? A zod schema of exactly those; it strips
 * every other field, because clients send many that mean nothing here, and takes `null` for absent everywhere, because
 * most client libraries write it. What is not a matter of one field (features, message content) is in `chat-request.ts`.
 * Limits come from `LIMITS`; ranges of the sampling numbers are those of OpenAI's API description, `top_k` and `min_p`
 * those of llama.cpp and vLLM.
 */
import { z } from 'zod';
import { LIMITS } from '../params.ts';

/** Source: spec (OpenAI allows 64 characters), twice that. */
const NAME_LENGTH_MAX = 128;

const answerTokens = z.int().min(1).max(LIMITS.answerTokens);

export const CHAT_SCHEMA = z.object({
  model: z.string(),
  messages: z
    .array(
      z.object({
        role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
        content: z.unknown().optional(),
        name: absentOr(z.string().max(NAME_LENGTH_MAX)),
      }),
    )
    .min(1),
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
  /** 64-bit seeds lose their last digits in JSON numbers; an integer is all that is asked. */
  seed: absentOr(z.number().refine((seed) => Number.isInteger(seed), 'expected a whole number')),
  stop: absentOr(z.preprocess((stop) => (typeof stop === 'string' ? [stop] : stop), z.array(z.string()))),
  max_tokens: absentOr(answerTokens),
  max_completion_tokens: absentOr(answerTokens),
  n: absentOr(z.int().min(1)),
  // A schema of the client's own: `response-format.ts` reads it.
  response_format: z.unknown().optional(),
  // Hints: used where they are texts, ignored otherwise.
  user: z.unknown().optional(),
  prompt_cache_key: z.unknown().optional(),
});

export type ChatBody = z.output<typeof CHAT_SCHEMA>;

export const STREAM_OPTIONS_SCHEMA = absentOr(z.object({ include_usage: absentOr(z.boolean()) }));

/** `null` stays in the output: turning it into `undefined` here costs as much as all the rest of the schema. */
function absentOr<Schema extends z.ZodType>(schema: Schema): z.ZodType<z.output<Schema> | null | undefined> {
  return schema.nullish();
}
