/**
 * What does each route take and give, for the API description? The schemas are those that read the requests; what they leave open,
 * because it is read step by step, is filled in by `more`, under the place of the field ("messages[].content"). One entry
 * for each handler of `routes.ts`; the compiler misses one that is not here.
 */
import type { z } from 'zod';
import { LIMITS } from '../params.ts';
import { SCHEMA as MESSAGES_SCHEMA } from './anthropic-request.ts';
import { CHAT_SCHEMA } from './chat-schema.ts';
import type { JsonObject } from './json-object.ts';
import { OLLAMA_CHAT_SCHEMA } from './ollama-chat.ts';
import { OLLAMA_EMBED_SCHEMA, OLLAMA_EMBEDDINGS_SCHEMA } from './ollama-embed.ts';
import { OLLAMA_GENERATE_SCHEMA } from './ollama-generate.ts';
import { OLLAMA_SHOW_SCHEMA } from './ollama-models.ts';
import { COMPLETIONS_SCHEMA } from './openai-completions.ts';
import { EMBEDDINGS_SCHEMA } from './openai-embeddings.ts';
import { refTo } from './openapi-shapes.ts';
import { RERANK_SCHEMA } from './rerank.ts';
import { SCHEMA as RESPONSES_SCHEMA } from './responses-request.ts';
import type { ReadHandler, WorkHandler } from './routes.ts';

export interface WorkDoc {
  readonly summary: string;
  readonly schema: z.ZodType;
  readonly more?: Readonly<Record<string, JsonObject>>;
  /** Fields that must be there, besides those of the schema. */
  readonly required?: readonly string[];
  /** How the answer comes where `stream` is true; absent = never as a stream. */
  readonly stream?: 'text/event-stream' | 'application/x-ndjson';
}

const EVENTS = 'text/event-stream';
const LINES = 'application/x-ndjson';
const OBJECT: JsonObject = { type: 'object' };
const TEXT: JsonObject = { type: 'string' };
const OBJECTS: JsonObject = { type: 'array', items: OBJECT };
const BIAS: JsonObject = {
  type: 'object',
  description: 'Token ids and what is added to their logits.',
  additionalProperties: { type: 'number', minimum: -100, maximum: 100 },
};
const STOP: JsonObject = {
  anyOf: [TEXT, { type: 'array', items: TEXT, maxItems: LIMITS.stopSequences }, { type: 'null' }],
};
/** Of OpenAI's requests for text. */
const COMMON = {
  stop: STOP,
  logit_bias: BIAS,
  user: { description: 'Ties requests together where it is a text.' },
  prompt_cache_key: { description: 'Ties requests together where it is a text.' },
};
const STREAM_OPTIONS: JsonObject = { type: 'object', properties: { include_usage: { type: 'boolean' } } };
const FORMAT: JsonObject = { description: 'What the answer must fit.', anyOf: [{ enum: ['json', ''] }, OBJECT] };

