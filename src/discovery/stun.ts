/**
 * What is in the few bytes by which a node behind a NAT learns how the world sees it? A binding request is 20 bytes, and
 * its answer holds the sender's address, turned by a fixed pattern so that no NAT mends it on the way. Only this is
 * understood; a datagram with anything else in its first 20 bytes gets no answer, so nobody is made louder than it is:
 * the answer is longer than a bare question by 12 bytes, or 24 with IPv6.
 * Limits: no authentication, no other attribute is read; long requests are none of ours.
 * Source: RFC 8489, sections 5, 6, 14.2.
 */
import { concat } from '../bytes.ts';

const MAGIC_COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const XOR_MAPPED_ADDRESS = 0x0020;
const FAMILY_IP4 = 0x01;
const FAMILY_IP6 = 0x02;
/** Longest request that is answered. Source: guess: a few attributes of an ICE agent (software, fingerprint). */
export const STUN_REQUEST_BYTES_MAX = 256;
export const TRANSACTION_BYTES = 12;

export interface StunAddress {
  readonly host: string;
  readonly port: number;
}

/** `transaction`: 12 random bytes. */
export function encodeStunRequest(transaction: Uint8Array): Uint8Array {
  return concat([header(BINDING_REQUEST, 0), transaction]);
}

/** The transaction of a binding request; undefined for whatever else came. */
export function decodeStunRequest(datagram: Uint8Array): Uint8Array | undefined {
  const isRequest = datagram.length <= STUN_REQUEST_BYTES_MAX && typeOf(datagram) === BINDING_REQUEST;
  return isRequest ? datagram.subarray(8, HEADER_BYTES) : undefined;
}

/** Undefined where no answer can be sent: a datagram that names port 0 as its own was made by hand. */
export function encodeStunAnswer(transaction: Uint8Array, { host, port }: StunAddress): Uint8Array | undefined {
  if (!isStunPort(port)) return undefined;
  const address = host.includes(':') ? ip6Bytes(host) : ip4Bytes(host);
  if (address === undefined) return undefined;
  const pattern = concat([cookie(), transaction]);
  const family = address.length === 4 ? FAMILY_IP4 : FAMILY_IP6;
  const turned = address.map((byte, index) => byte ^ (pattern[index] ?? 0));
  const attribute = concat([uint16(XOR_MAPPED_ADDRESS), uint16(4 + address.length)]);
  const value = concat([Uint8Array.of(0, family), uint16(port ^ (MAGIC_COOKIE >>> 16)), turned]);
  return concat([header(BINDING_SUCCESS, attribute.length + value.length), transaction, attribute, value]);
}

/** A system refuses to send to any other, at once and with an exception. */
export function isStunPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65_536;
}

/** Where the server saw us, if this is its answer to that question. */
export function decodeStunAnswer(datagram: Uint8Array, transaction: Uint8Array): StunAddress | undefined {
  if (typeOf(datagram) !== BINDING_SUCCESS) return undefined;
  if (!datagram.subarray(8, HEADER_BYTES).every((byte, index) => byte === transaction[index])) return undefined;
  let at = HEADER_BYTES;
  while (at + 4 <= datagram.length) {
    const length = read16(datagram, at + 2);
    const value = datagram.subarray(at + 4, at + 4 + length);
    if (read16(datagram, at) === XOR_MAPPED_ADDRESS && value.length === length) return mapped(value, transaction);
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return undefined;
}

function mapped(value: Uint8Array, transaction: Uint8Array): StunAddress | undefined {
  const pattern = concat([cookie(), transaction]);
  const address = value.subarray(4).map((byte, index) => byte ^ (pattern[index] ?? 0));
  const port = read16(value, 2) ^ (MAGIC_COOKIE >>> 16);
  if (value[1] === FAMILY_IP4 && address.length === 4) return { host: address.join('.'), port };
  if (value[1] !== FAMILY_IP6 || address.length !== 16) return undefined;
  const groups = Array.from({ length: 8 }, (_, index) => read16(address, index * 2).toString(16));
  return { host: groups.join(':'), port };
}

/** The message type, if the first 20 bytes are those of a STUN message whose length is right. */
function typeOf(datagram: Uint8Array): number | undefined {
  if (datagram.length < HEADER_BYTES || datagram.length % 4 !== 0) return undefined;
  const isStun = read16(datagram, 2) === datagram.length - HEADER_BYTES && read32(datagram, 4) === MAGIC_COOKIE;
  return isStun ? read16(datagram, 0) : undefined;
}

function header(type: number, length: number): Uint8Array {
  return concat([uint16(type), uint16(length), cookie()]);
}

function cookie(): Uint8Array {
  return concat([uint16(MAGIC_COOKIE >>> 16), uint16(MAGIC_COOKIE & 0xffff)]);
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of((value >> 8) & 0xff, value & 0xff);
}

function read16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function read32(bytes: Uint8Array, at: number): number {
  return read16(bytes, at) * 0x1_0000 + read16(bytes, at + 2);
}

function ip4Bytes(host: string): Uint8Array | undefined {
  const parts = host.split('.').map(Number);
  const isAddress = parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part <= 255);
  return isAddress ? Uint8Array.from(parts) : undefined;
}

function ip6Bytes(host: string): Uint8Array | undefined {
  const [text = ''] = host.split('%');
  const mappedIp4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  if (mappedIp4 !== undefined) return ip4Bytes(mappedIp4);
  const [head = '', tail] = text.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...after];
  if (groups.length !== 8 || !groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return concat(groups.map((group) => uint16(Number.parseInt(group, 16))));
}
