/**
 * How does text from a run get into a page without becoming part of it? Everything that is not ours goes through
 * `escape`, which leaves no character with a meaning in HTML or SVG, in text or in a quoted attribute, and no control
 * character. Markup that is safe has a type of its own, so that a plain string cannot take its place. Source: OWASP's
 * rules for escaping.
 */
export interface Markup {
  readonly markup: string;
}

type Part = Markup | string | number | readonly Markup[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** Also what turns the direction of writing is shown as a replacement character. */
export function escape(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[&<>"'`]/g, (character) => ENTITIES[character] ?? '')
    .replaceAll(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (character) =>
      character === '\n' || character === '\t' ? character : '\ufffd',
    );
}

/** Template of markup: what stands in it is escaped unless it is markup itself. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  let markup = strings[0] ?? '';
  for (const [index, part] of parts.entries()) markup += written(part) + (strings[index + 1] ?? '');
  return { markup };
}

/** Our own text as it stands: styles, scripts, and SVG that was built of numbers. */
export function trusted(markup: string): Markup {
  return { markup };
}

export const NOTHING: Markup = { markup: '' };

function written(part: Part): string {
  if (typeof part === 'string') return escape(part);
  if (typeof part === 'number') return String(part);
  if ('markup' in part) return part.markup;
  return part.map(({ markup }) => markup).join('\n');
}
