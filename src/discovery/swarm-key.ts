/**
 * What is a swarm key, and what is derived from it? 256 random bits in the three-line file that IPFS uses. Whoever holds
 * it belongs. libp2p's own reader accepts nearly anything with 64 hex digits in the third line, so this parser checks
 * every byte and refuses keys that cannot be random. Everything else that depends on the key (what people compare,
 * the membership proof, the names on the LAN and of the gossip topic) is an HKDF-SHA-256 derivation with a label of its
 * own, so that none of them tells anything about the key or about another.
 * Source: the file format of go-libp2p-pnet ("/key/swarm/psk/1.0.0/"); RFC 5869.
 */
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { invariant } from '../assert.ts';
import { fromHex, fromUtf8, toHex, utf8 } from '../bytes.ts';
import { parseSwarmFingerprint, type SwarmFingerprint } from '../ids.ts';
import { gossipTopicOf, mdnsServiceTagOf, type SwarmAnchor } from './swarm-anchor.ts';

export const SWARM_KEY_BYTES = 32;
/** Largest key file: 96 bytes plus room for line ends. Source: ours. */
export const SWARM_KEY_FILE_BYTES_MAX = 200;

const HEADER = '/key/swarm/psk/1.0.0/';
const ENCODING = '/base16/';
const LABEL_PREFIX = 'skein/1/';

export type ParsedSwarmKey =
  | { readonly type: 'swarm-key'; readonly key: SwarmKey }
  /** `reason` never contains a byte of the file. */
  | { readonly type: 'rejected'; readonly reason: string };

/** A checked key. Prints as `[secret]` wherever it is logged or serialized by accident. */
export class SwarmKey {
  readonly #bytes: Uint8Array;
  /** What people compare and beacons carry. */
  readonly fingerprint: SwarmFingerprint;

  constructor(bytes: Uint8Array) {
    invariant(bytes.length === SWARM_KEY_BYTES, 'a swarm key has 32 bytes');
    this.#bytes = bytes.slice();
    const fingerprint = parseSwarmFingerprint(toHex(this.#derive('fingerprint', 8)));
    invariant(fingerprint !== undefined, '8 bytes are 16 hex digits');
    this.fingerprint = fingerprint;
  }

  /** The key of the membership proof. */
  memberKey(): Uint8Array {
    return this.#derive('member', 32);
  }

  /** The names of a swarm that was founded with this key. */
  anchor(): SwarmAnchor {
    const [topic, service] = [toHex(this.#derive('topic', 8)), toHex(this.#derive('mdns', 8))];
    return { fingerprint: this.fingerprint, topic, service };
  }

  /** The service that nodes of a swarm founded with this key look for on the LAN. */
  mdnsServiceTag(): string {
    return mdnsServiceTagOf(this.anchor());
  }

  /** The gossip topic of a swarm that was founded with this key. */
  gossipTopic(): string {
    return gossipTopicOf(this.anchor());
  }

  /** The file, for writing it and for libp2p's protector. A secret: never log it. */
  fileText(): string {
    return `${HEADER}\n${ENCODING}\n${toHex(this.#bytes)}\n`;
  }

  /** The raw key, for an invite. A secret: never log it. */
  secretBytes(): Uint8Array {
    return this.#bytes.slice();
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }

  #derive(label: string, length: number): Uint8Array {
    return hkdf(sha256, this.#bytes, undefined, utf8(`${LABEL_PREFIX}${label}`), length);
  }
}

/** The key in the bytes of a file, or why they are none. */
export function parseSwarmKey(file: Uint8Array): ParsedSwarmKey {
  if (file.length > SWARM_KEY_FILE_BYTES_MAX)
    return rejected(`expected at most ${SWARM_KEY_FILE_BYTES_MAX} bytes, got ${file.length}`);
  const text = fromUtf8(file);
  if (text === undefined) return rejected('expected text, got bytes that are not UTF-8');
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/);
  const [header, encoding, digits] = lines;
  if (header !== HEADER) return rejected(`line 1: expected "${HEADER}"`);
  if (encoding !== ENCODING) return rejected(`line 2: expected "${ENCODING}"`);
  if (digits === undefined || !/^[0-9a-fA-F]{64}$/.test(digits)) return rejected('line 3: expected 64 hex digits');
  if (lines.length !== 3) return rejected(`expected 3 lines, got ${lines.length}`);
  return swarmKeyOf(fromHex(digits) ?? new Uint8Array());
}

/** The key of 32 raw bytes (an invite, the system's random source), with the same refusals. */
export function swarmKeyOf(bytes: Uint8Array): ParsedSwarmKey {
  if (bytes.length !== SWARM_KEY_BYTES)
    return rejected(`expected a key of ${SWARM_KEY_BYTES} bytes, got ${bytes.length}`);
  if (bytes.every((byte) => byte === bytes[0])) return rejected('expected a random key, got one byte repeated');
  return { type: 'swarm-key', key: new SwarmKey(bytes) };
}

/** The fingerprint in groups that people can compare aloud: "ab12-cd34-ef56-7890". */
export function formatFingerprint(fingerprint: SwarmFingerprint): string {
  return (fingerprint.match(/.{4}/g) ?? []).join('-');
}

function rejected(reason: string): ParsedSwarmKey {
  return { type: 'rejected', reason };
}