export const WORK_DOCS: Readonly<Record<WorkHandler, WorkDoc>> = {
  chat: {
    summary: 'Answers a conversation, as OpenAI does',
    schema: CHAT_SCHEMA,
    stream: EVENTS,
    more: {
      'messages[].content': refTo('Content'),
      'messages[].tool_calls': refTo('ToolCalls'),
      'messages[].function_call': { type: 'object', deprecated: true },
      tools: refTo('Tools'),
      tool_choice: refTo('ToolChoice'),
      parallel_tool_calls: { type: 'boolean', default: true },
      functions: { ...OBJECTS, deprecated: true },
      function_call: { deprecated: true },
      response_format: refTo('ResponseFormat'),
      stream_options: STREAM_OPTIONS,
      ...COMMON,
    },
  },
  completions: {
    summary: 'Goes on with a text, as OpenAI does',
    schema: COMPLETIONS_SCHEMA,
    required: ['prompt'],
    stream: EVENTS,
    more: { prompt: refTo('Texts'), stream_options: STREAM_OPTIONS, ...COMMON },
  },
  embeddings: {
    summary: 'Turns texts into vectors, as OpenAI does',
    schema: EMBEDDINGS_SCHEMA,
    required: ['input'],
    more: { input: refTo('Texts') },
  },
  rerank: {
    summary: 'Says how well documents answer a query, best first',
    schema: RERANK_SCHEMA,
    required: ['documents'],
    more: {
      documents: {
        type: 'array',
        items: { anyOf: [TEXT, { type: 'object', required: ['text'], properties: { text: TEXT } }] },
      },
    },
  },
  responses: {
    summary: 'Answers a conversation, as OpenAI’s Responses API does; nothing is stored',
    schema: RESPONSES_SCHEMA,
    required: ['input'],
    stream: EVENTS,
    more: {
      input: { anyOf: [TEXT, OBJECTS] },
      tools: OBJECTS,
      tool_choice: { anyOf: [{ enum: ['auto', 'none', 'required'] }, OBJECT] },
      parallel_tool_calls: { type: 'boolean', default: true },
      include: { type: 'array', items: TEXT },
      'text.format': OBJECT,
      ...COMMON,
    },
  },
  messages: {
    summary: 'Answers a conversation, as Anthropic does',
    schema: MESSAGES_SCHEMA,
    stream: EVENTS,
    more: {
      system: refTo('Content'),
      messages: OBJECTS,
      tools: OBJECTS,
      tool_choice: OBJECT,
      output_config: { type: 'object', properties: { format: OBJECT } },
    },
  },
  'count-responses': {
    summary: 'Counts the tokens of a request, as OpenAI’s Responses API does, by reading the prompt where the model is',
    schema: RESPONSES_SCHEMA,
    required: ['input'],
    more: { input: { anyOf: [TEXT, OBJECTS] }, tools: OBJECTS, 'text.format': OBJECT, ...COMMON },
  },
  'count-messages': {
    summary: 'Counts the tokens of a request, as Anthropic does, by reading the prompt where the model is',
    schema: MESSAGES_SCHEMA.omit({ max_tokens: true, stream: true }),
    more: { system: refTo('Content'), messages: OBJECTS, tools: OBJECTS, tool_choice: OBJECT },
  },
  'ollama-chat': {
    summary: 'Answers a conversation, as Ollama does; streams unless stream is false',
    schema: OLLAMA_CHAT_SCHEMA,
    stream: LINES,
    more: {
      'messages[].content': refTo('Content'),
      'messages[].images': { type: 'array', maxItems: 0 },
      'messages[].tool_calls': OBJECTS,
      tools: refTo('Tools'),
      format: FORMAT,
      'options.stop': STOP,
    },
  },
  'ollama-generate': {
    summary: 'Answers a prompt, as Ollama does; streams unless stream is false',
    schema: OLLAMA_GENERATE_SCHEMA,
    stream: LINES,
    more: { format: FORMAT, 'options.stop': STOP },
  },
  'ollama-embed': {
    summary: 'Turns texts into vectors, as Ollama does',
    schema: OLLAMA_EMBED_SCHEMA,
    more: { input: refTo('Texts') },
  },
  'ollama-embeddings': {
    summary: 'Turns one text into a vector, as Ollama did before',
    schema: OLLAMA_EMBEDDINGS_SCHEMA,
  },
  'ollama-show': { summary: 'Tells about a model, as Ollama does', schema: OLLAMA_SHOW_SCHEMA },
};

export const READ_SUMMARIES: Readonly<Record<ReadHandler, string>> = {
  about: 'Names this server and its routes',
  'list-models': 'Lists the models of the mesh, as OpenAI does; as Anthropic does, where anthropic-version is sent',
  'show-model': 'Tells about one model, as OpenAI does; as Anthropic does, where anthropic-version is sent',
  'ollama-tags': 'Lists the models of the mesh, as Ollama does',
  'ollama-running': 'Lists the models that are ready, as Ollama does',
  'ollama-version': 'Names the version of Ollama’s API that is spoken here',
  liveness: 'Says that the process lives',
  readiness: 'Says whether requests can be answered, and what is missing',
  status: 'Tells what this node knows of the mesh',
  explain: 'Tells how a request was placed',
};
