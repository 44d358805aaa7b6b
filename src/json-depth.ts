/**
 * Is this JSON text nested too deeply, or of too many parts? Asked before parsing, because the parser would build what an
 * attacker wrote (millions of brackets fit into a body, and a million members take it a second) and everything that walks the
 * value afterwards would have to be careful. One pass over the text; strings, which are most of a prompt, are skipped with
 * `indexOf`. Text that is no JSON gets any answer: the parser refuses it next.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

export interface JsonBounds {
  /** Arrays and objects open at once. */
  readonly depthMax: number;
  /** Commas, and arrays and objects: as many as there are values, but for one. */
  readonly partsMax: number;
}

/** Which bound it goes beyond first. */
export function jsonExcess(text: string, { depthMax, partsMax }: JsonBounds): keyof JsonBounds | undefined {
  let depth = 0;
  let parts = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit === QUOTE) {
      index = endOfString(text, index);
    } else if (unit === OPEN_BRACKET || unit === OPEN_BRACE) {
      depth += 1;
      parts += 1;
      if (depth > depthMax) return 'depthMax';
      if (parts > partsMax) return 'partsMax';
    } else if (unit === CLOSE_BRACKET || unit === CLOSE_BRACE) {
      depth -= 1;
    } else if (unit === COMMA) {
      parts += 1;
      if (parts > partsMax) return 'partsMax';
    }
  }
  return undefined;
}

/** Where the string that opens at `start` closes; the end of the text when it does not. */
function endOfString(text: string, start: number): number {
  let from = start + 1;
  for (;;) {
    const quote = text.indexOf('"', from);
    if (quote === -1) return text.length;
    let escapes = 0;
    while (quote - 1 - escapes > start && text.charCodeAt(quote - 1 - escapes) === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return quote;
    from = quote + 1;
  }
}
