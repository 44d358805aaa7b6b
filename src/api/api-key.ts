/**
 * Does this request carry a key of this node? Keys are long random texts that the node made; only their SHA-256 is kept,
 * which is enough for 256 random bits and cheap for every request. Without any configured key everything is let in,
 * with whatever the client sends, because SDKs insist on sending something. All hashes are compared in full, so that
 * the time tells nothing about which one was close.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { toHex, utf8 } from '../bytes.ts';
import { type Failure, failure } from '../errors.ts';

export interface ApiKey {
  /** SHA-256 of the key as 64 lower-case hex digits. */
  readonly hash: string;
}

const BEARER = /^bearer[\t ]+(\S+)[\t ]*$/i;
/** Source: guess: ours have about 70 characters. */
const KEY_LENGTH_MAX = 512;

export function hashApiKey(key: string): string {
  return toHex(sha256(utf8(key)));
}

/** Why the request is refused; undefined when it may go on. */
export function checkApiKey(authorization: string | undefined, keys: readonly ApiKey[]): Failure | undefined {
  if (keys.length === 0) return undefined;
  const given = BEARER.exec(authorization ?? '')?.[1];
  if (given === undefined || given.length > KEY_LENGTH_MAX) {
    return failure('unauthorized', 'this node wants an API key: send the header "authorization: Bearer <key>"');
  }
  const hash = hashApiKey(given);
  let known = false;
  for (const key of keys) known = equalInFull(key.hash, hash) || known;
  return known ? undefined : failure('unauthorized', 'this API key is not one of this node');
}

function equalInFull(left: string, right: string): boolean {
  let difference = left.length ^ right.length;
  for (let index = 0; index < right.length; index += 1) {
    difference |= (left.codePointAt(index) ?? 0) ^ (right.codePointAt(index) ?? 0);
  }
  return difference === 0;
}
