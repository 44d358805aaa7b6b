/**
 * What does an engine need to keep an answer in its format? A grammar for the sampler, or a failure that says which part of
 * the client's schema no grammar can follow. `Grammars` remembers the last ones, because clients send the same schema again
 * and again. Limits: `GRAMMARS_MAX` grammars, the one unused for longest makes room.
 */
import { unreachable } from '../assert.ts';
import { type Failure, failure } from '../errors.ts';
import { LIMITS } from '../params.ts';
import { utf8 } from '../bytes.ts';
import type { AnswerFormat } from './engine.ts';
import type { CharacterSet } from './schema-grammar/characters.ts';
import { compileAnyObject, compileSchema, type CompiledSchema } from './schema-grammar/compile.ts';

export type FormatGrammar =
  /** Any text. */
  | { readonly type: 'free' }
  /** GBNF, and the characters with which its texts begin. */
  | { readonly type: 'grammar'; readonly text: string; readonly starts: CharacterSet }
  | { readonly type: 'refused'; readonly failure: Failure };

/** As the client wrote it. */
const PARAM = 'response_format';
/** Source: guess: a handful of programs with a few schemas each; 256 kB at most for each. */
const GRAMMARS_MAX = 16;

const FREE: FormatGrammar = { type: 'free' };

export class Grammars {
  /** The latest used last. */
  readonly #known = new Map<string, FormatGrammar>();

  of(format: AnswerFormat | undefined): FormatGrammar {
    if (format === undefined || format.type === 'text') return FREE;
    const key = format.type === 'json-object' ? '' : format.schema;
    const grammar = this.#known.get(key) ?? grammarOf(format);
    this.#known.delete(key);
    this.#known.set(key, grammar);
    const [oldest] = this.#known.keys();
    if (this.#known.size > GRAMMARS_MAX && oldest !== undefined) this.#known.delete(oldest);
    return grammar;
  }
}

export function grammarOf(format: AnswerFormat): FormatGrammar {
  switch (format.type) {
    case 'text':
      return FREE;
    case 'json-object':
      return toGrammar(compileAnyObject());
    case 'json-schema': {
      if (utf8(format.schema).length > LIMITS.schemaBytes)
        return refused(`the schema is larger than ${LIMITS.schemaBytes} bytes`);
      const schema = parseJson(format.schema);
      return schema === undefined ? refused('the schema is not valid JSON') : toGrammar(compileSchema(schema));
    }
    default:
      return unreachable(format);
  }
}

function toGrammar(compiled: CompiledSchema): FormatGrammar {
  if (compiled.type === 'grammar') return compiled;
  const { pointer, reason } = compiled.problem;
  // Pointers and words of the client are in it, at most so long.
  return refused(`the schema at ${pointer.slice(0, POINTER_LENGTH_MAX)} ${reason}`);
}

/** Source: guess: one line. */
const POINTER_LENGTH_MAX = 200;

function refused(reason: string): FormatGrammar {
  return {
    type: 'refused',
    failure: failure('invalid-request', `${PARAM}: ${reason.toWellFormed()}`, { param: PARAM }),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
