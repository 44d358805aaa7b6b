/**
 * What is sent to an OpenAI-compatible server for one job, and where? The body keeps to the fields that Ollama, vLLM,
 * llama-server and LM Studio share, and leaves out what equals their defaults, because strict servers refuse what
 * they do not know. An answer begun elsewhere goes on as a trailing assistant message: llama-server and Ollama continue such a
 * message by themselves, vLLM when told by `continue_final_message`, which the others ignore.
 */
import { type Failure, failure } from '../errors.ts';
import type { AnswerFormat, Job, ChatMessage, Sampling } from './engine.ts';

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

/** `model` is the name that the upstream itself uses. */
export function chatBody(job: Job, model: string): string {
  const { sampling, resume } = job;
  const continued = resume !== undefined && resume.text !== '';
  const body: Record<string, unknown> = {
    model,
    messages: continued ? withAnswerSoFar(job.messages, resume.text) : job.messages,
    stream: true,
    stream_options: { include_usage: true },
    ...samplingFields(sampling),
    response_format: formatField(job.format),
  };
  // The older name: Ollama, LM Studio and llama-cpp-python ignore `max_completion_tokens`, and would go on for ever.
  if (sampling.maxTokens !== undefined) body['max_tokens'] = sampling.maxTokens - (resume?.tokens ?? 0);
  if (continued) {
    body['continue_final_message'] = true;
    body['add_generation_prompt'] = false;
  }
  return JSON.stringify(body);
}

/** What is undefined is not written. */
function samplingFields(sampling: Sampling): Record<string, unknown> {
  return {
    temperature: sampling.temperature,
    top_p: sampling.topP === 1 ? undefined : sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    seed: sampling.seed,
    frequency_penalty: sampling.frequencyPenalty === 0 ? undefined : sampling.frequencyPenalty,
    presence_penalty: sampling.presencePenalty === 0 ? undefined : sampling.presencePenalty,
    stop: sampling.stop.length === 0 ? undefined : sampling.stop,
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
export function estimatePromptTokens(messages: readonly ChatMessage[]): number {
  return messages.reduce((sum, message) => sum + 4 + Math.ceil(message.content.length / 4), 0);
}

/** A client may itself have begun the answer: then what came since joins that message. */
function withAnswerSoFar(messages: readonly ChatMessage[], text: string): readonly ChatMessage[] {
  const last = messages.at(-1);
  if (last?.role !== 'assistant') return [...messages, { role: 'assistant', content: text }];
  return [...messages.slice(0, -1), { ...last, content: last.content + text }];
}
