/**
 * What is sent to an OpenAI-compatible server for one job, and where? The body keeps to the fields that Ollama, vLLM,
 * llama-server and LM Studio share, and leaves out what equals their defaults, because strict servers refuse what
 * they do not know. An answer begun elsewhere goes on as a trailing assistant message: llama-server and Ollama continue such a
 * message by themselves, vLLM when told by `continue_final_message`, which the others ignore.
 */
import { type Failure, failure } from '../errors.ts';
import type { AnswerFormat, ChatMessage, Job, Sampling, ToolUse } from './engine.ts';

export interface UpstreamUrl {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path before "/models" and "/chat/completions", without a closing slash: usually "/v1". */
  readonly apiPath: string;
  /** The same without "/v1": where servers keep what is not OpenAI's. */
  readonly rootPath: string;
}

type ParsedUrl =
  { readonly type: 'url'; readonly url: UpstreamUrl } | { readonly type: 'invalid'; readonly failure: Failure };

/** Largest url of a base url. Source: guess. */
const URL_CHARACTERS_MAX = 2_048;

/** Checks the configured base url, so that a typing error is told at the start and not per request. */
export function parseUpstreamUrl(text: string): ParsedUrl {
  if (text.length > URL_CHARACTERS_MAX) return invalid(`has at most ${URL_CHARACTERS_MAX} characters`);
  if (!URL.canParse(text)) return invalid('must look like http://127.0.0.1:11434/v1');
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return invalid('must begin with http:// or https://');
  if (url.username !== '' || url.password !== '') return invalid('must not hold a password; use the api key setting');
  if (url.search !== '' || url.hash !== '') return invalid('must end with its path: no "?" and no "#"');
  const apiPath = url.pathname.replace(/\/+$/, '');
  return { type: 'url', url: { origin: url.origin, apiPath, rootPath: apiPath.replace(/\/v1$/, '') } };
}

export interface UpstreamRequest {
  /** Behind `apiPath`. */
  readonly path: string;
  readonly body: string;
}

/** Of a chat, or of a text that goes on. `model` is the name that the upstream itself uses. */
export function answerRequest(job: Job, model: string): UpstreamRequest {
  const { task } = job;
  if (task?.type !== 'completion') return { path: '/chat/completions', body: chatBody(job, model) };
  const { sampling, resume } = job;
  const { logprobs } = sampling;
  const body = {
    model,
    prompt: task.prompt + (resume?.text ?? ''),
    ...streamFields(job),
    logprobs: logprobs === undefined ? undefined : Math.max(1, logprobs),
  };
  return { path: '/completions', body: JSON.stringify(body) };
}

export function chatBody(job: Job, model: string): string {
  const { sampling, resume, toolUse } = job;
  const continued = resume !== undefined && resume.text !== '';
  const messages = continued ? withAnswerSoFar(job.messages, resume.text) : job.messages;
  const body: Record<string, unknown> = {
    model,
    messages: messages.map((message) => messageField(message)),
    ...streamFields(job),
    response_format: formatField(job.format),
    ...(toolUse === undefined ? {} : toolFields(toolUse)),
  };
  // With 0 alternatives llama-server tells nothing at all.
  if (sampling.logprobs !== undefined) {
    body['logprobs'] = true;
    body['top_logprobs'] = Math.max(1, sampling.logprobs);
  }
  if (continued) {
    body['continue_final_message'] = true;
    body['add_generation_prompt'] = false;
  }
  return JSON.stringify(body);
}

function streamFields({ sampling, resume }: Job): Record<string, unknown> {
  return {
    stream: true,
    stream_options: { include_usage: true },
    ...samplingFields(sampling),
    // The older name: Ollama, LM Studio and llama-cpp-python ignore `max_completion_tokens`, and would go on for ever.
    max_tokens: sampling.maxTokens === undefined ? undefined : sampling.maxTokens - (resume?.tokens ?? 0),
  };
}

/** What is undefined is not written. */
function samplingFields(sampling: Sampling): Record<string, unknown> {
  const { logitBias, repeatPenalty } = sampling;
  return {
    temperature: sampling.temperature,
    top_p: sampling.topP === 1 ? undefined : sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    seed: sampling.seed,
    frequency_penalty: sampling.frequencyPenalty === 0 ? undefined : sampling.frequencyPenalty,
    presence_penalty: sampling.presencePenalty === 0 ? undefined : sampling.presencePenalty,
    stop: sampling.stop.length === 0 ? undefined : sampling.stop,
    // llama-server and LM Studio know the first name, vLLM the second.
    repeat_penalty: repeatPenalty,
    repetition_penalty: repeatPenalty,
    logit_bias: logitBias && Object.fromEntries(logitBias.map(({ token, bias }) => [String(token), bias])),
  };
}

function messageField({ role, content, name, toolCalls, toolCallId }: ChatMessage): unknown {
  return {
    role,
    content,
    name,
    tool_calls: toolCalls?.map((call) => ({
      id: call.id,
      type: 'function',
      function: { name: call.name, arguments: call.arguments },
    })),
    tool_call_id: toolCallId,
  };
}

/** The schemas are JSON: a job whose schemas are none was refused before. */
function toolFields({ tools, choice, parallel }: ToolUse): Record<string, unknown> {
  return {
    tools: tools.map(({ name, description, parameters }) => ({
      type: 'function',
      function: { name, description, parameters: JSON.parse(parameters) as unknown },
    })),
    tool_choice: choice.type === 'named' ? { type: 'function', function: { name: choice.name } } : choice.type,
    parallel_tool_calls: parallel ? undefined : false,
  };
}

/** The schema is JSON: a job whose schema is none was refused before. */
function formatField(format: AnswerFormat | undefined): unknown {
  if (format === undefined || format.type === 'text') return undefined;
  if (format.type === 'json-object') return { type: 'json_object' };
  const { name, schema, strict } = format;
  return { type: 'json_schema', json_schema: { name, strict, schema: JSON.parse(schema) as unknown } };
}

function invalid(why: string): ParsedUrl {
  return { type: 'invalid', failure: failure('invalid-request', `the base url of an upstream ${why}`) };
}

/** Tokens of the prompt where the upstream does not count them: four characters each. Source: guess, usual for English. */
export function estimatePromptTokens({ messages, task }: Job): number {
  const prompt = task?.type === 'completion' ? task.prompt : '';
  return messages.reduce(
    (sum, message) => sum + 4 + Math.ceil(message.content.length / 4),
    Math.ceil(prompt.length / 4),
  );
}

/** A client may itself have begun the answer: then what came since joins that message. */
function withAnswerSoFar(messages: readonly ChatMessage[], text: string): readonly ChatMessage[] {
  const last = messages.at(-1);
  if (last?.role !== 'assistant') return [...messages, { role: 'assistant', content: text }];
  return [...messages.slice(0, -1), { ...last, content: last.content + text }];
}
