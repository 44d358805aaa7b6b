/**
 * How is JSON written as YAML that people read? Block style, two spaces to a level, short lists of words on one line. A text
 * stands without quotes only where every YAML parser takes it for that text (letters, digits and a few signs, and no word
 * that means something else); all others are JSON strings, which YAML has as double-quoted ones. Every field stays in its
 * place; what JSON has no form for (undefined) is left out, as `JSON.stringify` does it.
 * Limits: JSON values only; no comments, anchors or long texts over several lines. Source: spec (YAML 1.2.2).
 */

const INDENT = '  ';
/** Longest list on one line. Source: guess: what fits beside its name. */
const FLOW_LENGTH_MAX = 96;
const PLAIN = /^[A-Za-z](?:[A-Za-z0-9 _/.-]*[A-Za-z0-9_/.-])?$/;
const PLAIN_KEY = /^[A-Za-z_$/][A-Za-z0-9_$/.{}-]*$/;
/** Words that some version of YAML reads as something else than a text. */
const RESERVED = /^(?:true|false|null|yes|no|on|off|y|n)$/i;

export function yamlText(value: unknown): string {
  return `${block(value, '').trimStart()}\n`;
}

/** Begins with a space where it stands on the line of its key, with a line break where it does not. */
function block(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null) return ` ${scalar(value)}`;
  if (!Array.isArray(value)) return mapping(Object.entries(value), indent);
  const flow = flowOf(value);
  if (flow !== undefined) return ` ${flow}`;
  return value.map((item) => `\n${indent}-${inItem(block(item, indent + INDENT), indent)}`).join('');
}

function mapping(entries: readonly (readonly [name: string, value: unknown])[], indent: string): string {
  const given = entries.filter(([, value]) => value !== undefined);
  if (given.length === 0) return ' {}';
  return given
    .map(([name, value]) => {
      const isNested = typeof value === 'object' && value !== null && !Array.isArray(value);
      return `\n${indent}${key(name)}:${block(value, isNested ? indent + INDENT : indent)}`;
    })
    .join('');
}

/** The first line of an element goes beside its dash. */
function inItem(text: string, indent: string): string {
  const start = `\n${indent}${INDENT}`;
  return text.startsWith(start) ? ` ${text.slice(start.length)}` : text;
}

/** Undefined for a list that has other lists or objects, or is long. */
function flowOf(list: readonly unknown[]): string | undefined {
  if (list.some((item) => typeof item === 'object' && item !== null)) return undefined;
  const text = `[${list.map(scalar).join(', ')}]`;
  return text.length > FLOW_LENGTH_MAX ? undefined : text;
}

function scalar(value: unknown): string {
  if (typeof value === 'string' && PLAIN.test(value) && !RESERVED.test(value)) return value;
  return JSON.stringify(value) ?? 'null';
}

function key(name: string): string {
  return PLAIN_KEY.test(name) && !RESERVED.test(name) ? name : JSON.stringify(name);
}
