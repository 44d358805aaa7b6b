/**
 * The log of a node: pino to stderr, as lines for people on a terminal and as JSON elsewhere. It gets ids, sizes and times,
 * never a prompt, an answer or a key; fields that could hold a secret are redacted all the same.
 */
import { pino, type Logger } from 'pino';
import type { LogFormat, LogLevel } from './config-schema.ts';

export type Log = Logger;

const STDERR = 2;

/** Fields that are never printed, wherever they stand. */
const REDACTED = ['key', 'secret', 'authorization', 'apiKey', 'invite', 'prompt', 'messages'];

export function createLog({ level, format }: { readonly level: LogLevel; readonly format: LogFormat }): Log {
  const human = format === 'human' || (format === 'auto' && process.stderr.isTTY);
  const redact = { paths: REDACTED.flatMap((field) => [field, `*.${field}`]), censor: '[secret]' };
  const options = { level, redact, base: null };
  return human
    ? pino(options, { write: (line: string) => void process.stderr.write(forPeople(line)) })
    : pino(options, pino.destination({ fd: STDERR, sync: true }));
}

/** "12:30:05 warn  text  (field value, field value)". */
function forPeople(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as { level: number; time: number; msg?: string } & Record<
    string,
    unknown
  >;
  const label = pino.levels.labels[level] ?? String(level);
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const clock = new Date(time).toTimeString().slice(0, 8);
  return `${clock} ${label.padEnd(5)} ${msg ?? ''}${rest.length > 0 ? `  (${rest.join(', ')})` : ''}\n`;
}
