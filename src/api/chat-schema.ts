/**
 * Which fields of a chat completion request do we read? A zod schema of exactly those; it strips every other field, because
 * clients send many that mean nothing here, and takes `null` for absent everywhere, because most client libraries write
 * it. What is not a matter of one field (tools, formats, the content of messages) has a file of its own.
 */
import { z } from 'zod';
import { LIMITS } from '../params.ts';
import { MESSAGE_SCHEMA } from './chat-messages.ts';
import { isWish } from './json-object.ts';
import { absentOr, SAMPLING_FIELDS } from './sampling-fields.ts';

export const CHAT_SCHEMA = z.object({
  ...SAMPLING_FIELDS,
  messages: z.array(MESSAGE_SCHEMA).min(1),
  max_completion_tokens: SAMPLING_FIELDS.max_tokens,
  // Some write 0 or '' for "no".
  logprobs: z.preprocess((wish) => (isWish(wish) ? wish : undefined), z.boolean().optional()),
  top_logprobs: absentOr(z.int().min(0).max(LIMITS.topLogprobs)),
  // A schema of the client's own: `response-format.ts` reads it.
  response_format: z.unknown().optional(),
});

export type ChatBody = z.output<typeof CHAT_SCHEMA>;
