/**
 * How do calls of functions stand in the text of an answer? In one syntax, whatever the model's own: what it says first, then
 * each call as `<tool_call>`, one JSON object with name and arguments, `</tool_call>` (after Hermes and Qwen). As they are
 * plain text, credit, positions, resume and failover need to know nothing of them; the asking node reads them with
 * `ToolTextReader` while they come, argument by argument.
 * Limits: nothing but white space after the first call except further calls; names of offered functions only; arguments are
 * one JSON object of at most `ARGUMENTS_LENGTH_MAX` characters; `LIMITS.toolCalls` calls. What breaks that is malformed.
 */
import { unreachable } from '../assert.ts';
import { LIMITS } from '../params.ts';

export type ToolTextEvent =
  | { readonly type: 'content'; readonly text: string }
  /** Calls are counted from 0. */
  | { readonly type: 'call'; readonly index: number; readonly name: string }
  /** The next piece of its arguments; all pieces together are one JSON object. */
  | { readonly type: 'arguments'; readonly index: number; readonly text: string }
  | { readonly type: 'call-ended'; readonly index: number };

/** What begins a call; an answer that contains it has gone over to calls. */
export const TOOL_CALL_START = '<tool_call>';
/** Behind the arguments. */
export const TOOL_CALL_END = '}\n</tool_call>';
/** Between two calls. */
export const TOOL_CALL_SEPARATOR = '\n';

const NAME_START = '\n{"name": "';
const NAME_END = '", "arguments": ';
const NAME_CHARACTER = /^[A-Za-z0-9_-]$/;
const SPACE = ' \n\r\t';
/** White space before the first call that is not part of what was said. Source: guess: two line ends, or a tokenizer's space. */
const SPACE_LENGTH_MAX = 8;
/** Source: guess: a file that an agent writes; the body of a request is 16 MB. */
const ARGUMENTS_LENGTH_MAX = 4_194_304;

/** Everything of a call before its arguments, for those who write them piece by piece. */
export function toolCallHead(name: string): string {
  return `${TOOL_CALL_START}${NAME_START}${name}${NAME_END}`;
}

/** Arguments that are no JSON object, as broken clients send them back, stand as a string, which no reader takes for a call. */
export function encodeToolCall(name: string, argumentsJson: string): string {
  const text = argumentsJson.trim();
  const whole = text === '' ? '{}' : text;
  return `${toolCallHead(name)}${isObject(whole) ? whole : JSON.stringify(text)}${TOOL_CALL_END}`;
}

export interface ToolTextReaderOptions {
  readonly toolNames: ReadonlySet<string>;
  /** The text has a format: then calls begin the answer or are none, whatever the strings of a value hold. */
  readonly isFormatted?: boolean;
}

type State =
  | { readonly type: 'content' | 'value' }
  /** So many characters of a fixed text were read. */
  | { readonly type: 'start' | 'name-start' | 'name-end' | 'end'; readonly read: number }
  | { readonly type: 'name' | 'arguments' | 'between' | 'malformed' };

export class ToolTextReader {
  readonly #toolNames: ReadonlySet<string>;
  readonly #isFormatted: boolean;
  #state: State = { type: 'content' };
  /** Content that may turn out to begin a call. */
  #held = '';
  #calls = 0;
  #name = '';
  /** Of the call that is being read. */
  #arguments = '';
  #depth = 0;
  /** Where in the arguments: outside of strings, in one, behind a backslash in one. */
  #place: 'value' | 'string' | 'escape' = 'value';

  constructor({ toolNames, isFormatted = false }: ToolTextReaderOptions) {
    this.#toolNames = toolNames;
    this.#isFormatted = isFormatted;
  }

  /** Calls that began. */
  get calls(): number {
    return this.#calls;
  }

  /** False in the middle of a call: where the answer ends there, its length ended it, or something broke. */
  get isWhole(): boolean {
    return ['content', 'value', 'between'].includes(this.#state.type);
  }

  /** What the next piece of the answer brings; undefined when it breaks the syntax, after which nothing more may be pushed. */
  push(text: string): readonly ToolTextEvent[] | undefined {
    const events: ToolTextEvent[] = [];
    let rest = text;
    while (rest !== '' && this.#state.type !== 'malformed') rest = rest.slice(this.#take(rest, events));
    return this.#state.type === 'malformed' ? undefined : events;
  }

  /** The answer is over: what was held back began no call. */
  end(): readonly ToolTextEvent[] {
    const text = this.#held;
    this.#held = '';
    return text === '' ? [] : [{ type: 'content', text }];
  }

  /** Reads some of `text` and says how many characters. */
  #take(text: string, events: ToolTextEvent[]): number {
    const state = this.#state;
    switch (state.type) {
      case 'content':
        return this.#takeContent(text, events);
      case 'value':
        events.push({ type: 'content', text });
        return text.length;
      case 'start':
        return this.#takeFixed(text, { fixed: TOOL_CALL_START, read: state.read }, { type: 'name-start', read: 0 });
      case 'name-start':
        return this.#takeFixed(text, { fixed: NAME_START, read: state.read }, { type: 'name' });
      case 'name':
        return this.#takeName(text, events);
      case 'name-end':
        return this.#takeFixed(text, { fixed: NAME_END, read: state.read }, { type: 'arguments' });
      case 'arguments':
        return this.#takeArguments(text, events);
      case 'end':
        return this.#takeFixed(text, { fixed: TOOL_CALL_END, read: state.read }, { type: 'between' });
      case 'between':
        return this.#takeBetween(text);
      case 'malformed':
        return text.length;
      default:
        return unreachable(state);
    }
  }

  #takeContent(text: string, events: ToolTextEvent[]): number {
    const all = this.#held + text;
    if (this.#isFormatted && !mayBeCall(all)) {
      this.#held = '';
      this.#state = { type: 'value' };
      events.push({ type: 'content', text: all });
      return text.length;
    }
    const start = all.indexOf(TOOL_CALL_START);
    const possible = start < 0 ? possibleStart(all) : start;
    const content = all.slice(0, spaceBefore(all, possible));
    if (content !== '') events.push({ type: 'content', text: content });
    this.#held = start < 0 ? all.slice(content.length) : '';
    if (start < 0) return text.length;
    this.#state = { type: 'name-start', read: 0 };
    return start + TOOL_CALL_START.length - (all.length - text.length);
  }

