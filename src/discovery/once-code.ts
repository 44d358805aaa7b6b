/**
 * How does a machine join with a link that is worthless once used? The link holds no swarm key, only a secret of 32 random
 * bytes, up to four places (host and port) where the inviting node listens for it, and an end date. Both sides derive a
 * name that may be seen and a pre-shared key from the secret, by HKDF with labels of their own, and meet in TLS 1.3 with
 * that key. Because the secret is random and not a word that a person chose, nobody can guess it from what passes by.
 * Limits: who gets hold of the unused link can use it first; then the rightful one fails, and that is seen. Source: ours; RFC 5869.
 */
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { decodeCanonical, encodeCanonical, toHex, utf8 } from '../bytes.ts';
import { openLink, sealLink } from './link-text.ts';

export const ONCE_PREFIX = 'skein://once/1/';
export const ONCE_SECRET_BYTES = 32;
/** Longest link. Source: ours: four host names and the rest fit. */
const ONCE_CHARACTERS_MAX = 1_000;
const PLACES_MAX = 4;
const HOST = /^[A-Za-z0-9.:_-]{1,128}$/;

export interface Place {
  readonly host: string;
  readonly port: number;
}

export interface OnceCode {
  readonly secret: Uint8Array;
  readonly places: readonly Place[];
  /** Seconds of the wall clock. */
  readonly expiresAt: number;
}

export type DecodedOnceCode =
  { readonly type: 'once-code'; readonly code: OnceCode } | { readonly type: 'rejected'; readonly reason: string };

export function encodeOnceCode({ secret, places, expiresAt }: OnceCode): string {
  const body = { secret, places: places.slice(0, PLACES_MAX).map(({ host, port }) => [host, port]), expiresAt };
  return sealLink(ONCE_PREFIX, encodeCanonical(body));
}

export function decodeOnceCode(link: string, wallSeconds: number): DecodedOnceCode {
  const opened = openLink(link, { prefix: ONCE_PREFIX, charactersMax: ONCE_CHARACTERS_MAX });
  if (opened.type === 'rejected') return opened;
  const code = readBody(decodeCanonical(opened.body));
  if (code === undefined) return { type: 'rejected', reason: 'the link was made by another version of skein' };
  if (code.expiresAt <= wallSeconds)
    return { type: 'rejected', reason: 'the code has expired; ask for a new one (or mend the clock of this machine)' };
  return { type: 'once-code', code };
}

/** What may be seen of a code: its name on the wire and in the log. */
export function onceName(secret: Uint8Array): string {
  return toHex(derive(secret, 'once-name', 8));
}

/** The pre-shared key of the channel. A secret. */
export function onceKey(secret: Uint8Array): Uint8Array {
  return derive(secret, 'once-key', 32);
}

function derive(secret: Uint8Array, label: string, length: number): Uint8Array {
  return hkdf(sha256, secret, undefined, utf8(`skein/1/${label}`), length);
}

function readBody(value: unknown): OnceCode | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { secret, places, expiresAt, ...unknown }: Readonly<Record<string, unknown>> = { ...value };
  if (Object.keys(unknown).length > 0) return undefined;
  if (!(secret instanceof Uint8Array) || secret.length !== ONCE_SECRET_BYTES) return undefined;
  if (typeof expiresAt !== 'number' || !Number.isSafeInteger(expiresAt)) return undefined;
  if (!Array.isArray(places) || places.length === 0 || places.length > PLACES_MAX) return undefined;
  const read = places.map(readPlace);
  const good = read.filter((place) => place !== undefined);
  return good.length === places.length ? { secret, places: good, expiresAt } : undefined;
}

function readPlace(value: unknown): Place | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [host, port]: readonly unknown[] = value;
  if (typeof host !== 'string' || !HOST.test(host)) return undefined;
  return typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536 ? { host, port } : undefined;
}
