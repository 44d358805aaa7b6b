/**
 * What was said so far? Turns the messages of a chat completion request into those of a job: content, the calls that an assistant
 * made, and what came of them. `developer` is a system, and the older `function_call` and role `function` become calls
 * and results with ids of our own, each result being that of the latest call of its function. Arguments that a model once
 * got wrong are passed on as they are: refusing them would end every conversation in which that happened.
 * Limits: `LIMITS.messages`, `toolCalls`, `toolCallIdCharacters`.
 */
import { z } from 'zod';
import type { Failure } from '../errors.ts';
import type { ChatMessage, ToolCall } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { field, isJsonObject } from './json-object.ts';
import { readContent } from './message-content.ts';
import { badField, unsupportedField } from './request-body.ts';
import { absentOr } from './sampling-fields.ts';
import { badToolName, isToolName } from './tool-use.ts';

/** Source: spec (OpenAI allows 64 characters), twice that. */
const NAME_LENGTH_MAX = 128;

export const MESSAGE_SCHEMA = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: z.unknown().optional(),
  name: absentOr(z.string().max(NAME_LENGTH_MAX)),
  tool_call_id: absentOr(z.string().max(LIMITS.toolCallIdCharacters)),
  // Of an assistant; elsewhere they mean nothing.
  tool_calls: z.unknown().optional(),
  function_call: z.unknown().optional(),
});

type MessageBody = z.output<typeof MESSAGE_SCHEMA>;

export type MessagesReading =
  | { readonly type: 'messages'; readonly messages: readonly ChatMessage[] }
  | { readonly type: 'refused'; readonly failure: Failure };

export function readMessages(bodies: readonly MessageBody[]): MessagesReading {
  const messages: ChatMessage[] = [];
  for (const [index, body] of bodies.entries()) {
    const param = `messages[${index}]`;
    const content = readContent(body, `${param}.content`);
    if (content.type === 'refused') return content;
    const calls = body.role === 'assistant' ? readCalls(body, param) : [];
    if ('code' in calls) return { type: 'refused', failure: calls };
    const name = body.name?.toWellFormed();
    const toolCallId = resultOf(body, messages);
    messages.push({
      role: toRole(body.role),
      content: content.text,
      ...(name === undefined ? {} : { name }),
      ...(calls.length === 0 ? {} : { toolCalls: calls }),
      ...(toolCallId === undefined ? {} : { toolCallId }),
    });
  }
  return { type: 'messages', messages };
}

/** Arguments as a model wrote them: text, or the object itself as some clients send it back. */
export function readArguments(value: unknown): string | undefined {
  if (value === undefined || value === '') return '{}';
  if (typeof value === 'string') return value.toWellFormed();
  return isJsonObject(value) ? JSON.stringify(value).toWellFormed() : undefined;
}

function toRole(role: MessageBody['role']): ChatMessage['role'] {
  if (role === 'developer') return 'system';
  return role === 'function' ? 'tool' : role;
}

function resultOf(body: MessageBody, before: readonly ChatMessage[]): string | undefined {
  if (body.role === 'tool') return body.tool_call_id?.toWellFormed();
  if (body.role !== 'function') return undefined;
  const caller = before.findLast(({ toolCalls }) => toolCalls?.some(({ name }) => name === body.name) ?? false);
  return caller?.toolCalls?.find(({ name }) => name === body.name)?.id;
}

function readCalls(body: MessageBody, param: string): readonly ToolCall[] | Failure {
  const list = body.tool_calls ?? [];
  if (!Array.isArray(list)) return badField(`${param}.tool_calls`, 'expected an array');
  if (list.length > LIMITS.toolCalls)
    return badField(`${param}.tool_calls`, `at most ${LIMITS.toolCalls}, got ${list.length}`);
  if (list.length === 0) return readOldCall(body, param);
  const calls: ToolCall[] = [];
  for (const [index, item] of list.entries()) {
    const call = readCall(item, `${param}.tool_calls[${index}]`);
    if ('code' in call) return call;
    calls.push(call);
  }
  return calls;
}

function readCall(item: unknown, param: string): ToolCall | Failure {
  if (!isJsonObject(item)) return badField(param, 'expected an object');
  if ((field(item, 'type') ?? 'function') !== 'function')
    return unsupportedField(`${param}.type`, 'only functions can be called');
  const id = field(item, 'id');
  if (typeof id !== 'string' || id.length > LIMITS.toolCallIdCharacters)
    return badField(`${param}.id`, `expected a text of at most ${LIMITS.toolCallIdCharacters} characters`);
  return readFunction(field(item, 'function'), id.toWellFormed(), `${param}.function`);
}

function readOldCall(body: MessageBody, param: string): readonly ToolCall[] | Failure {
  const value = body.function_call ?? undefined;
  if (value === undefined) return [];
  const call = readFunction(value, `call_of_${param.replaceAll(/\D/g, '')}`, `${param}.function_call`);
  return 'code' in call ? call : [call];
}

function readFunction(value: unknown, id: string, param: string): ToolCall | Failure {
  if (!isJsonObject(value)) return badField(param, 'expected an object with a name and arguments');
  const name = field(value, 'name');
  if (!isToolName(name)) return badToolName(`${param}.name`);
  const text = readArguments(field(value, 'arguments'));
  return text === undefined ? badField(`${param}.arguments`, 'expected a text') : { id, name, arguments: text };
}
