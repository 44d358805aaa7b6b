/**
 * How is a model told about functions, its former calls and their results, whatever its chat template knows? In words, as messages that
 * every template has: the functions stand in the system message, calls in the assistant's text as `tool-text.ts` writes them,
 * results in a message of the user. Word for word what Qwen's and Hermes' own templates make of them, so that models which were
 * trained on that see what they know; others follow the description, and the grammar sees to the rest.
 * Limits: a template with another syntax of its own is not used for it. Source: copied (Qwen2.5, Hermes 2 Pro).
 */
import type { ChatMessage, Job, Tool } from '../engine.ts';
import { encodeToolCall } from '../tool-text.ts';

const BEFORE_TOOLS =
  '# Tools\n\nYou may call one or more functions to assist with the user query.\n\n' +
  'You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n';
const BEHIND_TOOLS =
  '\n</tools>\n\nFor each function call, return a json object with function name and arguments within ' +
  '<tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>';

/** The conversation without anything that only some templates know. */
export function plainMessages({ messages, toolUse }: Pick<Job, 'messages' | 'toolUse'>): readonly ChatMessage[] {
  const plain: ChatMessage[] = [];
  let wasTool = false;
  for (const message of messages) {
    const before = plain.at(-1);
    if (message.role === 'tool' && wasTool && before !== undefined)
      plain[plain.length - 1] = { ...before, content: `${before.content}\n${resultText(message)}` };
    else plain.push(plainMessage(message));
    wasTool = message.role === 'tool';
  }
  return toolUse === undefined ? plain : withTools(plain, toolUse.tools);
}

function plainMessage(message: ChatMessage): ChatMessage {
  const { role, content, name, toolCalls = [] } = message;
  if (role === 'tool') return { role: 'user', content: resultText(message) };
  const calls = toolCalls.map((call) => encodeToolCall(call.name, call.arguments));
  const text = [...(content === '' ? [] : [content]), ...calls].join('\n');
  return { role, content: text, ...(name === undefined ? {} : { name }) };
}

function resultText({ content }: ChatMessage): string {
  return `<tool_response>\n${content}\n</tool_response>`;
}

function withTools(messages: readonly ChatMessage[], tools: readonly Tool[]): readonly ChatMessage[] {
  const text = BEFORE_TOOLS + tools.map(toolText).join('\n') + BEHIND_TOOLS;
  const [first, ...rest] = messages;
  if (first?.role !== 'system') return [{ role: 'system', content: text }, ...messages];
  return [{ ...first, content: `${first.content}\n\n${text}` }, ...rest];
}

/** On one line. */
function toolText({ name, description, parameters }: Tool): string {
  const schema: unknown = JSON.parse(parameters);
  return JSON.stringify({ type: 'function', function: { name, description, parameters: schema } });
}
