/**
 * Which functions does a chat completion request offer, and which must be called? Reads `tools` and `tool_choice` and, in the
 * form that they replaced, `functions` and `function_call`, of which there is at most one call.
 * Source: spec (OpenAI API description, CreateChatCompletionRequest).
 */
import { field, isJsonObject, type JsonObject } from './json-object.ts';
import { badField, unsupportedField } from './request-body.ts';
import { allowedChoice, namedChoice, readParallel, readToolForm, type ToolChoice, type ToolForm } from './tool-form.ts';
import type { OfferedTool, ToolUseReading } from './tool-use.ts';

const CHOICES = 'none, auto, required or the name of a function';

const TOOLS: ToolForm = {
  list: 'tools',
  choice: 'tool_choice',
  offered: (item, param) => {
    const type = field(item, 'type') ?? 'function';
    if (type !== 'function') return unsupportedField(`${param}.type`, 'only functions can be called');
    const inner = field(item, 'function');
    return isJsonObject(inner)
      ? toOffered(inner, `${param}.function`)
      : badField(`${param}.function`, 'expected an object that describes a function');
  },
  choose: (value) => {
    if (value === 'auto' || value === 'none' || value === 'required') return { type: value };
    if (!isJsonObject(value)) return undefined;
    if (field(value, 'type') === 'allowed_tools') return allowedChoice(field(value, 'allowed_tools'), functionNameOf);
    return namedChoice(functionNameOf(value));
  },
  choices: CHOICES,
  parallel: readParallel,
};

const FUNCTIONS: ToolForm = {
  list: 'functions',
  choice: 'function_call',
  offered: toOffered,
  choose: (value): ToolChoice | undefined => {
    if (value === 'auto' || value === 'none') return { type: value };
    return isJsonObject(value) ? namedChoice(field(value, 'name')) : undefined;
  },
  choices: CHOICES,
  parallel: () => false,
};

/** True where the answer must have `function_call` instead of `tool_calls`. */
export function isOldForm(body: JsonObject): boolean {
  const tools = field(body, TOOLS.list);
  if (tools !== undefined && (!Array.isArray(tools) || tools.length > 0)) return false;
  return field(body, FUNCTIONS.list) !== undefined || field(body, FUNCTIONS.choice) !== undefined;
}

export function readChatTools(body: JsonObject): ToolUseReading {
  return readToolForm(body, isOldForm(body) ? FUNCTIONS : TOOLS);
}

function toOffered(tool: JsonObject, param: string): OfferedTool {
  return {
    param,
    name: field(tool, 'name'),
    description: field(tool, 'description'),
    parameters: field(tool, 'parameters'),
  };
}

function functionNameOf(tool: unknown): unknown {
  const inner = isJsonObject(tool) ? field(tool, 'function') : undefined;
  return isJsonObject(inner) ? field(inner, 'name') : undefined;
}
