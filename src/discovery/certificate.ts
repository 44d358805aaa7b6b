/**
 * How does a node show that the owner of the swarm admits it? A certificate: the owner's Ed25519 signature over the node's
 * id, a label, roles, a serial and two dates at most 30 days apart. It is shown inside the membership proof, on a connection
 * whose other end the channel has authenticated, so that somebody else's is of no use. Clocks lie: five minutes either way
 * are forgiven, and a refusal says what this machine's clock says.
 * Limits: bytes; a certificate that was given out counts until it ends, unless its node is revoked (`trust-list.ts`).
 */
import { decodeCanonical, encodeCanonical } from '../bytes.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import {
  isCount,
  isLabel,
  openRecord,
  type RecordForm,
  sealRecord,
  type Sign,
  signedBytes,
  type VerifySignature,
} from './signed-record.ts';

export const ROLES = ['serve', 'route', 'admin', 'audit'] as const;
export type Role = (typeof ROLES)[number];

/** Longest certificate. Source: ours: a label of 64 characters and all roles are half of it. */
export const CERTIFICATE_BYTES_MAX = 512;
/** Source: requirement: a lost machine is out after a month at the latest, even where nobody hears of its revocation. */
export const CERTIFICATE_DAYS_MAX = 30;
/** Source: guess: machines without NTP are minutes off; hours are a fault that should be seen. */
export const CLOCK_SKEW_SECONDS = 300;

const DAY_SECONDS = 86_400;
const FORM: RecordForm = { domain: 'skein certificate 1\n', bytesMax: CERTIFICATE_BYTES_MAX };

export interface Certificate {
  readonly node: NodeId;
  readonly label: string;
  readonly roles: readonly Role[];
  /** Higher = newer; the newest of a node is the one that is kept. */
  readonly serial: number;
  /** Seconds of the wall clock. */
  readonly notBefore: number;
  readonly expires: number;
}

export function signCertificate(certificate: Certificate, sign: Sign): Uint8Array {
  const { node, label, roles, serial, notBefore, expires } = certificate;
  const sorted = ROLES.filter((role) => roles.includes(role));
  return sealRecord(FORM, encodeCanonical([node, label, sorted, serial, notBefore, expires]), sign);
}

/** Undefined unless `owner` signed it and every field is in range. */
export function readCertificate(bytes: Uint8Array, owner: NodeId, verify: VerifySignature): Certificate | undefined {
  const record = openRecord(FORM, bytes);
  const certificate = record === undefined ? undefined : readPayload(decodeCanonical(record.payload));
  if (record === undefined || certificate === undefined) return undefined;
  return verify(owner, signedBytes(FORM, record.payload), record.signature) ? certificate : undefined;
}

/** What is wrong with its dates at this time; undefined = nothing. */
export function dateProblem(
  { notBefore, expires }: Pick<Certificate, 'notBefore' | 'expires'>,
  wallSeconds: number,
): 'early' | 'expired' | undefined {
  if (wallSeconds < notBefore - CLOCK_SKEW_SECONDS) return 'early';
  return wallSeconds >= expires + CLOCK_SKEW_SECONDS ? 'expired' : undefined;
}

function readPayload(value: unknown): Certificate | undefined {
  if (!Array.isArray(value) || value.length !== 6) return undefined;
  const [nodeText, label, roles, serial, notBefore, expires]: readonly unknown[] = value;
  const node = parseNodeId(nodeText);
  if (node === undefined || !isLabel(label) || !isRoles(roles)) return undefined;
  if (!isCount(serial) || !isCount(notBefore) || !isCount(expires)) return undefined;
  if (expires <= notBefore || expires - notBefore > CERTIFICATE_DAYS_MAX * DAY_SECONDS) return undefined;
  return { node, label, roles, serial, notBefore, expires };
}

/** In the order of the table, each once: one encoding for one set. */
function isRoles(value: unknown): value is readonly Role[] {
  if (!Array.isArray(value)) return false;
  const sorted: readonly string[] = ROLES.filter((role) => value.includes(role));
  return sorted.length === value.length && sorted.every((role, index) => role === value[index]);
}

export function parseRole(text: string): Role | undefined {
  return ROLES.find((role) => role === text);
}
