/**
 * What is an API key of this node, and what may its holder do? The node makes keys itself, 256 random bits each, and keeps
 * only their SHA-256: enough for random texts, and cheap for every request. People never choose a key, because a fast hash of
 * a weak one can be reversed. The file of keys is read strictly: one that is damaged lets nobody in and says so.
 * Limits: `KEYS_MAX` keys; names and model patterns as below.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { z } from 'zod';
import { toHex, utf8 } from '../bytes.ts';

/** infer: ask for answers. read: the status of node and mesh. Lists of models belong to both. */
export const KEY_SCOPES = ['infer', 'read'] as const;
export type KeyScope = (typeof KEY_SCOPES)[number];

/** Source: guess: a family's and a club's programs. */
export const KEYS_MAX = 256;
/** Source: guess. */
export const KEY_MODELS_MAX = 64;
/** Source: guess: above any real use, below where sums lose digits. */
const LIMIT_MAX = 1_000_000_000_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/;
const PATTERN = /^[A-Za-z0-9._\-+@/:*]{1,128}$/;

const limit = z.int().min(1).max(LIMIT_MAX).optional();
const seconds = z.int().min(0);

/** Strict: what limits a key must never be lost by being unreadable. */
const KEY_SCHEMA = z.strictObject({
  /** 8 hex digits; part of the key's text, so that a found key can be told from others. */
  id: z.string().regex(/^[0-9a-f]{8}$/),
  name: z.string().regex(NAME, 'expected letters, digits and . _ -, at most 32'),
  /** SHA-256 of the whole text. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  scopes: z.array(z.enum(KEY_SCOPES)).min(1),
  /** Names with "*" for any text; absent = every model. */
  models: z
    .array(z.string().regex(PATTERN, 'expected names of models, with * for any text'))
    .min(1)
    .max(KEY_MODELS_MAX)
    .optional(),
  /** Each absent = no limit. All count on this node alone. */
  limits: z
    .strictObject({
      requestsPerMinute: limit,
      tokensPerMinute: limit,
      tokensPerDay: limit,
      /** Requests at once. */
      concurrentMax: limit,
    })
    .optional(),
  /** Seconds since 1970. */
  createdS: seconds,
  /** Absent = never. */
  expiresS: seconds.optional(),
});
const FILE_SCHEMA = z.strictObject({ version: z.literal(1), keys: z.array(KEY_SCHEMA).max(KEYS_MAX) });

export type KeyRecord = z.output<typeof KEY_SCHEMA>;
export type KeyLimits = NonNullable<KeyRecord['limits']>;

export function hashApiKey(key: string): string {
  return toHex(sha256(utf8(key)));
}

/** One record, or which of its fields is wrong and how. */
export function checkKey(
  value: unknown,
): { readonly type: 'key'; readonly key: KeyRecord } | { readonly type: 'wrong'; readonly reason: string } {
  const read = KEY_SCHEMA.safeParse(value);
  return read.success ? { type: 'key', key: read.data } : { type: 'wrong', reason: reasonOf(read.error) };
}

/** The text that its holder sends: `sk-<name>-<id>-<43 characters>`. `random`: 36 fresh random bytes. */
export function makeKey(name: string, random: Uint8Array): { readonly id: string; readonly text: string } {
  const id = toHex(random.subarray(0, 4));
  return { id, text: `sk-${name}-${id}-${base64Url(random.subarray(4, 36))}` };
}

/** True where the key may be used for a model of this name. */
export function allowsModel(record: KeyRecord, model: string): boolean {
  return record.models === undefined || record.models.some((pattern) => matches(pattern.split('*'), model));
}

export function isExpired({ expiresS }: KeyRecord, nowS: number): boolean {
  return expiresS !== undefined && nowS >= expiresS;
}

export type KeysParse =
  | { readonly type: 'keys'; readonly keys: readonly KeyRecord[] }
  | { readonly type: 'damaged'; readonly reason: string };

export function encodeKeys(keys: readonly KeyRecord[]): string {
  return `${JSON.stringify({ version: 1, keys }, undefined, 2)}\n`;
}

export function parseKeys(text: string): KeysParse {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return damaged('it is not JSON');
  }
  const read = FILE_SCHEMA.safeParse(value);
  if (!read.success) return damaged(reasonOf(read.error));
  const { keys } = read.data;
  if (new Set(keys.map(({ id }) => id)).size !== keys.length) return damaged('two keys have the same id');
  return { type: 'keys', keys };
}

/** `parts`: what stands between the stars. Without backtracking: each part takes the first place where it fits. */
function matches(parts: readonly string[], text: string): boolean {
  const first = parts[0] ?? '';
  const last = parts.at(-1) ?? '';
  if (parts.length === 1) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

function reasonOf(error: z.ZodError): string {
  const [issue] = error.issues;
  return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`;
}

function base64Url(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCodePoint(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function damaged(reason: string): KeysParse {
  return { type: 'damaged', reason };
}
