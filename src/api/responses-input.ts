/**
 * What was said so far, in the items of OpenAI's Responses API? A text is what the user says; messages, calls and results of
 * calls become messages of a job, and calls that follow one another, or what an assistant said, are one turn. Nothing is
 * kept between requests, so that an item that only points at an earlier one is refused; reasoning of earlier turns is
 * left out, as no model here can read it.
 * Limits: `LIMITS.messages`, `toolCalls`, `toolCallIdCharacters`. Source: spec (OpenAI API description, InputItem).
 */
import type { Failure } from '../errors.ts';
import type { ChatMessage, ToolCall } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { type MessagesReading, readArguments } from './chat-messages.ts';
import { field, isJsonObject, type JsonObject } from './json-object.ts';
import { readContent } from './message-content.ts';
import { badField, unsupportedField } from './request-body.ts';
import { badToolName, isToolName } from './tool-use.ts';

const ROLES: Readonly<Record<string, ChatMessage['role']>> = {
  user: 'user',
  assistant: 'assistant',
  system: 'system',
  developer: 'system',
};

/** `instructions`: goes before everything else, where it is not empty. */
export function readInput(input: unknown, instructions: string): MessagesReading {
  const messages: ChatMessage[] = [];
  if (instructions !== '') messages.push({ role: 'system', content: instructions.toWellFormed() });
  if (typeof input === 'string') messages.push({ role: 'user', content: input.toWellFormed() });
  else if (!Array.isArray(input) || input.length === 0)
    return refused(badField('input', 'expected a text or a list of items'));
  else {
    for (const [index, item] of input.entries()) {
      const problem = addItem(messages, item, `input[${index}]`);
      if (problem !== undefined) return refused(problem);
    }
  }
  if (messages.length > LIMITS.messages)
    return refused(badField('input', `at most ${LIMITS.messages} messages, got ${messages.length}`));
  if (messages.length === 0) return refused(badField('input', 'expected something that was said'));
  return { type: 'messages', messages };
}

function addItem(messages: ChatMessage[], item: unknown, param: string): Failure | undefined {
  if (!isJsonObject(item)) return badField(param, 'expected an object');
  const type = field(item, 'type') ?? 'message';
  switch (type) {
    case 'message':
      return addMessage(messages, item, param);
    case 'function_call':
      return addCall(messages, item, param);
    case 'function_call_output':
      return addResult(messages, item, param);
    case 'reasoning':
      return undefined;
    case 'item_reference':
      return unsupportedField(`${param}.type`, 'nothing is stored here: send the item itself');
    default:
      return unsupportedField(`${param}.type`, 'only message, function_call and function_call_output are supported');
  }
}

function addMessage(messages: ChatMessage[], item: JsonObject, param: string): Failure | undefined {
  const name = field(item, 'role');
  const role = typeof name === 'string' && Object.hasOwn(ROLES, name) ? ROLES[name] : undefined;
  if (role === undefined) return badField(`${param}.role`, 'expected user, assistant, system or developer');
  const content = readContent({ role, content: field(item, 'content') }, `${param}.content`);
  if (content.type === 'refused') return content.failure;
  messages.push({ role, content: content.text });
  return undefined;
}

function addCall(messages: ChatMessage[], item: JsonObject, param: string): Failure | undefined {
  const id = readCallId(item, param);
  if (typeof id !== 'string') return id;
  const name = field(item, 'name');
  if (!isToolName(name)) return badToolName(`${param}.name`);
  const text = readArguments(field(item, 'arguments'));
  if (text === undefined) return badField(`${param}.arguments`, 'expected a text');
  const call: ToolCall = { id, name, arguments: text };
  const last = messages.at(-1);
  if (last?.role !== 'assistant') {
    messages.push({ role: 'assistant', content: '', toolCalls: [call] });
    return undefined;
  }
  const toolCalls = [...(last.toolCalls ?? []), call];
  if (toolCalls.length > LIMITS.toolCalls) return badField(param, `at most ${LIMITS.toolCalls} calls in a row`);
  messages[messages.length - 1] = { ...last, toolCalls };
  return undefined;
}

function addResult(messages: ChatMessage[], item: JsonObject, param: string): Failure | undefined {
  const toolCallId = readCallId(item, param);
  if (typeof toolCallId !== 'string') return toolCallId;
  const content = readContent({ role: 'tool', content: field(item, 'output') }, `${param}.output`);
  if (content.type === 'refused') return content.failure;
  messages.push({ role: 'tool', content: content.text, toolCallId });
  return undefined;
}

function readCallId(item: JsonObject, param: string): string | Failure {
  const id = field(item, 'call_id');
  return typeof id === 'string' && id.length <= LIMITS.toolCallIdCharacters
    ? id.toWellFormed()
    : badField(`${param}.call_id`, `expected a text of at most ${LIMITS.toolCallIdCharacters} characters`);
}

function refused(failure: Failure): MessagesReading {
  return { type: 'refused', failure };
}
