/**
 * One log record as a line for people: time of day, level, message, then the fields as `name=value`. Records come
 * as the JSON that programs get, so that both show the same. Text in them may be a peer's: control characters, with
 * which it could move the cursor or fake a line, are replaced.
 */

const COLOURS: Readonly<Record<string, string>> = {
  trace: '90',
  debug: '90',
  info: '36',
  warn: '33',
  error: '31',
  fatal: '31;1',
};

/** Longest shown value of one field. Source: guess: a line stays a line. */
const VALUE_CHARACTERS_MAX = 300;

const SHOWN_FIRST: ReadonlySet<string> = new Set(['time', 'level', 'msg']);

export function formatRecord(line: string, useColour: boolean): string {
  const record = parseRecord(line);
  if (record === undefined) return withoutControls(line.trimEnd());
  const level = asText(record['level']);
  const fields = Object.entries(record)
    .filter(([name]) => !SHOWN_FIRST.has(name))
    .map(([name, value]) => ` ${withoutControls(name)}=${fieldText(value)}`)
    .join('');
  const time = asText(record['time']).slice(11, 19);
  const message = withoutControls(asText(record['msg']));
  return `${time} ${paint(level.toUpperCase().padEnd(5), COLOURS[level], useColour)} ${message}${paint(fields, '90', useColour)}`;
}

function fieldText(value: unknown): string {
  const text = typeof value === 'string' ? value : errorText(value);
  const cut = text.length > VALUE_CHARACTERS_MAX ? `${text.slice(0, VALUE_CHARACTERS_MAX)}...` : text;
  return withoutControls(/[\s="]/.test(cut) && typeof value === 'string' ? JSON.stringify(cut) : cut);
}

/** Of an error its type and message: the stack is in the JSON form. */
function errorText(value: unknown): string {
  if (isRecord(value) && typeof value['stack'] === 'string' && typeof value['message'] === 'string')
    return `${asText(value['type'])}: ${value['message']}`;
  return JSON.stringify(value);
}

function withoutControls(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?');
}

function paint(text: string, colour: string | undefined, useColour: boolean): string {
  return useColour && colour !== undefined && text !== '' ? `\u001b[${colour}m${text}\u001b[0m` : text;
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    // Not JSON: shown as it came.
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
