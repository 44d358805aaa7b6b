/**
 * How is a model held to calls of the offered functions? By one grammar for the whole answer. Where it must call: calls and
 * nothing else. Where it may: any text in which `<tool_call>` does not occur, and behind the first `<tool_call>` nothing
 * but calls; the text part is the automaton that looks for that word (after Knuth, Morris and Pratt), so that it does not matter
 * how a tokenizer cuts it, nor where an answer is resumed. Where the text has a format, it is one or the other from the first
 * character on: calls, or a value of the format. Arguments follow the schema of their function to the letter.
 * Limits: `LIMITS.toolCalls` calls; a schema that no grammar can follow is a failure that names it, never a loose call.
 */
import { utf8 } from '../bytes.ts';
import { type Failure, failure } from '../errors.ts';
import { LIMITS } from '../params.ts';
import type { AnswerFormat, Tool, ToolUse } from './engine.ts';
import { GRAMMAR_LIMITS } from './schema-grammar/builder.ts';
import { complementOf, characters } from './schema-grammar/characters.ts';
import { compileObjectRules, compileValueRules, type CompiledRules } from './schema-grammar/compile.ts';
import { apart, choice as oneWay, EMPTY, type Expression, grammarText, literal, oneOf, repeated, rule, sequence } from './schema-grammar/expression.ts'; // prettier-ignore
import { renamed } from './schema-grammar/rename.ts';
import { Work } from './schema-grammar/work.ts';
import { TOOL_CALL_END, TOOL_CALL_SEPARATOR, TOOL_CALL_START, toolCallHead } from './tool-text.ts';

export type ToolGrammar =
  { readonly type: 'grammar'; readonly text: string } | { readonly type: 'refused'; readonly failure: Failure };

/** Source: guess: as long as the grammar of an answer's format, and as many times as functions are usual. */
const TEXT_MAX = GRAMMAR_LIMITS.textMax * 4;
const POINTER_LENGTH_MAX = 200;
/** As the client wrote it. */
const FORMAT_PARAM = 'response_format';
const VALUE_PREFIX = 'v-';
const VALUE = `${VALUE_PREFIX}root`;

/** Of what a text must be where no function has to be called. */
export type TextFormat = Exclude<AnswerFormat, { readonly type: 'text' }>;

export function compileTools({ tools, choice, parallel }: ToolUse, format?: TextFormat): ToolGrammar {
  const rules = new Map<string, Expression>();
  const offered = tools.flatMap((tool, index) =>
    choice.type === 'named' && choice.name !== tool.name ? [] : [{ tool, index }],
  );
  const isText = choice.type === 'auto' && format === undefined;
  const called = sequence(repeated(literal(' '), { min: 0, max: 1 }), literal(TOOL_CALL_START), rule('calls'));
  rules.set('root', isText ? rule('text0') : choice.type === 'auto' ? oneWay([called, rule(VALUE)]) : called);
  if (isText) addText(rules);
  rules.set('calls', callsOf(parallel));
  rules.set('more', sequence(literal(TOOL_CALL_SEPARATOR + TOOL_CALL_START), rule('call')));
  const ways: Way[] = [];
  const work = new Work();
  if (choice.type === 'auto' && format !== undefined) {
    const problem = addValue(rules, format, work);
    if (problem !== undefined) return { type: 'refused', failure: problem };
  }
  for (const { tool, index } of offered) {
    const problem = addArguments(rules, { tool, index, work });
    if (problem !== undefined) return { type: 'refused', failure: problem };
    // The start was read already.
    const head = toolCallHead(tool.name).slice(TOOL_CALL_START.length);
    ways.push({ text: head, next: sequence(rule(rootOf(index)), literal(TOOL_CALL_END)) });
  }
  rules.set('call', tree(ways));
  const text = grammarText(rules);
  return text.length <= TEXT_MAX ? { type: 'grammar', text } : refused('tools', 'need a grammar that is too large');
}

function callsOf(parallel: boolean): Expression {
  const more = repeated(rule('more'), { min: 0, max: LIMITS.toolCalls - 1 });
  return parallel ? sequence(rule('call'), more) : rule('call');
}

