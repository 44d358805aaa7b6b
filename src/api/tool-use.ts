/**
 * Which functions may an answer call? The same for every dialect, once it has found its fields: names, sizes and numbers are
 * checked here, schemas become text, and a choice that names no offered function is refused. Whether a grammar can follow
 * a schema is for the engine to say, as many agents send schemas that they do not mean to the letter.
 * Limits: `LIMITS.tools`, `toolNameCharacters`, `toolBytes` for all descriptions and schemas together.
 */
import { utf8 } from '../bytes.ts';
import type { Failure } from '../errors.ts';
import type { Tool, ToolUse } from '../inference/engine.ts';
import { canonicalText } from '../inference/schema-grammar/json-text.ts';
import { LIMITS } from '../params.ts';
import { isJsonObject } from './json-object.ts';
import { badField } from './request-body.ts';

/** A function as a client described it, and how the client names the place. */
export interface OfferedTool {
  readonly param: string;
  readonly name: unknown;
  readonly description: unknown;
  /** A schema; absent = no arguments. */
  readonly parameters: unknown;
  /** How the client names the schema, where that is not `parameters`. */
  readonly parametersName?: string;
}

export type ToolUseReading =
  /** Undefined = no calls. */
  | { readonly type: 'tool-use'; readonly toolUse: ToolUse | undefined }
  | { readonly type: 'refused'; readonly failure: Failure };

export const NO_TOOL_USE: ToolUseReading = { type: 'tool-use', toolUse: undefined };

const NAME = /^[A-Za-z0-9_-]+$/;
const NO_ARGUMENTS = '{"properties":{},"type":"object"}';

/** `choiceParam`: how the client names the choice. */
export function readToolUse(
  offered: readonly OfferedTool[],
  choice: ToolUse['choice'],
  more: { readonly parallel: boolean; readonly choiceParam: string },
): ToolUseReading {
  const tools: Tool[] = [];
  const names = new Set<string>();
  let bytes = 0;
  for (const one of offered) {
    const tool = readTool(one);
    if ('code' in tool) return { type: 'refused', failure: tool };
    if (names.has(tool.name)) return refused(`${one.param}.name`, 'another one has this name');
    names.add(tool.name);
    bytes += utf8((tool.description ?? '') + tool.parameters).length;
    if (bytes > LIMITS.toolBytes)
      return refused(one.param, `all descriptions and schemas together have at most ${LIMITS.toolBytes} bytes`);
    tools.push(tool);
  }
  if (choice.type === 'named' && !names.has(choice.name)) return refused(more.choiceParam, 'nothing has this name');
  return { type: 'tool-use', toolUse: { tools, choice, parallel: more.parallel } };
}

/** True where `name` may be that of a function, also of one in an earlier message. */
export function isToolName(name: unknown): name is string {
  return typeof name === 'string' && name.length <= LIMITS.toolNameCharacters && NAME.test(name);
}

export function badToolName(param: string): Failure {
  return badField(param, `expected up to ${LIMITS.toolNameCharacters} letters, digits, "_" and "-"`);
}

function readTool({
  param,
  name,
  description,
  parameters,
  parametersName = 'parameters',
}: OfferedTool): Tool | Failure {
  if (!isToolName(name)) return badToolName(`${param}.name`);
  if (description !== undefined && typeof description !== 'string')
    return badField(`${param}.description`, 'expected a text');
  if (parameters !== undefined && !isJsonObject(parameters))
    return badField(`${param}.${parametersName}`, 'expected a JSON schema of an object');
  const schema = parameters === undefined ? NO_ARGUMENTS : canonicalText(parameters);
  if (schema === undefined) return badField(`${param}.${parametersName}`, 'holds a number that is too large');
  const said = description?.toWellFormed() ?? '';
  return { name, ...(said === '' ? {} : { description: said }), parameters: schema };
}

function refused(param: string, text: string): ToolUseReading {
  return { type: 'refused', failure: badField(param, text) };
}
