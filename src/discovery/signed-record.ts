/**
 * How is a document of the owner (a certificate, a trust list, an order to change keys) told from anything else that was
 * ever signed? Canonical CBOR of [payload, signature], the signature over a domain text of its own and the payload. Decoding
 * gives the payload only when the bytes are canonical, within the limit, and signed by the one who is asked for.
 * Limits: it says who signed, not that it is still true: dates and versions are their owner's business.
 */
import { concat, decodeCanonical, encodeCanonical, utf8 } from '../bytes.ts';
import type { NodeId } from '../ids.ts';

/** True when `signature` is that of the key named by `author`. A key of an owner is named as a node's is. */
export type VerifySignature = (author: NodeId, bytes: Uint8Array, signature: Uint8Array) => boolean;
export type Sign = (bytes: Uint8Array) => Uint8Array;

const SIGNATURE_BYTES = 64;

export interface RecordForm {
  /** "skein certificate 1\n": no two kinds share one. */
  readonly domain: string;
  readonly bytesMax: number;
}

export function sealRecord(form: RecordForm, payload: Uint8Array, sign: Sign): Uint8Array {
  return encodeCanonical([payload, sign(signedBytes(form, payload))]);
}

/** The payload and its signature, unverified; undefined when the bytes are no such record. */
export function openRecord(
  form: RecordForm,
  bytes: Uint8Array,
): { readonly payload: Uint8Array; readonly signature: Uint8Array } | undefined {
  if (bytes.length > form.bytesMax) return undefined;
  const value = decodeCanonical(bytes);
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [payload, signature]: readonly unknown[] = value;
  if (!(payload instanceof Uint8Array) || !(signature instanceof Uint8Array)) return undefined;
  return signature.length === SIGNATURE_BYTES ? { payload, signature } : undefined;
}

export function signedBytes({ domain }: RecordForm, payload: Uint8Array): Uint8Array {
  return concat([utf8(domain), payload]);
}

/** A whole number of seconds, versions or rounds. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** What people call a machine, short enough for a table and without control characters. */
export function isLabel(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 64 && !/[\p{C}\p{Zl}\p{Zp}]/u.test(value);
}

/** Such a label of any text: what it may not hold is left out. */
export function labelOf(text: string): string {
  return Array.from(text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, ''))
    .slice(0, 32)
    .join('');
}
