/**
 * How is the text of the next token read without parsing its JSON? The chunks of one answer differ in nothing but the
 * text of the delta: once one was parsed, what stands before and after its text is known, and a chunk that begins and
 * ends alike, with plain characters between (no quote, no backslash, no control character), can only mean that text.
 * Whatever differs is parsed as ever and may become the new shape. Only chunks that say nothing but a text are learnt.
 * Limit: a server whose chunks all differ (counters, times) costs a few attempts, then this gives up for the answer.
 * Source: measured: parsing is a twentieth of the serving node's CPU of a token.
 */
import { listOf, parseJson, recordOf, textOf } from './upstream-json.ts';

/** Attempts without a chunk that matched. Source: guess: a first chunk often has a role, a second may come a second later. */
const ATTEMPTS_MAX = 8;

/** What stands for itself in a JSON string. */
// eslint-disable-next-line no-control-regex
const PLAIN = /^[^"\\\u0000-\u001f]+$/;

export class ChunkShape {
  readonly #textOfChunk: (chunk: unknown) => string | undefined;
  #before = '';
  #after = '';
  #attempts = 0;

  /** `textOfChunk`: where the text of a parsed chunk stands. */
  constructor(textOfChunk: (chunk: unknown) => string | undefined = deltaTextOf) {
    this.#textOfChunk = textOfChunk;
  }

  /** The text of the delta, where `data` has the known shape. */
  textOf(data: string): string | undefined {
    if (this.#before === '' || !data.startsWith(this.#before) || !data.endsWith(this.#after)) return undefined;
    const text = data.slice(this.#before.length, -this.#after.length);
    if (data.length <= this.#before.length + this.#after.length || !PLAIN.test(text)) return undefined;
    this.#attempts = 0;
    return text;
  }

  /** `data` was parsed, and said `text` and nothing else. */
  learn(data: string, text: string): void {
    if (this.#attempts >= ATTEMPTS_MAX) return;
    this.#attempts += 1;
    const quoted = JSON.stringify(text);
    const at = data.indexOf(quoted);
    this.#before = '';
    if (at < 0 || data.includes(quoted, at + 1)) return;
    const before = data.slice(0, at + 1);
    const after = data.slice(at + quoted.length - 1);
    // The same characters might stand for something else: without them the text of the delta must be empty.
    if (this.#textOfChunk(parseJson(before + after)) !== '') return;
    this.#before = before;
    this.#after = after;
  }
}

/** What a chunk of a completion adds to the text; undefined when it is no such chunk. */
export function completionTextOf(chunk: unknown): string | undefined {
  return textOf(listOf(chunk, 'choices')?.[0], 'text');
}

/** What a chunk of a chat adds to the answer; undefined when it is no such chunk. */
export function deltaTextOf(chunk: unknown): string | undefined {
  return textOf(recordOf(listOf(chunk, 'choices')?.[0], 'delta'), 'content');
}
