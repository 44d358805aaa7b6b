/**
 * What does a request of OpenAI's Responses API ask of the mesh? Turns the body of POST /v1/responses into a job, or into one
 * failure that names the field at fault. Stateless: nothing is stored, whatever `store` says, so that everything which needs
 * an earlier response (`previous_response_id`, `conversation`, `background`, stored prompts) is refused with the reason.
 * What only tunes (`reasoning`, `truncation`, `service_tier`, other wishes in `include`) is ignored.
 * Limits: as a chat completion request. Source: spec (OpenAI API description, CreateResponse).
 */
import { z } from 'zod';
import type { Failure } from '../errors.ts';
import type { Grammars } from '../inference/answer-format.ts';
import type { Job } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { constrainedJob } from './constrained-job.ts';
import { field, isJsonObject, isWish, type JsonObject } from './json-object.ts';
import { badField, checkCounts, failureOfIssue, unsupportedField } from './request-body.ts';
import { readInput } from './responses-input.ts';
import { type ResponseSettings, settingsOf } from './responses-settings.ts';
import { absentOr, readCommon, SAMPLING_FIELDS } from './sampling-fields.ts';
import { allowedChoice, namedChoice, readParallel, readToolForm, type ToolForm } from './tool-form.ts';

/** Source: spec (OpenAI). */
const METADATA = { pairs: 16, keyLength: 64, valueLength: 512 };
const LOGPROBS = 'message.output_text.logprobs';

export const SCHEMA = z
  .object(SAMPLING_FIELDS)
  .omit({ n: true, max_tokens: true, stream_options: true })
  .extend({
    max_output_tokens: SAMPLING_FIELDS.max_tokens,
    instructions: absentOr(z.string()),
    top_logprobs: absentOr(z.int().min(0).max(LIMITS.topLogprobs)),
    metadata: absentOr(z.record(z.string().max(METADATA.keyLength), z.string().max(METADATA.valueLength))),
    text: absentOr(z.object({ format: z.unknown().optional() })),
  });

type ResponsesBody = z.output<typeof SCHEMA>;

const TOOLS: ToolForm = {
  list: 'tools',
  choice: 'tool_choice',
  offered: (item, param) =>
    field(item, 'type') === 'function'
      ? {
          param,
          name: field(item, 'name'),
          description: field(item, 'description'),
          parameters: field(item, 'parameters'),
        }
      : unsupportedField(`${param}.type`, 'only tools of type "function" can be called'),
  choose: (value) => {
    if (value === 'auto' || value === 'none' || value === 'required') return { type: value };
    if (!isJsonObject(value)) return undefined;
    const type = field(value, 'type');
    if (type === 'allowed_tools') return allowedChoice(value, nameOf);
    return type === 'function' ? namedChoice(nameOf(value)) : undefined;
  },
  choices: 'none, auto, required or the name of a function',
  parallel: readParallel,
};

/** Fields that need something stored, or work that goes on without the client, and why there is none. */
const UNSUPPORTED: readonly (readonly [name: string, why: string])[] = [
  ['previous_response_id', 'responses are not stored here: send the earlier items in input'],
  ['conversation', 'conversations are not stored here: send the earlier items in input'],
  ['prompt', 'prompts are not stored here: send instructions and input'],
  ['background', 'responses are not stored here, so that nothing could be fetched later: leave it out'],
];

export interface ParsedResponses {
  readonly job: Job;
  readonly stream: boolean;
  readonly sessionKey: string;
  /** What of the request stands in the response. */
  readonly settings: ResponseSettings;
}

export type ResponsesParse =
  | { readonly type: 'responses'; readonly responses: ParsedResponses }
  | { readonly type: 'refused'; readonly failure: Failure };

export function parseResponsesRequest(
  body: JsonObject,
  context: { readonly sessionHeader: string | undefined; readonly grammars: Grammars },
): ResponsesParse {
  const early = refuseEarly(body);
  if (early !== undefined) return refused(early);
  const tools = readToolForm(body, TOOLS);
  if (tools.type === 'refused') return tools;
  const parsed = SCHEMA.safeParse(body);
  if (!parsed.success) return refused(failureOfIssue(parsed.error));
  const { data } = parsed;
  const maxTokens = data.max_output_tokens ?? undefined;
  const logprobs = logprobsOf(body, data);
  const read = readCommon({ body: data, sessionHeader: context.sessionHeader, maxTokens, logprobs });
  if (read.type === 'refused') return read;
  const input = readInput(field(body, 'input'), data.instructions ?? '');
  if (input.type === 'refused') return input;
  const { model, sampling, stream, sessionKey } = read.common;
  const constraints = { format: inner(data.text?.format), toolUse: tools.toolUse, grammars: context.grammars };
  const made = constrainedJob({ model, messages: input.messages, sampling }, constraints);
  if (made.type === 'refused') return made;
  const { job } = made;
  return { type: 'responses', responses: { job, stream, sessionKey, settings: settingsOf(body, data, job) } };
}

function refuseEarly(body: JsonObject): Failure | undefined {
  for (const [name, why] of UNSUPPORTED) if (isWish(field(body, name))) return unsupportedField(name, why);
  const choices = field(body, 'n');
  if (typeof choices === 'number' && choices !== 1)
    return unsupportedField('n', 'there is one answer here: leave it out');
  const metadata = field(body, 'metadata');
  if (isJsonObject(metadata) && Object.keys(metadata).length > METADATA.pairs)
    return badField('metadata', `at most ${METADATA.pairs} pairs`);
  return checkCounts(body, [
    ['input', LIMITS.messages],
    ['stop', LIMITS.stopSequences],
  ]);
}

/** Asked for by a number, or by a word. */
function logprobsOf(body: JsonObject, { top_logprobs: top }: ResponsesBody): number | undefined {
  const include = field(body, 'include');
  const isIncluded = Array.isArray(include) && include.includes(LOGPROBS);
  return isIncluded || isWish(top) ? (top ?? 0) : undefined;
}

/** The form of a chat completion request, which has the schema one level deeper. */
function inner(format: unknown): unknown {
  if (!isJsonObject(format) || field(format, 'type') !== 'json_schema') return format;
  return { type: 'json_schema', json_schema: format };
}

function nameOf(tool: unknown): unknown {
  return isJsonObject(tool) ? field(tool, 'name') : undefined;
}

function refused(failure: Failure): ResponsesParse {
  return { type: 'refused', failure };
}
