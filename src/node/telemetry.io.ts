/**
 * What a node tells its owner while it runs: log lines on stderr, for people on a terminal and as JSON elsewhere. Data
 * that was asked for goes to stdout and never through here. Every record passes `redact`, so that no key, prompt or
 * answer is written whatever field it came in; text of peers has its control characters removed before a
 * terminal sees it. JSON is written synchronously, so that the last line before an end is not lost.
 */
import { type DestinationStream, type LogFn, type Logger, destination, pino, stdSerializers } from 'pino';
import type { LogFormat, LogLevel } from './node-options.ts';
import { formatRecord } from './log-format.ts';
import { hideLinks, redact } from './redact.ts';

export type { Logger } from 'pino';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where lines go; stderr when absent. */
  readonly stream?: DestinationStream;
  /** Whether a person watches; asked of stderr when absent. */
  readonly isTerminal?: boolean;
  /** Fields of every record, such as the node. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

export function createLogger(options: LoggerOptions): Logger {
  const { level, format, fields = {}, isTerminal = process.stderr.isTTY } = options;
  const isHuman = format === 'human' || (format === 'auto' && isTerminal);
  const settings = {
    level,
    base: fields,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (record: Record<string, unknown>) => redact(record),
    },
    serializers: { error: stdSerializers.err },
    hooks: {
      logMethod(this: Logger, words: Parameters<LogFn>, method: LogFn): void {
        const [first, message, ...rest] = words;
        method.call(this, hidden(first), hidden(message), ...rest.map(hidden));
      },
    },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  };
  if (!isHuman) return pino(settings, options.stream ?? destination({ fd: process.stderr.fd, sync: true }));
  const useColour = isTerminal && (process.env['NO_COLOR'] ?? '') === '';
  const write = (text: string): void => {
    if (options.stream === undefined) process.stderr.write(text);
    else options.stream.write(text);
  };
  return pino(settings, { write: (line: string) => write(`${formatRecord(line, useColour)}\n`) });
}

/** The message is a text of its own, beside the record. */
function hidden<Word>(word: Word): Word | string {
  return typeof word === 'string' ? hideLinks(word) : word;
}
