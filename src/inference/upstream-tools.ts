/**
 * How do the calls that an upstream streams become the text of an answer? As `tool-text.ts` has it: a head when a call begins,
 * its arguments as they come, its end when the next one begins or the answer ends. Servers differ: some send whole calls at
 * once, number all of them 0, leave out ids, repeat the name with each piece, or send arguments as an object; a piece
 * begins a new call when it names a function and its index or id is another, or the call before is whole.
 * Not every server does what it was asked: where a call is required, what is said before it waits, and an answer without one is
 * a failure before anything of it has left, so that another node can be asked. Calls after the only one allowed, and words
 * after a call, are left out: there is no place for them. Limits: `HELD_LENGTH_MAX` characters wait.
 */
import type { FinishReason, ToolUse } from './engine.ts';
import { TOOL_CALL_END, TOOL_CALL_SEPARATOR, toolCallHead } from './tool-text.ts';
import { countOf, isRecord, parseJson, recordOf, textOf } from './upstream-json.ts';

/** Pieces of text to send, or what the upstream did wrong ("called ..."). */
export type ToolTexts =
  { readonly type: 'texts'; readonly texts: readonly string[] } | { readonly type: 'broken'; readonly what: string };

/** Source: guess: words before a call are a few lines. */
const HELD_LENGTH_MAX = 65_536;

const NOTHING: ToolTexts = { type: 'texts', texts: [] };

interface OpenCall {
  readonly index: number | undefined;
  readonly id: string;
  arguments: string;
  /** White space that belongs to the arguments only if more of them follows. */
  space: string;
}

export class ToolDeltas {
  readonly #toolUse: ToolUse;
  readonly #names: ReadonlySet<string>;
  #held: string[] = [];
  #heldLength = 0;
  #calls = 0;
  #open: OpenCall | undefined;
  /** Further calls are not wanted. */
  #ignoring = false;

  constructor(toolUse: ToolUse) {
    const { tools, choice } = toolUse;
    this.#toolUse = toolUse;
    this.#names = new Set(choice.type === 'named' ? [choice.name] : tools.map(({ name }) => name));
  }

  content(text: string): ToolTexts {
    if (this.#calls > 0) return NOTHING;
    if (this.#toolUse.choice.type === 'auto') return texts(text);
    this.#held.push(text);
    this.#heldLength += text.length;
    return this.#heldLength > HELD_LENGTH_MAX ? this.#calledNone() : NOTHING;
  }

  /** One element of `tool_calls`, whole or a piece. */
  piece(value: unknown): ToolTexts {
    const called = recordOf(value, 'function');
    const name = textOf(called, 'name') ?? '';
    const index = countOf(value, 'index');
    const id = textOf(value, 'id') ?? '';
    const begun =
      name !== '' && this.#isNew(index, id) ? this.#begin(name, { index, id, arguments: '', space: '' }) : NOTHING;
    if (begun.type === 'broken' || this.#ignoring) return begun;
    const more = this.#more(index, called?.['arguments']);
    return more.type === 'broken' ? more : texts(...begun.texts, ...more.texts);
  }

  end(reason: FinishReason): ToolTexts {
    if (this.#open !== undefined) {
      const isWhole = isObject(this.#open.arguments) || this.#open.arguments === '';
      return reason === 'length' && !isWhole ? NOTHING : this.#close(this.#open);
    }
    if (this.#calls > 0 || this.#toolUse.choice.type === 'auto') return NOTHING;
    return reason === 'length' ? texts(...this.#held) : this.#calledNone();
  }

  #isNew(index: number | undefined, id: string): boolean {
    const open = this.#open;
    if (open === undefined) return true;
    if (id !== '' && id === open.id && (index === undefined || index === open.index)) return false;
    if (index !== undefined && open.index !== undefined && index !== open.index) return true;
    if (id !== '' && id !== open.id) return true;
    return isObject(open.arguments);
  }

  #begin(name: string, call: OpenCall): ToolTexts {
    const closed = this.#open === undefined ? NOTHING : this.#close(this.#open);
    if (closed.type === 'broken') return closed;
    if (this.#ignoring || (this.#calls > 0 && !this.#toolUse.parallel)) {
      this.#ignoring = true;
      return closed;
    }
    if (!this.#names.has(name)) return broken('called a function that it may not call');
    const held = this.#held;
    this.#held = [];
    this.#calls += 1;
    this.#open = call;
    const before = this.#calls > 1 ? TOOL_CALL_SEPARATOR : '';
    return texts(...held, ...closed.texts, before + toolCallHead(name));
  }

  #more(index: number | undefined, value: unknown): ToolTexts {
    const open = this.#open;
    if (open === undefined) return broken('sent a piece of no call');
    const isOther = index !== undefined && index !== (open.index ?? index);
    return isOther ? broken('mixed the pieces of several calls') : this.#arguments(open, value);
  }

  #arguments(call: OpenCall, value: unknown): ToolTexts {
    if (value === undefined || value === null) return NOTHING;
    if (typeof value !== 'string' && !isRecord(value))
      return broken('called a function with arguments that are no text');
    const text = typeof value === 'string' ? value.toWellFormed() : JSON.stringify(value);
    const piece = call.arguments === '' ? text.trimStart() : call.space + text;
    const said = piece.trimEnd();
    call.space = piece.slice(said.length);
    if (said === '') return NOTHING;
    if (call.arguments === '' && !said.startsWith('{'))
      return broken('called a function with arguments that are no object');
    call.arguments += said;
    return texts(said);
  }

  #close(call: OpenCall): ToolTexts {
    this.#open = undefined;
    if (call.arguments === '') return texts(`{}${TOOL_CALL_END}`);
    return isObject(call.arguments)
      ? texts(TOOL_CALL_END)
      : broken('called a function with arguments that are no JSON object');
  }

  #calledNone(): ToolTexts {
    return broken('was asked to call a function and called none');
  }
}

function texts(...list: readonly string[]): ToolTexts {
  return { type: 'texts', texts: list };
}

function broken(what: string): ToolTexts {
  return { type: 'broken', what };
}

function isObject(text: string): boolean {
  // Most pieces end elsewhere.
  return text.endsWith('}') && isRecord(parseJson(text));
}
