/**
 * What does one chat message say? Content comes as a text or as a list of typed parts; the texts of the parts are joined
 * with a line break, as llama.cpp and vLLM do it for models whose template wants plain text. Parts that are no text
 * (images, audio, files) are refused, never dropped: the model would answer a question it was not shown. An
 * assistant that only called a tool, and a tool that returned nothing, have no content; everybody else must.
 */
import { type Failure, failure } from '../errors.ts';
import { isJsonObject } from './json-object.ts';

export type Content =
  { readonly type: 'content'; readonly text: string } | { readonly type: 'refused'; readonly failure: Failure };

const MAY_BE_EMPTY: ReadonlySet<string> = new Set(['assistant', 'tool', 'function']);
/** The parts that are text, and where they have it. */
const TEXT_FIELDS: Readonly<Record<string, string>> = {
  text: 'text',
  refusal: 'refusal',
  input_text: 'text',
  output_text: 'text',
};

/** `param`: how the client would name this field. */
export function readContent(message: { readonly role: string; readonly content?: unknown }, param: string): Content {
  const content = message.content ?? undefined;
  if (typeof content === 'string') return { type: 'content', text: content.toWellFormed() };
  if (Array.isArray(content)) return readParts(content, param);
  if (content === undefined && MAY_BE_EMPTY.has(message.role)) return { type: 'content', text: '' };
  const got = content === undefined ? 'nothing' : typeof content;
  return invalid(`expected a text or a list of text parts, got ${got}`, param);
}

function readParts(parts: readonly unknown[], param: string): Content {
  const texts: string[] = [];
  for (const [index, part] of parts.entries()) {
    const here = `${param}[${index}]`;
    const type = isJsonObject(part) ? part['type'] : undefined;
    if (!isJsonObject(part) || typeof type !== 'string') return invalid('expected an object with a type', here);
    const field = Object.hasOwn(TEXT_FIELDS, type) ? TEXT_FIELDS[type] : undefined;
    if (field === undefined) {
      const text = `${here}: only text parts are supported, not "${type.slice(0, 40).toWellFormed()}"`;
      return { type: 'refused', failure: failure('unsupported-feature', text, { param: here }) };
    }
    const text = part[field];
    if (typeof text !== 'string') return invalid('expected a text', `${here}.${field}`);
    texts.push(text.toWellFormed());
  }
  return { type: 'content', text: texts.join('\n') };
}

function invalid(text: string, param: string): Content {
  return { type: 'refused', failure: failure('invalid-request', `${param}: ${text}`, { param }) };
}
