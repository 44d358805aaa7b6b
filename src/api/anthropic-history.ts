/**
 * What was said so far, in the blocks of Anthropic's messages? One of theirs may be several of ours: each result of a call is a
 * message of its own, before or after what the user says besides. What an assistant said and called is one. Thinking of
 * earlier turns is left out, as no model here can read it; images and documents are refused, never dropped.
 * A failed call says so in its text, because models here know no other way. An assistant's words at the end, which
 * Anthropic's older models go on with, are refused: the answer here would be another turn.
 * Limits: `LIMITS.messages`, `toolCalls`, `toolCallIdCharacters`. Source: spec (Anthropic API, Messages).
 */
import type { Failure } from '../errors.ts';
import type { ChatMessage, ToolCall } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { type MessagesReading, readArguments } from './chat-messages.ts';
import { field, isJsonObject, type JsonObject } from './json-object.ts';
import { readContent } from './message-content.ts';
import { badField, unsupportedField } from './request-body.ts';
import { badToolName, isToolName } from './tool-use.ts';

const FAILED = 'Error: ';
const THOUGHTS: ReadonlySet<unknown> = new Set(['thinking', 'redacted_thinking']);

export function readHistory(system: unknown, messages: readonly unknown[]): MessagesReading {
  const history: ChatMessage[] = [];
  const problem = readSystem(history, system) ?? addAll(history, messages);
  if (problem !== undefined) return { type: 'refused', failure: problem };
  if (history.length > LIMITS.messages)
    return {
      type: 'refused',
      failure: badField('messages', `at most ${LIMITS.messages}, results of calls counted, got ${history.length}`),
    };
  return { type: 'messages', messages: history };
}

function readSystem(history: ChatMessage[], system: unknown): Failure | undefined {
  if (system === undefined) return undefined;
  const content = readContent({ role: 'system', content: system }, 'system');
  if (content.type === 'refused') return content.failure;
  if (content.text !== '') history.push({ role: 'system', content: content.text });
  return undefined;
}

function addAll(history: ChatMessage[], messages: readonly unknown[]): Failure | undefined {
  for (const [index, message] of messages.entries()) {
    const param = `messages[${index}]`;
    const problem = isJsonObject(message) ? addMessage(history, message, param) : badField(param, 'expected an object');
    if (problem !== undefined) return problem;
  }
  return history.at(-1)?.role === 'assistant'
    ? unsupportedField('messages', 'the last one must be of the user: a begun answer cannot be gone on with')
    : undefined;
}

function addMessage(history: ChatMessage[], message: JsonObject, param: string): Failure | undefined {
  const role = field(message, 'role');
  const content = field(message, 'content');
  const place = `${param}.content`;
  if (role === 'assistant')
    return addAssistant(history, Array.isArray(content) ? content : [textBlock(content)], place);
  if (role === 'user' || role === 'system')
    return addTurn(history, { role, blocks: Array.isArray(content) ? content : [textBlock(content)] }, place);
  return badField(`${param}.role`, 'expected user or assistant');
}

/** A content that is no list is one text, or wrong where that is read. */
function textBlock(content: unknown): unknown {
  return { type: 'text', text: content };
}

interface Turn {
  readonly role: 'user' | 'system';
  readonly blocks: readonly unknown[];
}

/** Texts between two results are one message. */
function addTurn(history: ChatMessage[], { role, blocks }: Turn, param: string): Failure | undefined {
  let texts: unknown[] = [];
  const flush = (): Failure | undefined => {
    const content = readContent({ role, content: texts }, param);
    if (content.type === 'refused') return content.failure;
    if (texts.length > 0) history.push({ role, content: content.text });
    texts = [];
    return undefined;
  };
  for (const [index, block] of blocks.entries()) {
    const isResult = isJsonObject(block) && field(block, 'type') === 'tool_result';
    const wrong = isResult ? undefined : notText(block, `${param}[${index}]`);
    if (wrong !== undefined) return wrong;
    if (!isResult) {
      texts.push(block);
      continue;
    }
    const problem = flush() ?? addResult(history, block, `${param}[${index}]`);
    if (problem !== undefined) return problem;
  }
  return blocks.length === 0 ? badField(param, 'expected at least one block') : flush();
}

/** What is wrong with a block, with its own place. */
function notText(block: unknown, param: string): Failure | undefined {
  if (!isJsonObject(block)) return badField(param, 'expected an object with a type');
  const type = field(block, 'type');
  if (typeof type !== 'string') return badField(param, 'expected an object with a type');
  if (type !== 'text')
    return unsupportedField(param, `only text is supported here, not "${type.slice(0, 40).toWellFormed()}"`);
  return typeof field(block, 'text') === 'string' ? undefined : badField(`${param}.text`, 'expected a text');
}

function addResult(history: ChatMessage[], block: JsonObject, param: string): Failure | undefined {
  const toolCallId = readId(field(block, 'tool_use_id'), `${param}.tool_use_id`);
  if (typeof toolCallId !== 'string') return toolCallId;
  const content = readContent({ role: 'tool', content: field(block, 'content') }, `${param}.content`);
  if (content.type === 'refused') return content.failure;
  const failed = field(block, 'is_error') === true && !content.text.startsWith(FAILED) ? FAILED : '';
  history.push({ role: 'tool', content: failed + content.text, toolCallId });
  return undefined;
}

function addAssistant(history: ChatMessage[], blocks: readonly unknown[], param: string): Failure | undefined {
  const texts: unknown[] = [];
  const toolCalls: ToolCall[] = [];
  for (const [index, block] of blocks.entries()) {
    const place = `${param}[${index}]`;
    const type = isJsonObject(block) ? field(block, 'type') : undefined;
    if (THOUGHTS.has(type)) continue;
    if (isJsonObject(block) && type === 'tool_use') {
      const call = readCall(block, place);
      if ('code' in call) return call;
      toolCalls.push(call);
      continue;
    }
    const wrong = notText(block, place);
    if (wrong !== undefined) return wrong;
    texts.push(block);
  }
  if (toolCalls.length > LIMITS.toolCalls) return badField(param, `at most ${LIMITS.toolCalls} calls`);
  const content = readContent({ role: 'assistant', content: texts }, param);
  if (content.type === 'refused') return content.failure;
  history.push({ role: 'assistant', content: content.text, ...(toolCalls.length === 0 ? {} : { toolCalls }) });
  return undefined;
}

function readCall(block: JsonObject, param: string): ToolCall | Failure {
  const id = readId(field(block, 'id'), `${param}.id`);
  if (typeof id !== 'string') return id;
  const name = field(block, 'name');
  if (!isToolName(name)) return badToolName(`${param}.name`);
  const text = readArguments(field(block, 'input'));
  return text === undefined ? badField(`${param}.input`, 'expected an object') : { id, name, arguments: text };
}

function readId(id: unknown, param: string): string | Failure {
  return typeof id === 'string' && id.length <= LIMITS.toolCallIdCharacters
    ? id.toWellFormed()
    : badField(param, `expected a text of at most ${LIMITS.toolCallIdCharacters} characters`);
}
