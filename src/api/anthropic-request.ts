/**
 * What does a request of Anthropic's Messages API ask of the mesh? Turns the body of POST /v1/messages into a job, or into one
 * failure that names the field at fault. `max_tokens` is required, the temperature ends at 1, as there. What only tunes
 * (`thinking`, `cache_control`, `context_management`, `effort`) is ignored; tools that run at Anthropic, and containers for
 * them, are refused. `output_config.format` becomes the format of the answer, followed to the letter.
 * Limits: as a chat completion request. Source: spec (Anthropic API, Messages).
 */
import { z } from 'zod';
import type { Failure } from '../errors.ts';
import type { Grammars } from '../inference/answer-format.ts';
import type { Job } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { THREAD } from './anthropic-error.ts';
import { readHistory } from './anthropic-history.ts';
import { constrainedJob } from './constrained-job.ts';
import { field, isJsonObject, isWish, type JsonObject } from './json-object.ts';
import { badField, checkCounts, failureOfIssue, unsupportedField } from './request-body.ts';
import { absentOr, readCommon, SAMPLING_FIELDS } from './sampling-fields.ts';
import { namedChoice, readToolForm, type ToolForm } from './tool-form.ts';

export const SCHEMA = z.object({
  model: SAMPLING_FIELDS.model,
  stream: SAMPLING_FIELDS.stream,
  top_p: SAMPLING_FIELDS.top_p,
  top_k: SAMPLING_FIELDS.top_k,
  messages: z.array(z.unknown()).min(1),
  max_tokens: z.int().min(1).max(LIMITS.answerTokens),
  temperature: absentOr(z.number().min(0).max(1)),
  stop_sequences: absentOr(z.array(z.string())),
});

const TOOLS: ToolForm = {
  list: 'tools',
  choice: 'tool_choice',
  offered: (item, param) =>
    (field(item, 'type') ?? 'custom') === 'custom'
      ? {
          param,
          name: field(item, 'name'),
          description: field(item, 'description'),
          parameters: field(item, 'input_schema'),
          parametersName: 'input_schema',
        }
      : unsupportedField(`${param}.type`, 'only tools that the client runs ("custom") can be called'),
  choose: (value) => {
    if (!isJsonObject(value)) return undefined;
    const type = field(value, 'type');
    if (type === 'auto' || type === 'none') return { type };
    if (type === 'any') return { type: 'required' };
    return type === 'tool' ? namedChoice(field(value, 'name')) : undefined;
  },
  choices: 'an object of type auto, any, none, or tool with a name',
  parallel: (body) => {
    const choice = field(body, 'tool_choice');
    const disabled = (isJsonObject(choice) ? field(choice, 'disable_parallel_tool_use') : undefined) ?? false;
    return typeof disabled === 'boolean'
      ? !disabled
      : badField('tool_choice', 'disable_parallel_tool_use: expected a boolean');
  },
};

/** Fields that need something which runs or is kept at Anthropic. */
const UNSUPPORTED = ['mcp_servers', 'container'];

export interface ParsedMessages {
  readonly job: Job;
  readonly stream: boolean;
  readonly sessionKey: string;
}

export type MessagesParse =
  | { readonly type: 'messages'; readonly messages: ParsedMessages }
  | { readonly type: 'refused'; readonly failure: Failure };

export function parseMessagesRequest(
  body: JsonObject,
  context: { readonly sessionHeader: string | undefined; readonly grammars: Grammars },
): MessagesParse {
  const early = refuseEarly(body);
  if (early !== undefined) return refused(early);
  const tools = readToolForm(body, TOOLS);
  if (tools.type === 'refused') return tools;
  const parsed = SCHEMA.safeParse(body);
  if (!parsed.success) return refused(failureOfIssue(parsed.error));
  const { messages, max_tokens: maxTokens, stop_sequences: stop, ...sampling } = parsed.data;
  const common = readCommon({
    body: { ...sampling, stop, user: userOf(body) },
    sessionHeader: context.sessionHeader,
    maxTokens,
    logprobs: undefined,
  });
  if (common.type === 'refused') return common;
  const history = readHistory(field(body, 'system'), messages);
  if (history.type === 'refused') return history;
  const { model, sampling: sampled, stream, sessionKey } = common.common;
  const constraints = { format: formatOf(body), toolUse: tools.toolUse, grammars: context.grammars };
  const made = constrainedJob({ model, messages: history.messages, sampling: sampled }, constraints);
  if (made.type === 'refused') return made;
  return { type: 'messages', messages: { job: made.job, stream, sessionKey } };
}

function refuseEarly(body: JsonObject): Failure | undefined {
  // Whoever goes on with one sends the new messages only: the answer would be to those alone.
  if (isWish(field(body, THREAD)))
    return unsupportedField(THREAD, 'conversations are not stored here: send all messages, without it');
  const unsupported = UNSUPPORTED.find((name) => isWish(field(body, name)));
  if (unsupported !== undefined) return unsupportedField(unsupported, 'not supported here: leave it out');
  return checkCounts(body, [
    ['messages', LIMITS.messages],
    ['stop_sequences', LIMITS.stopSequences],
  ]);
}

/** A hint, used where it is a text. */
function userOf(body: JsonObject): unknown {
  const metadata = field(body, 'metadata');
  return isJsonObject(metadata) ? field(metadata, 'user_id') : undefined;
}

/** As a chat completion request has it; `output_format` is the older name. */
function formatOf(body: JsonObject): unknown {
  const config = field(body, 'output_config');
  const format = (isJsonObject(config) ? field(config, 'format') : undefined) ?? field(body, 'output_format');
  if (!isJsonObject(format) || field(format, 'type') !== 'json_schema') return format;
  return { type: 'json_schema', json_schema: { schema: field(format, 'schema') } };
}

function refused(failure: Failure): MessagesParse {
  return { type: 'refused', failure };
}
