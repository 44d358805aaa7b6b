/**
 * What was said so far, as Ollama's clients tell it? Content is a text (parts are taken too), arguments of calls are objects, and calls
 * need no ids: a result belongs to the call with its id, else to the first of that name which has none yet, else to
 * the first without one. Ids that are missing are made from the place of the call, so that they are the same in every turn.
 * Limits: `LIMITS.messages`, `toolCalls`, `toolCallIdCharacters`.
 */
import { z } from 'zod';
import type { Failure } from '../errors.ts';
import type { ChatMessage, ToolCall } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { type MessagesReading, readArguments } from './chat-messages.ts';
import { field, isJsonObject, isWish } from './json-object.ts';
import { readContent } from './message-content.ts';
import { badField, unsupportedField } from './request-body.ts';
import { absentOr } from './sampling-fields.ts';
import { badToolName, isToolName } from './tool-use.ts';

export const OLLAMA_MESSAGE_SCHEMA = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.unknown().optional(),
  images: z.unknown().optional(),
  tool_calls: z.unknown().optional(),
  tool_name: absentOr(z.string()),
  tool_call_id: absentOr(z.string().max(LIMITS.toolCallIdCharacters)),
});

type MessageBody = z.output<typeof OLLAMA_MESSAGE_SCHEMA>;

export function readOllamaMessages(bodies: readonly MessageBody[]): MessagesReading {
  const messages: ChatMessage[] = [];
  /** Calls of the latest turn that no result was given for. */
  let open: readonly ToolCall[] = [];
  for (const [index, body] of bodies.entries()) {
    const param = `messages[${index}]`;
    if (isWish(body.images)) return refused(unsupportedField(`${param}.images`, 'only text can be read'));
    const content = readContent({ role: body.role, content: body.content ?? '' }, `${param}.content`);
    if (content.type === 'refused') return content;
    const calls = body.role === 'assistant' ? readCalls(body.tool_calls ?? [], param, index) : [];
    if ('code' in calls) return refused(calls);
    const toolCallId = body.role === 'tool' ? callOf(body, open) : undefined;
    open = calls.length > 0 ? calls : open.filter(({ id }) => id !== toolCallId);
    messages.push({
      role: body.role,
      content: content.text,
      ...(calls.length === 0 ? {} : { toolCalls: calls }),
      ...(toolCallId === undefined ? {} : { toolCallId }),
    });
  }
  return { type: 'messages', messages };
}

function callOf(body: MessageBody, open: readonly ToolCall[]): string | undefined {
  const told = body.tool_call_id ?? '';
  if (told !== '') return told.toWellFormed();
  return (open.find(({ name }) => name === body.tool_name) ?? open[0])?.id;
}

function readCalls(list: unknown, place: string, message: number): readonly ToolCall[] | Failure {
  const param = `${place}.tool_calls`;
  if (!Array.isArray(list)) return badField(param, 'expected an array');
  if (list.length > LIMITS.toolCalls) return badField(param, `at most ${LIMITS.toolCalls}, got ${list.length}`);
  const calls: ToolCall[] = [];
  for (const [index, item] of list.entries()) {
    const call = readCall(item, `${param}[${index}]`, `call_of_${message}_${index}`);
    if ('code' in call) return call;
    calls.push(call);
  }
  return calls;
}

function readCall(item: unknown, param: string, ownId: string): ToolCall | Failure {
  const inner = isJsonObject(item) ? field(item, 'function') : undefined;
  if (!isJsonObject(item) || !isJsonObject(inner)) return badField(`${param}.function`, 'expected an object');
  const id = field(item, 'id') ?? ownId;
  if (typeof id !== 'string' || id.length > LIMITS.toolCallIdCharacters)
    return badField(`${param}.id`, `expected a text of at most ${LIMITS.toolCallIdCharacters} characters`);
  const name = field(inner, 'name');
  if (!isToolName(name)) return badToolName(`${param}.function.name`);
  const text = readArguments(field(inner, 'arguments'));
  if (text === undefined) return badField(`${param}.function.arguments`, 'expected an object');
  return { id: id === '' ? ownId : id.toWellFormed(), name, arguments: text };
}

function refused(failure: Failure): MessagesReading {
  return { type: 'refused', failure };
}
