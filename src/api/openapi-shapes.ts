/**
 * Which shapes does the API description name once and use in many places? Contents of messages, tools, formats, and the error
 * objects of the three APIs; codes and types of errors come from their registry. Written by hand, because these fields are
 * read step by step and not by a schema: what is right here is checked by the tests of their readers.
 * Source: spec (OpenAI API description), copied (Anthropic's and Ollama's documentation).
 */
import { ERRORS } from '../errors.ts';
import { LIMITS } from '../params.ts';
import type { JsonObject } from './json-object.ts';

export function refTo(name: keyof typeof SHAPES): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

const TEXT: JsonObject = { type: 'string' };
const FUNCTION: JsonObject = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string', pattern: '^[A-Za-z0-9_-]+$', maxLength: LIMITS.toolNameCharacters },
    description: TEXT,
    parameters: { type: 'object', description: 'A JSON schema of an object; absent: no arguments.' },
  },
};
const NAMED: JsonObject = {
  type: 'object',
  properties: { type: { const: 'function' }, function: { type: 'object', properties: { name: TEXT } } },
};

export const SHAPES = {
  Content: {
    description: 'A text, or text parts, which are joined by line breaks. Other parts are refused.',
    anyOf: [
      TEXT,
      {
        type: 'array',
        items: { type: 'object', required: ['type', 'text'], properties: { type: { const: 'text' }, text: TEXT } },
      },
    ],
  },
  Tools: {
    description: 'Functions that the answer may call. An empty list is no list.',
    type: 'array',
    maxItems: LIMITS.tools,
    items: {
      type: 'object',
      required: ['function'],
      properties: { type: { const: 'function' }, function: FUNCTION },
    },
  },
  ToolChoice: {
    description: 'Held to by a grammar, or refused.',
    anyOf: [{ enum: ['auto', 'none', 'required'] }, NAMED],
  },
  ToolCalls: {
    type: 'array',
    maxItems: LIMITS.toolCalls,
    items: {
      type: 'object',
      required: ['id', 'function'],
      properties: {
        id: TEXT,
        type: { const: 'function' },
        function: { type: 'object', required: ['name'], properties: { name: TEXT, arguments: TEXT } },
      },
    },
  },
  ResponseFormat: {
    description: 'Followed to the letter, strict or not; a schema that no grammar can follow is refused.',
    type: 'object',
    required: ['type'],
    properties: {
      type: { enum: ['text', 'json_object', 'json_schema'] },
      json_schema: {
        type: 'object',
        required: ['schema'],
        properties: { name: TEXT, strict: { type: 'boolean' }, schema: { type: 'object' } },
      },
    },
  },
  Texts: {
    anyOf: [TEXT, { type: 'array', minItems: 1, maxItems: LIMITS.inputs, items: TEXT }],
  },
  Error: {
    type: 'object',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['message', 'type', 'param', 'code'],
        properties: {
          message: TEXT,
          type: { enum: distinct(Object.values(ERRORS).map(({ type }) => type)) },
          param: { type: ['string', 'null'], description: 'The field at fault.' },
          code: { enum: distinct(Object.values(ERRORS).map(({ apiCode }) => apiCode)) },
        },
      },
    },
  },
  OllamaError: { type: 'object', required: ['error'], properties: { error: TEXT } },
  AnthropicError: {
    type: 'object',
    required: ['type', 'error'],
    properties: {
      type: { const: 'error' },
      error: { type: 'object', required: ['type', 'message'], properties: { type: TEXT, message: TEXT } },
    },
  },
} as const satisfies Readonly<Record<string, JsonObject>>;

function distinct(words: readonly string[]): readonly string[] {
  return [...new Set(words)].toSorted();
}
