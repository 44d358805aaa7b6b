/**
 * POST /api/chat as a dialect: Ollama's conversations, with tools and formats. Without messages it is the wish to load a model,
 * which is answered at once. What the fields mean is in `ollama-options.ts` and `ollama-messages.ts`.
 */
import { z } from 'zod';
import { LIMITS } from '../params.ts';
import { readChatTools } from './chat-tools.ts';
import type { Dialect, ReadContext, Reading } from './dialect.ts';
import { field, type JsonObject } from './json-object.ts';
import { askOllama, loadOllama } from './ollama-answer.ts';
import { ollamaErrorBody } from './ollama-error.ts';
import { OLLAMA_MESSAGE_SCHEMA, readOllamaMessages } from './ollama-messages.ts';
import { OLLAMA_FIELDS, readOllama, refuseEarly } from './ollama-options.ts';
import { checkCounts, failureOfIssue } from './request-body.ts';
import { absentOr } from './sampling-fields.ts';

export const OLLAMA_CHAT_SCHEMA = z.object({
  ...OLLAMA_FIELDS,
  messages: absentOr(z.array(OLLAMA_MESSAGE_SCHEMA)),
  // As in OpenAI's chats: `chat-tools.ts` reads them.
  tools: z.unknown().optional(),
});

export const OLLAMA_CHAT: Dialect = { read: readChat, failureBody: ollamaErrorBody };

function readChat(body: JsonObject, context: ReadContext): Reading {
  const early = refuseEarly(body) ?? checkCounts(body, [['messages', LIMITS.messages]]);
  if (early !== undefined) return { type: 'refused', failure: early };
  const parsed = OLLAMA_CHAT_SCHEMA.safeParse(body);
  if (!parsed.success) return { type: 'refused', failure: failureOfIssue(parsed.error) };
  const read = readOllama(parsed.data, context);
  if (read.type === 'refused') return read;
  const { common } = read;
  const said = readOllamaMessages(parsed.data.messages ?? []);
  if (said.type === 'refused') return said;
  if (said.messages.length === 0) return loadOllama('chat', common, context);
  const tools = readChatTools({ tools: field(body, 'tools') });
  if (tools.type === 'refused') return tools;
  const { toolUse } = tools;
  const { messages } = said;
  return askOllama('chat', common, toolUse === undefined ? { messages } : { messages, toolUse });
}
