/**
 * What does `response_format` ask for? `text`, `json_object` or `json_schema` as OpenAI has them, and the form of
 * llama-server (`json_object` with a `schema`). A schema that no grammar can follow is refused here, with its place, before
 * anything of the mesh is asked, and one that takes long to tell by the server, next; there is no answer that only nearly fits. OpenAI's rules for `strict` (every property required,
 * none besides) are not enforced: a schema is followed to the letter whether strict or not.
 * Limits: `LIMITS.schemaBytes`, what the compiler says. Source: spec (OpenAI API description, ResponseFormat).
 */
import { utf8 } from '../bytes.ts';
import { type Failure, failure } from '../errors.ts';
import type { Grammars } from '../inference/answer-format.ts';
import type { AnswerFormat } from '../inference/engine.ts';
import { canonicalText } from '../inference/schema-grammar/json-text.ts';
import { LIMITS } from '../params.ts';
import { isJsonObject, type JsonObject } from './json-object.ts';

type FormatParse =
  /** Absent = text. */
  | { readonly type: 'format'; readonly format: AnswerFormat | undefined }
  | { readonly type: 'refused'; readonly failure: Failure };

const PARAM = 'response_format';
const TEXT: FormatParse = { type: 'format', format: undefined };
/** Where a client gives none. */
const NAME_DEFAULT = 'answer';
const NAME = /^[A-Za-z0-9_-]+$/;

/** `value`: the field as it came; null counts as absent. */
export function readResponseFormat(value: unknown, grammars: Grammars): FormatParse {
  if (value === undefined || value === null) return TEXT;
  if (!isJsonObject(value)) return refused('expected an object with a type');
  const parsed = readFormat(value);
  if (parsed.type === 'refused' || parsed.format === undefined) return parsed;
  const problem = grammars.problemOf(parsed.format);
  return problem === undefined ? parsed : { type: 'refused', failure: problem };
}

function readFormat(value: JsonObject): FormatParse {
  switch (own(value, 'type')) {
    case 'text':
      return TEXT;
    case 'json_object': {
      const schema = own(value, 'schema') ?? undefined;
      return schema === undefined ? { type: 'format', format: { type: 'json-object' } } : schemaFormat({ schema });
    }
    case 'json_schema': {
      const inner = own(value, 'json_schema');
      return isJsonObject(inner) ? schemaFormat(inner) : refused('json_schema: expected an object with a schema');
    }
    default:
      return refused('type: expected one of text, json_object, json_schema');
  }
}

function schemaFormat(fields: JsonObject): FormatParse {
  const name = own(fields, 'name') ?? NAME_DEFAULT;
  const strict = own(fields, 'strict') ?? false;
  const schema = own(fields, 'schema');
  if (typeof name !== 'string' || !NAME.test(name) || name.length > LIMITS.schemaNameCharacters)
    return refused(`json_schema.name: expected up to ${LIMITS.schemaNameCharacters} letters, digits, "_" and "-"`);
  if (typeof strict !== 'boolean') return refused('json_schema.strict: expected a boolean');
  if (!isJsonObject(schema) && typeof schema !== 'boolean') return refused('json_schema.schema: expected an object');
  const text = canonicalText(schema);
  if (text === undefined) return refused('json_schema.schema: holds a number that is too large');
  if (utf8(text).length > LIMITS.schemaBytes)
    return refused(`json_schema.schema: at most ${LIMITS.schemaBytes} bytes of JSON`);
  return { type: 'format', format: { type: 'json-schema', name, schema: text, strict } };
}

function own(value: JsonObject, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function refused(reason: string): FormatParse {
  return { type: 'refused', failure: failure('invalid-request', `${PARAM}: ${reason}`, { param: PARAM }) };
}
