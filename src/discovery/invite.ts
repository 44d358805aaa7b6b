/**
 * How does a person bring a new machine in? With one link that holds the swarm key, the swarm's name, up to four
 * addresses to dial first and an end date: `skein://join/1/<base64url>` of canonical CBOR and four bytes of its SHA-256,
 * so that a typo or a cut link is told at once instead of failing later as "no peers found". The link IS the key: it is
 * to be shown, never logged. Limits: the end date binds honest software only; one-time invites are another thing.
 * Source: ours.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { concat, decodeCanonical, encodeCanonical, equalBytes } from '../bytes.ts';
import { type SwarmKey, swarmKeyOf } from './swarm-key.ts';

const PREFIX = 'skein://join/1/';
const CHECKSUM_BYTES = 4;
/** Longest link. Source: ours: four addresses of 200 characters and the rest fit. */
export const INVITE_CHARACTERS_MAX = 1_500;
const ADDRESSES_MAX = 4;
const ADDRESS_CHARACTERS_MAX = 200;
const NAME_CHARACTERS_MAX = 64;

export interface Invite {
  readonly key: SwarmKey;
  readonly name: string;
  /** Where to dial first, best first. */
  readonly addresses: readonly string[];
  /** Seconds of the wall clock; the link is refused from then on. */
  readonly expiresAt: number;
}

export type DecodedInvite =
  { readonly type: 'invite'; readonly invite: Invite } | { readonly type: 'rejected'; readonly reason: string };

/** The link; only the first four addresses that fit are in it. */
export function encodeInvite(invite: Invite): string {
  const body = encodeCanonical({
    key: invite.key.secretBytes(),
    name: Array.from(invite.name).slice(0, NAME_CHARACTERS_MAX).join(''),
    addresses: invite.addresses.filter((address) => address.length <= ADDRESS_CHARACTERS_MAX).slice(0, ADDRESSES_MAX),
    expiresAt: invite.expiresAt,
  });
  return PREFIX + toBase64Url(concat([body, checksum(body)]));
}

/** The invite in a link as a person pasted it, or what is wrong with it. */
export function decodeInvite(link: string, wallSeconds: number): DecodedInvite {
  const text = link.trim();
  if (text.length > INVITE_CHARACTERS_MAX)
    return rejected(`the link is too long: expected at most ${INVITE_CHARACTERS_MAX} characters, got ${text.length}`);
  if (!text.startsWith(PREFIX)) return rejected(`expected a link that starts with ${PREFIX}`);
  const bytes = fromBase64Url(text.slice(PREFIX.length));
  if (bytes === undefined || bytes.length <= CHECKSUM_BYTES) return rejected(TYPO);
  const body = bytes.subarray(0, -CHECKSUM_BYTES);
  if (!equalBytes(checksum(body), bytes.subarray(-CHECKSUM_BYTES))) return rejected(TYPO);
  const invite = readBody(decodeCanonical(body));
  if (invite === undefined) return rejected('the link was made by another version of skein');
  if (invite.expiresAt <= wallSeconds) return rejected('the link has expired; ask for a new one');
  return { type: 'invite', invite };
}

const TYPO = 'the link is damaged (a typo, or a part is missing); copy it again';

function readBody(value: unknown): Invite | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const {
    key,
    name,
    addresses,
    expiresAt,
  }: { key?: unknown; name?: unknown; addresses?: unknown; expiresAt?: unknown } = value;
  if (Object.keys(value).length !== 4) return undefined;
  if (!(key instanceof Uint8Array) || typeof name !== 'string' || !isAddressList(addresses)) return undefined;
  if (typeof expiresAt !== 'number' || !Number.isSafeInteger(expiresAt)) return undefined;
  if (name.length > 2 * NAME_CHARACTERS_MAX) return undefined;
  const parsed = swarmKeyOf(key);
  return parsed.type === 'swarm-key' ? { key: parsed.key, name, addresses, expiresAt } : undefined;
}

function isAddressList(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length <= ADDRESSES_MAX &&
    value.every((address) => typeof address === 'string' && address.length <= ADDRESS_CHARACTERS_MAX)
  );
}

function checksum(body: Uint8Array): Uint8Array {
  return sha256(body).subarray(0, CHECKSUM_BYTES);
}

function rejected(reason: string): DecodedInvite {
  return { type: 'rejected', reason };
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

function toBase64Url(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const word = ((bytes[index] ?? 0) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0);
    const digits = Math.min(4, bytes.length - index + 1);
    for (let digit = 0; digit < digits; digit += 1) text += ALPHABET.charAt((word >> (18 - 6 * digit)) & 63);
  }
  return text;
}

/** Undefined unless `text` is the one encoding of its bytes. */
function fromBase64Url(text: string): Uint8Array | undefined {
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
