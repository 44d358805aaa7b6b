/**
 * How does a secret travel as one line that a person can copy, and how is a slip told at once? A prefix that says what the
 * line is, then base64url of the bytes and the first four bytes of their SHA-256. There is one text for each value: padding,
 * stray bits and other alphabets are refused, so that a damaged line is never taken for another one.
 * Limits: four bytes find slips, not attackers; the line is as secret as what is in it. Source: ours.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { concat, equalBytes } from '../bytes.ts';

const CHECKSUM_BYTES = 4;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export type OpenedLink =
  { readonly type: 'body'; readonly body: Uint8Array } | { readonly type: 'rejected'; readonly reason: string };

export interface LinkForm {
  readonly prefix: string;
  readonly charactersMax: number;
}

export function sealLink(prefix: string, body: Uint8Array): string {
  return prefix + toBase64Url(concat([body, checksum(body)]));
}

/** The bytes in a line as a person pasted it, or what is wrong with it. */
export function openLink(line: string, { prefix, charactersMax }: LinkForm): OpenedLink {
  const text = line.trim();
  if (text.length > charactersMax)
    return rejected(`the link is too long: expected at most ${charactersMax} characters, got ${text.length}`);
  if (!text.startsWith(prefix)) return rejected(`expected a link that starts with ${prefix}`);
  const bytes = fromBase64Url(text.slice(prefix.length));
  if (bytes === undefined || bytes.length <= CHECKSUM_BYTES) return rejected(TYPO);
  const body = bytes.subarray(0, -CHECKSUM_BYTES);
  return equalBytes(checksum(body), bytes.subarray(-CHECKSUM_BYTES)) ? { type: 'body', body } : rejected(TYPO);
}

const TYPO = 'the link is damaged (a typo, or a part is missing); copy it again';

function checksum(body: Uint8Array): Uint8Array {
  return sha256(body).subarray(0, CHECKSUM_BYTES);
}

function rejected(reason: string): OpenedLink {
  return { type: 'rejected', reason };
}

export function toBase64Url(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const word = ((bytes[index] ?? 0) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0);
    const digits = Math.min(4, bytes.length - index + 1);
    for (let digit = 0; digit < digits; digit += 1) text += ALPHABET.charAt((word >> (18 - 6 * digit)) & 63);
  }
  return text;
}

/** Undefined unless `text` is the one encoding of its bytes. */
export function fromBase64Url(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 6) / 8));
  let bits = 0;
  let word = 0;
  let length = 0;
  for (const character of text) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return undefined;
    word = ((word << 6) | value) & 0xffffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[length] = (word >> bits) & 0xff;
    length += 1;
  }
  return toBase64Url(bytes) === text ? bytes : undefined;
}
