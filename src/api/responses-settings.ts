/**
 * Which parts of a request stand again in OpenAI's response object? What the answer was held to: numbers with their
 * defaults, the functions and the choice as they were understood, the format, the client's own metadata. `store` is always
 * false and `previous_response_id` null, because nothing is kept.
 */
import type { AnswerFormat, Job, ToolUse } from '../inference/engine.ts';
import { field, type JsonObject } from './json-object.ts';

export type ResponseSettings = Readonly<Record<string, unknown>>;

/** The fields that a schema has read. */
interface ReadFields {
  readonly instructions?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | null | undefined;
  readonly user?: unknown;
  readonly prompt_cache_key?: unknown;
}

/** `body`: checked as far as the job came of it. */
export function settingsOf(body: JsonObject, fields: ReadFields, job: Job): ResponseSettings {
  const { sampling, toolUse, format } = job;
  const parallel = field(body, 'parallel_tool_calls');
  return {
    background: false,
    instructions: fields.instructions ?? null,
    max_output_tokens: sampling.maxTokens ?? null,
    metadata: fields.metadata ?? {},
    parallel_tool_calls: toolUse?.parallel ?? parallel !== false,
    previous_response_id: null,
    prompt_cache_key: textOr(fields.prompt_cache_key),
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    store: false,
    temperature: sampling.temperature,
    text: { format: formatBody(format) },
    tool_choice: choiceBody(toolUse, field(body, 'tool_choice')),
    tools: toolUse?.tools.map(toolBody) ?? [],
    top_logprobs: sampling.logprobs ?? 0,
    top_p: sampling.topP,
    truncation: 'disabled',
    user: textOr(fields.user),
  };
}

function toolBody({ name, description, parameters }: ToolUse['tools'][number]): object {
  return {
    type: 'function',
    name,
    description: description ?? null,
    parameters: JSON.parse(parameters),
    strict: false,
  };
}

function choiceBody(toolUse: ToolUse | undefined, asked: unknown): unknown {
  if (toolUse === undefined) return asked === 'none' ? 'none' : 'auto';
  const { choice } = toolUse;
  return choice.type === 'named' ? { type: 'function', name: choice.name } : choice.type;
}

function formatBody(format: AnswerFormat | undefined): object {
  if (format?.type === 'json-object') return { type: 'json_object' };
  if (format?.type !== 'json-schema') return { type: 'text' };
  const { name, schema, strict } = format;
  return { type: 'json_schema', name, schema: JSON.parse(schema), strict };
}

/** Hints may be anything; only texts are said again. */
function textOr(hint: unknown): string | null {
  return typeof hint === 'string' ? hint : null;
}
