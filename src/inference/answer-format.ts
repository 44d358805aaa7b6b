/**
 * What does an engine need to keep an answer in its format, or to calls of the offered functions? A grammar for the sampler, or a
 * failure that says which part of the client's schema no grammar can follow. `Grammars` remembers the last ones, because
 * clients send the same schema again and again. New ones are worked out by a `Workshop`, elsewhere, because a node that compiles
 * a schema for a third of a second misses its heartbeats: whoever has a job settles it first, and asks then.
 * Limits: `GRAMMARS_MAX` grammars of each kind, the one unused for longest makes room.
 */
import { unreachable } from '../assert.ts';
import { type Failure, failure } from '../errors.ts';
import { LIMITS } from '../params.ts';
import { utf8 } from '../bytes.ts';
import type { AnswerFormat, Job, ToolUse } from './engine.ts';
import type { CharacterSet } from './schema-grammar/characters.ts';
import { compileAnyObject, compileSchema, type CompiledSchema } from './schema-grammar/compile.ts';
import { compileTools, type ToolGrammar } from './tool-grammar.ts';

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

/** What may have to be worked out for a job. */
export type Constraint = Pick<Job, 'format' | 'toolUse'>;

export type Worked = { readonly format: FormatGrammar } | { readonly tools: ToolGrammar };

/** Works out constraints where nobody waits for it. */
export interface Workshop {
  /** Calls back once, with what came of it or why nothing did. */
  work(constraint: Constraint, done: (worked: Worked | Failure) => void): void;
}

export class Grammars {
  readonly #workshop: Workshop | undefined;
  readonly #ofFormats = new Map<string, FormatGrammar>();
  readonly #ofTools = new Map<string, ToolGrammar>();
  /** By what is worked out for them: who waits. */
  readonly #waiting = new Map<string, ((problem?: Failure) => void)[]>();

  /** Without a workshop everything is worked out at once. */
  constructor(workshop?: Workshop) {
    this.#workshop = workshop;
  }

  /** What is known to be wrong with it; undefined also for what is not settled. */
  problemOf(format: AnswerFormat | undefined): Failure | undefined {
    const grammar = this.#known(format);
    return grammar?.type === 'refused' ? grammar.failure : undefined;
  }

  /** Of a format that was settled just now. */
  of(format: AnswerFormat | undefined): FormatGrammar {
    return this.#known(format) ?? { type: 'refused', failure: unsettled() };
  }

  /** Of functions that were settled just now, with the format of a text in their place. */
  ofTools(toolUse: ToolUse, format?: AnswerFormat): ToolGrammar {
    return this.#knownTools(toolUse, format) ?? { type: 'refused', failure: unsettled() };
  }

  /** Calls back, at once where it is known; `problem`: it could not be worked out. */
  settle(constraint: Constraint, done: (problem?: Failure) => void): void {
    const { format, toolUse } = constraint;
    const known = toolUse === undefined ? this.#known(format) : this.#knownTools(toolUse, format);
    if (this.#workshop === undefined || known !== undefined) return done();
    const key = toolUse === undefined ? `format ${keyOfFormat(format)}` : `tools ${keyOfTools(toolUse, format)}`;
    const others = this.#waiting.get(key);
    if (others !== undefined) {
      others.push(done);
      return undefined;
    }
    const waiting = [done];
    this.#waiting.set(key, waiting);
    return this.#workshop.work(constraint, (worked) => {
      this.#waiting.delete(key);
      const problem = 'code' in worked ? worked : undefined;
      // Before each of them: among many, one's may have made room for another's.
      for (const one of waiting) {
        if (!('code' in worked)) this.#learn(constraint, worked);
        one(problem);
      }
    });
  }

  #known(format: AnswerFormat | undefined): FormatGrammar | undefined {
    if (format === undefined || format.type === 'text') return FREE;
    return this.#remembered(this.#ofFormats, keyOfFormat(format), () => grammarOf(format));
  }

  #knownTools(toolUse: ToolUse, format?: AnswerFormat): ToolGrammar | undefined {
    return this.#remembered(this.#ofTools, keyOfTools(toolUse, format), () => toolsOf(toolUse, format));
  }

  #remembered<Value>(known: Map<string, Value>, key: string, make: () => Value): Value | undefined {
    const value = known.get(key) ?? (this.#workshop === undefined ? make() : undefined);
    if (value !== undefined) keep(known, key, value);
    return value;
  }

  #learn({ format, toolUse }: Constraint, worked: Worked): void {
    if ('format' in worked) keep(this.#ofFormats, keyOfFormat(format), worked.format);
    else if (toolUse !== undefined) keep(this.#ofTools, keyOfTools(toolUse, format), worked.tools);
  }
}

/** All of the work, for the workshop. */
export function workOut({ format, toolUse }: Constraint): Worked {
  if (toolUse !== undefined) return { tools: toolsOf(toolUse, format) };
  return { format: format === undefined ? FREE : grammarOf(format) };
}

/** Whoever asked has not settled it, or so long ago that it is forgotten. */
function unsettled(): Failure {
  return failure('busy', 'this node has not worked out the schema of the request', { retryAfterMs: 1_000 });
}

function keyOfFormat(format: AnswerFormat | undefined): string {
  return format?.type === 'json-schema' ? format.schema : '';
}

function keyOfTools(toolUse: ToolUse, format: AnswerFormat | undefined): string {
  return JSON.stringify([toolUse, format]);
}

function toolsOf(toolUse: ToolUse, format: AnswerFormat | undefined): ToolGrammar {
  return compileTools(toolUse, format?.type === 'text' ? undefined : format);
}

/** `known` is in the order of use, the latest last. */
function keep<Value>(known: Map<string, Value>, key: string, value: Value): void {
  known.delete(key);
  known.set(key, value);
  const [oldest] = known.keys();
  if (known.size > GRAMMARS_MAX && oldest !== undefined) known.delete(oldest);
}

function grammarOf(format: AnswerFormat): FormatGrammar {
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