/** Rule `textN`: the last N characters were the first N of the word. The answer may end at each. */
function addText(rules: Map<string, Expression>): void {
  const [first = '', ...rest] = TOOL_CALL_START;
  [first, ...rest].forEach((character, index, word) => {
    const next = index + 1 === word.length ? 'calls' : `text${index + 1}`;
    const ways = [sequence(literal(character), rule(next))];
    // No other character of the word is its first one, so that behind a wrong one nothing but that could be a beginning.
    if (index > 0) ways.push(sequence(literal(first), rule('text1')));
    // llama.cpp ends its texts with a zero.
    const others = complementOf(characters(single('\u0000'), single(character), single(first)));
    rules.set(`text${index}`, apart([EMPTY, sequence(oneOf(others), rule('text0')), ...ways]));
  });
}

function single(character: string): readonly (readonly [number, number])[] {
  const code = character.codePointAt(0) ?? 0;
  return [[code, code]];
}

function addValue(rules: Map<string, Expression>, format: TextFormat, work: Work): Failure | undefined {
  const schema = format.type === 'json-object' ? { type: 'object' } : parseJson(format.schema);
  if (schema === undefined) return failureOf(FORMAT_PARAM, 'the schema is not valid JSON');
  if (format.type === 'json-schema' && utf8(format.schema).length > LIMITS.schemaBytes)
    return failureOf(FORMAT_PARAM, `the schema is larger than ${LIMITS.schemaBytes} bytes`);
  return addCompiled(rules, { compiled: compileValueRules(schema, work), prefix: VALUE_PREFIX, param: FORMAT_PARAM });
}

function addArguments(
  rules: Map<string, Expression>,
  { tool, index, work }: { readonly tool: Tool; readonly index: number; readonly work: Work },
): Failure | undefined {
  const param = `tools[${index}].function.parameters`;
  const schema = parseJson(tool.parameters);
  if (schema === undefined) return failureOf(param, 'the schema is not valid JSON');
  return addCompiled(rules, { compiled: compileObjectRules(schema, work), prefix: `f${index}-`, param });
}

interface Compiled {
  readonly compiled: CompiledRules;
  /** Of the names that its rules get in the whole grammar. */
  readonly prefix: string;
  readonly param: string;
}

function addCompiled(rules: Map<string, Expression>, { compiled, prefix, param }: Compiled): Failure | undefined {
  if (compiled.type === 'problem') {
    const { pointer, reason } = compiled.problem;
    return failureOf(param, `the schema at ${(pointer || '#').slice(0, POINTER_LENGTH_MAX)} ${reason}`);
  }
  const names = new Map([...compiled.rules.keys()].map((name) => [name, `${prefix}${name}`]));
  for (const [name, body] of compiled.rules) rules.set(names.get(name) ?? name, renamed(body, names));
  return undefined;
}

function rootOf(index: number): string {
  return `f${index}-root`;
}

interface Way {
  readonly text: string;
  readonly next: Expression;
}

/** Texts that begin alike share that, so that a model is at one place of the grammar and not at many. */
function tree(ways: readonly Way[]): Expression {
  const [only] = ways;
  if (only === undefined || ways.length === 1) return sequence(literal(only?.text ?? ''), only?.next ?? EMPTY);
  const shared = sharedLength(ways.map(({ text }) => text));
  const byCharacter = new Map<string, Way[]>();
  for (const { text, next } of ways) {
    const character = text.charAt(shared);
    byCharacter.set(character, [...(byCharacter.get(character) ?? []), { text: text.slice(shared), next }]);
  }
  return sequence(literal(only.text.slice(0, shared)), apart([...byCharacter.values()].map(tree)));
}

function sharedLength(texts: readonly string[]): number {
  const [first = '', ...more] = texts;
  let length = 0;
  while (length < first.length && more.every((text) => text.charAt(length) === first.charAt(length))) length += 1;
  return length;
}

function refused(param: string, reason: string): ToolGrammar {
  return { type: 'refused', failure: failureOf(param, reason) };
}

function failureOf(param: string, reason: string): Failure {
  return failure('invalid-request', `${param}: ${reason.toWellFormed()}`, { param });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