  #takeFixed(text: string, { fixed, read }: { fixed: string; read: number }, next: State): number {
    const piece = text.slice(0, fixed.length - read);
    if (!fixed.startsWith(piece, read)) this.#state = { type: 'malformed' };
    else if (read + piece.length === fixed.length) this.#state = next;
    else if ('read' in this.#state) this.#state = { ...this.#state, read: read + piece.length };
    return piece.length;
  }

  #takeName(text: string, events: ToolTextEvent[]): number {
    const character = text.charAt(0);
    if (NAME_CHARACTER.test(character) && this.#name.length < LIMITS.toolNameCharacters) {
      this.#name += character;
      return 1;
    }
    const name = this.#name;
    this.#name = '';
    if (character !== '"' || !this.#toolNames.has(name) || this.#calls >= LIMITS.toolCalls) {
      this.#state = { type: 'malformed' };
      return 1;
    }
    events.push({ type: 'call', index: this.#calls, name });
    this.#calls += 1;
    // The quotation mark belongs to the fixed text that follows.
    this.#state = { type: 'name-end', read: 0 };
    return 0;
  }

  #takeArguments(text: string, events: ToolTextEvent[]): number {
    let length = 0;
    if (this.#arguments === '' && !text.startsWith('{')) this.#state = { type: 'malformed' };
    while (length < text.length && this.#state.type === 'arguments') {
      this.#read(text.charAt(length));
      length += 1;
      if (this.#depth === 0) this.#state = { type: 'end', read: 0 };
    }
    const piece = text.slice(0, length);
    this.#arguments += piece;
    if (this.#arguments.length > ARGUMENTS_LENGTH_MAX) this.#state = { type: 'malformed' };
    if (this.#state.type === 'malformed') return text.length;
    const index = this.#calls - 1;
    events.push({ type: 'arguments', index, text: piece });
    if (this.#state.type === 'end') this.#endCall(index, events);
    return length;
  }

  #read(character: string): void {
    if (this.#place === 'escape') this.#place = 'string';
    else if (this.#place === 'string') {
      if (character === '\\') this.#place = 'escape';
      else if (character === '"') this.#place = 'value';
    } else if (character === '"') this.#place = 'string';
    else if (character === '{') this.#depth += 1;
    else if (character === '}') this.#depth -= 1;
  }

  #endCall(index: number, events: ToolTextEvent[]): void {
    if (isObject(this.#arguments)) events.push({ type: 'call-ended', index });
    else this.#state = { type: 'malformed' };
    this.#arguments = '';
  }

  #takeBetween(text: string): number {
    if (SPACE.includes(text.charAt(0))) return 1;
    this.#state = { type: 'start', read: 0 };
    return 0;
  }
}

/** The answer begins with a call, as far as it goes. */
function mayBeCall(text: string): boolean {
  const said = text.slice(spaceAtStart(text));
  return said.startsWith(TOOL_CALL_START) || TOOL_CALL_START.startsWith(said);
}

function spaceAtStart(text: string): number {
  let length = 0;
  while (length < SPACE_LENGTH_MAX && length < text.length && SPACE.includes(text.charAt(length))) length += 1;
  return length;
}

/** Where the longest end of `text` begins that is the beginning of a call; its length when there is none. */
function possibleStart(text: string): number {
  for (let start = Math.max(0, text.length - TOOL_CALL_START.length + 1); start < text.length; start += 1)
    if (TOOL_CALL_START.startsWith(text.slice(start))) return start;
  return text.length;
}

/** Where the white space begins that ends at `end`. */
function spaceBefore(text: string, end: number): number {
  let start = end;
  while (start > 0 && end - start < SPACE_LENGTH_MAX && SPACE.includes(text.charAt(start - 1))) start -= 1;
  return start;
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
