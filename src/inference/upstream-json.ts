/**
 * How is JSON of an upstream server read, when nothing about it can be trusted? By asking for one field of one type at
 * a time: a missing field and a field of another type are both `undefined`. No schema library here, because the
 * reply of a chat is read once per token.
 */
import { jsonExcess } from '../json-depth.ts';
import { LIMITS } from '../params.ts';

const BOUNDS = {
  /** Shorter ones cannot take long. Source: measured: a megabyte of brackets takes 80 ms. */
  lengthUnjudged: 65_536,
  depthMax: LIMITS.jsonDepth,
  /** Source: guess: the numbers of a batch of vectors, several times. */
  partsMax: 1_000_000,
} as const;

export type JsonRecord = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Undefined for what is no JSON, and for what would take a parser long: nested deeply, or of very many parts. */
export function parseJson(text: string): unknown {
  if (text.length > BOUNDS.lengthUnjudged && jsonExcess(text, BOUNDS) !== undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

export function recordOf(value: unknown, key: string): JsonRecord | undefined {
  const field = isRecord(value) ? value[key] : undefined;
  return isRecord(field) ? field : undefined;
}

export function listOf(value: unknown, key: string): readonly unknown[] | undefined {
  const field = isRecord(value) ? value[key] : undefined;
  return Array.isArray(field) ? field : undefined;
}

export function textOf(value: unknown, key: string): string | undefined {
  const field = isRecord(value) ? value[key] : undefined;
  return typeof field === 'string' ? field : undefined;
}

/** A whole number from 0 to 2^31, which every count of tokens here is. */
export function countOf(value: unknown, key: string): number | undefined {
  const field = isRecord(value) ? value[key] : undefined;
  return typeof field === 'number' && Number.isInteger(field) && field >= 0 && field <= 0x8000_0000 ? field : undefined;
}

/** vLLM and others send `error: null` beside a good chunk. */
export function isError(value: JsonRecord): boolean {
  const error = value['error'];
  return (error !== undefined && error !== null) || textOf(value, 'object') === 'error';
}

/** Foreign text as it may stand in a message or a log: one line, no control characters, bounded. */
export function quote(text: string, charactersMax: number): string {
  const line = text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim();
  return line.length <= charactersMax ? line : `${line.slice(0, charactersMax - 1).toWellFormed()}…`;
}
