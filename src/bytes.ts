/**
 * Bytes that every node must agree on: hex, UTF-8, canonical CBOR and the stable 64-bit hash.
 * Canonical means: equal values give equal bytes (definite lengths, shortest integers, no floats, sorted map keys), and
 * bytes that are not in that form are refused, because signatures and digests are taken over them. RFC 8949 section 4.2.
 * The hash is MurmurHash3's mixing over two 32-bit lanes: fast in plain JavaScript, no BigInt, the same on every
 * engine. It spreads keys; it is no defence against somebody who chooses them.
 */
import { decode, encode, rfc8949EncodeOptions } from 'cborg';

/** What canonical CBOR may hold here: no floats, no tags, no undefined. */
export type Canonical =
  null | boolean | number | string | Uint8Array | readonly Canonical[] | { readonly [key: string]: Canonical };

export interface Hash64 {
  readonly high: number;
  readonly low: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-16 units that are looked at together, and room for what they become. */
const PIECE_LENGTH = 16_384;
const PIECE = new Uint8Array(PIECE_LENGTH * 3);

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** How many bytes `utf8` would give, without giving them: texts may be megabytes long. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let at = 0; at < text.length;) {
    const { read, written } = encoder.encodeInto(text.slice(at, at + PIECE_LENGTH), PIECE);
    // A pair of surrogates that the cut parted is one character.
    const last = text.charCodeAt(at + read - 1);
    const isParted = read === PIECE_LENGTH && last >= 0xd800 && last < 0xdc00;
    bytes += isParted ? written - 3 : written;
    at += isParted ? read - 1 : read;
  }
  return bytes;
}

/** Strict UTF-8; undefined when the bytes are not. */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Undefined unless `text` is an even number of hex digits. */
export function fromHex(text: string): Uint8Array | undefined {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index += 1)
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left === right) return true;
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) if (left[index] !== right[index]) return false;
  return true;
}

export function encodeCanonical(value: Canonical): Uint8Array {
  return encode(value, rfc8949EncodeOptions);
}

/** The value of canonical bytes, or undefined when they are malformed or another encoding of the same value. */
export function decodeCanonical(bytes: Uint8Array): unknown {
  try {
    const value: unknown = decode(bytes, { strict: true, allowIndefinite: false, rejectDuplicateMapKeys: true });
    // One value, one encoding: without this, a second valid form of a signed message would have another id.
    return equalBytes(encode(value, rfc8949EncodeOptions), bytes) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The stable 64-bit hash of `bytes`, as two unsigned 32-bit halves. */
export function hash64(bytes: Uint8Array): Hash64 {
  let high = 0x9747b28c ^ bytes.length;
  let low = 0x85ebca6b ^ bytes.length;
  for (let index = 0; index < bytes.length; index += 4) {
    const word =
      (bytes[index] ?? 0) |
      ((bytes[index + 1] ?? 0) << 8) |
      ((bytes[index + 2] ?? 0) << 16) |
      ((bytes[index + 3] ?? 0) << 24);
    high = mixWord(high, word) + low;
    low = mixWord(low, Math.imul(word, 0x9e3779b1) ^ high);
  }
  high = finalMix(high ^ low);
  low = finalMix(low + high);
  return { high: finalMix(high + low), low };
}

/** One 32-bit hash of two others: for pairs such as (request, node) in a hot loop. */
export function mixHashes(left: Hash64, right: Hash64): number {
  const first = mixWord(mixWord(left.low ^ 0x9e3779b9, right.low), left.high);
  return finalMix(mixWord(first, right.high));
}

export function hashHex(hash: Hash64): string {
  return hash.high.toString(16).padStart(8, '0') + hash.low.toString(16).padStart(8, '0');
}

function mixWord(state: number, word: number): number {
  const scrambled = Math.imul(word, 0xcc9e2d51);
  const mixed = state ^ Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

/** Murmur3's last step: every bit of the input moves every bit of the result. */
export function finalMix(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
