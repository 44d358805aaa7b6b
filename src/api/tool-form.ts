/**
 * How does one API word the functions that it offers, and which of them must be called? Each dialect describes its fields as a
 * `ToolForm`; the reading is the same for all. `none` means that no call can come, so that nothing is offered; `allowed`
 * offers some of the list. An empty list is no list, because many clients always send one.
 * Limits: `LIMITS.tools`, and those of `tool-use.ts`.
 */
import type { Failure } from '../errors.ts';
import type { ToolUse } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { field, isJsonObject, type JsonObject } from './json-object.ts';
import { badField } from './request-body.ts';
import { NO_TOOL_USE, type OfferedTool, readToolUse, type ToolUseReading } from './tool-use.ts';

export type ToolChoice =
  | ToolUse['choice']
  | { readonly type: 'none' }
  /** Some of the offered ones. */
  | { readonly type: 'allowed'; readonly mode: 'auto' | 'required'; readonly names: readonly unknown[] };

/** What the fields are called, and what stands in them. */
export interface ToolForm {
  readonly list: string;
  readonly choice: string;
  /** The function that an element of the list describes, or what is wrong with it. */
  readonly offered: (item: JsonObject, param: string) => OfferedTool | Failure;
  /** `value`: the choice as it came, never absent; undefined where it is none. */
  readonly choose: (value: unknown) => ToolChoice | undefined;
  /** What `choose` takes, in words. */
  readonly choices: string;
  /** May an answer call several? */
  readonly parallel: (body: JsonObject) => boolean | Failure;
}

export function readToolForm(body: JsonObject, form: ToolForm): ToolUseReading {
  const offered = readList(field(body, form.list) ?? [], form);
  if ('code' in offered) return { type: 'refused', failure: offered };
  const value = field(body, form.choice);
  const choice = value === undefined ? ({ type: 'auto' } as const) : form.choose(value);
  if (choice === undefined) return refused(form.choice, `expected ${form.choices}`);
  if (choice.type === 'none' || (choice.type === 'auto' && offered.length === 0)) return NO_TOOL_USE;
  if (offered.length === 0) return refused(form.choice, `there are no ${form.list} to choose from`);
  return toToolUse(body, { form, offered, choice });
}

/** A choice among some, whose names `nameOf` finds. */
export function allowedChoice(value: unknown, nameOf: (tool: unknown) => unknown): ToolChoice | undefined {
  if (!isJsonObject(value)) return undefined;
  const mode = field(value, 'mode') ?? 'auto';
  const list = field(value, 'tools');
  if ((mode !== 'auto' && mode !== 'required') || !Array.isArray(list) || list.length > LIMITS.tools) return undefined;
  return { type: 'allowed', mode, names: list.map((tool: unknown) => nameOf(tool)) };
}

export function namedChoice(name: unknown): ToolChoice | undefined {
  return typeof name === 'string' ? { type: 'named', name } : undefined;
}

/** `parallel_tool_calls`, as OpenAI's APIs have it. */
export function readParallel(body: JsonObject): boolean | Failure {
  const parallel = field(body, 'parallel_tool_calls') ?? true;
  return typeof parallel === 'boolean' ? parallel : badField('parallel_tool_calls', 'expected a boolean');
}

interface Offer {
  readonly form: ToolForm;
  readonly offered: readonly OfferedTool[];
  readonly choice: Exclude<ToolChoice, { type: 'none' }>;
}

function toToolUse(body: JsonObject, { form, offered, choice }: Offer): ToolUseReading {
  const parallel = form.parallel(body);
  if (typeof parallel !== 'boolean') return { type: 'refused', failure: parallel };
  const more = { parallel, choiceParam: form.choice };
  if (choice.type !== 'allowed') return readToolUse(offered, choice, more);
  const allowed = offered.filter(({ name }) => choice.names.includes(name));
  const isKnown = choice.names.every((name) => allowed.some((tool) => tool.name === name));
  return isKnown && allowed.length > 0
    ? readToolUse(allowed, { type: choice.mode }, more)
    : refused(form.choice, 'allowed_tools: expected functions that are offered');
}

function readList(list: unknown, form: ToolForm): readonly OfferedTool[] | Failure {
  if (!Array.isArray(list)) return badField(form.list, 'expected an array');
  if (list.length > LIMITS.tools) return badField(form.list, `at most ${LIMITS.tools}, got ${list.length}`);
  const tools: OfferedTool[] = [];
  for (const [index, item] of list.entries()) {
    const param = `${form.list}[${index}]`;
    const tool = isJsonObject(item) ? form.offered(item, param) : badField(param, 'expected an object');
    if ('code' in tool) return tool;
    tools.push(tool);
  }
  return tools;
}

function refused(param: string, text: string): ToolUseReading {
  return { type: 'refused', failure: badField(param, text) };
}
