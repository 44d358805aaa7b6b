/**
 * A node id on the wire is the 32 bytes of its Ed25519 key, not 52 characters of text: twenty bytes less in every
 * message. The id is the base58 text of an identity multihash around the protobuf of the key, so that the six bytes
 * before the key are always the same and both directions are exact. Source: libp2p peer-ids specification.
 * One id, one key: text that is base58 but not such an id is refused.
 */
import { invariant } from '../assert.ts';
import { type NodeId, parseNodeId } from '../ids.ts';

export const NODE_KEY_BYTES = 32;

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
/** Identity multihash of 36 bytes, key type Ed25519, key of 32 bytes. */
const PREFIX = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20] as const;
/** Letters that are converted together, and how many values they have. */
const LETTERS = 4;
const GROUP = 58 * 58 * 58 * 58;
const DIGIT = new Map(ALPHABET.split('').map((letter, digit) => [letter, digit]));

/** The key of a node id, or undefined when the text looks like an id but encodes no Ed25519 key. */
export function nodeKeyOf(node: NodeId): Uint8Array | undefined {
  const whole = new Uint8Array(PREFIX.length + NODE_KEY_BYTES);
  for (const letter of node) {
    let carry = DIGIT.get(letter) ?? 0;
    for (let index = whole.length - 1; index >= 0; index -= 1) {
      carry += (whole[index] ?? 0) * 58;
      whole[index] = carry & 0xff;
      carry >>= 8;
    }
    if (carry > 0) return undefined;
  }
  return PREFIX.every((byte, index) => whole[index] === byte) ? whole.slice(PREFIX.length) : undefined;
}

/** The node id of a key. Every 32 bytes have one. */
export function nodeOfKey(key: Uint8Array): NodeId {
  invariant(key.length === NODE_KEY_BYTES, 'a node key has 32 bytes');
  // Four letters at a time: their product with 256 is still a whole number that is exact.
  const groups: number[] = [];
  for (const byte of [...PREFIX, ...key]) {
    let carry = byte;
    for (let index = 0; index < groups.length; index += 1) {
      carry += (groups[index] ?? 0) * 256;
      groups[index] = carry % GROUP;
      carry = Math.floor(carry / GROUP);
    }
    if (carry > 0) groups.push(carry);
  }
  const letters = groups.toReversed().map(lettersOf).join('');
  // The first group is filled up with the digit zero, and one zero stands for the leading zero byte.
  const node = parseNodeId(`1${letters.replace(/^1+/, '')}`);
  invariant(node !== undefined, 'every Ed25519 key has a node id');
  return node;
}

function lettersOf(group: number): string {
  let letters = '';
  for (let rest = group, place = 0; place < LETTERS; place += 1) {
    letters = (ALPHABET[rest % ALPHABET.length] ?? '') + letters;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return letters;
}
