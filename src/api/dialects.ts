/**
 * Which dialect answers which route? One entry for each handler of `routes.ts` that asks the mesh for work; the compiler
 * misses one that is not here. The other handlers only read what the node knows.
 */
import { ANTHROPIC_MESSAGES } from './anthropic-messages.ts';
import type { Dialect } from './dialect.ts';
import { OLLAMA_CHAT } from './ollama-chat.ts';
import { OLLAMA_EMBED, OLLAMA_EMBEDDINGS } from './ollama-embed.ts';
import { OLLAMA_GENERATE } from './ollama-generate.ts';
import { OLLAMA_SHOW } from './ollama-models.ts';
import { OPENAI_CHAT } from './openai-chat.ts';
import { OPENAI_COMPLETIONS } from './openai-completions.ts';
import { OPENAI_EMBEDDINGS } from './openai-embeddings.ts';
import { OPENAI_RESPONSES } from './openai-responses.ts';
import { RERANK } from './rerank.ts';
import type { WorkHandler } from './routes.ts';
import { COUNT_MESSAGES, COUNT_RESPONSES } from './token-counts.ts';

export const DIALECTS: Readonly<Record<WorkHandler, Dialect>> = {
  chat: OPENAI_CHAT,
  completions: OPENAI_COMPLETIONS,
  embeddings: OPENAI_EMBEDDINGS,
  rerank: RERANK,
  'ollama-chat': OLLAMA_CHAT,
  'ollama-generate': OLLAMA_GENERATE,
  'ollama-embed': OLLAMA_EMBED,
  'ollama-embeddings': OLLAMA_EMBEDDINGS,
  'ollama-show': OLLAMA_SHOW,
  responses: OPENAI_RESPONSES,
  messages: ANTHROPIC_MESSAGES,
  'count-responses': COUNT_RESPONSES,
  'count-messages': COUNT_MESSAGES,
};
