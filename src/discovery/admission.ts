/**
 * May a node that holds the swarm key be a member? Asked on every connection, in both directions, after its proof:
 *   1. what the owner revoked, or this machine denies, is out, whatever else holds;
 *   2. open: the key is enough;
 *   3. allowlist: this machine's list or the owner's trusted list must name it;
 *   4. certified: it must have shown a certificate of the pinned owner for itself whose dates hold.
 * Both this machine's setting and the owner's list name a mode, and both must be content. Each refusal has a number that the refused one is
 * told, because it holds the key: a machine that is out by mistake must be able to say why. Limits: dates are judged by this
 * machine's clock, with five minutes of patience (`certificate.ts`).
 */
import type { NodeId } from '../ids.ts';
import { dateProblem, readCertificate } from './certificate.ts';
import type { VerifySignature } from './signed-record.ts';
import type { AdmissionMode } from './admission-mode.ts';
import { isRevoked, trustListOf, type TrustState } from './trust-state.ts';

/** In the order of their numbers on the wire, from 1. */
export const ADMISSION_REFUSALS = [
  'revoked',
  'denied',
  'not-listed',
  'no-certificate',
  'bad-certificate',
  'certificate-early',
  'certificate-expired',
] as const;
export type AdmissionRefusal = (typeof ADMISSION_REFUSALS)[number];

/** What the membership proof asks. */
export interface Admission {
  /** Of the keys in use, the one to prefer first; 1 to `KEYS_MAX`. */
  memberKeys(): readonly Uint8Array[];
  /** Our own certificate, empty where there is none. */
  certificate(): Uint8Array;
  judge(node: NodeId, certificate: Uint8Array): AdmissionRefusal | undefined;
  /** A node does not admit us, and says why. */
  refusedBy?(node: NodeId, refusal: AdmissionRefusal): void;
}

export interface AdmissionRules {
  readonly mode: AdmissionMode;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly trust: TrustState;
  readonly verify: VerifySignature;
  readonly wallSeconds: number;
}

/** One key, and it is enough. */
export function openAdmission(memberKey: Uint8Array): Admission {
  return { memberKeys: () => [memberKey], certificate: () => new Uint8Array(), judge: () => undefined };
}

export function judgeAdmission(
  rules: AdmissionRules,
  node: NodeId,
  certificate: Uint8Array,
): AdmissionRefusal | undefined {
  const list = trustListOf(rules.trust);
  // 1.
  if (isRevoked(rules.trust, node)) return 'revoked';
  if (rules.deny.includes(node)) return 'denied';
  const modes: readonly AdmissionMode[] = [rules.mode, list.mode];
  // 2. and 3.
  const isListed = rules.allow.includes(node) || list.trusted.some((entry) => entry.node === node);
  if (modes.includes('allowlist') && !isListed) return 'not-listed';
  // 4.
  if (!modes.includes('certified')) return undefined;
  const refusal = judgeCertificate(rules, node, certificate);
  // The owner's renewal may have come to us before it came to that node.
  const known = rules.trust.certificates.get(node);
  return refusal !== undefined && known !== undefined ? judgeCertificate(rules, node, known.bytes) : refusal;
}

function judgeCertificate(
  { trust, verify, wallSeconds }: AdmissionRules,
  node: NodeId,
  bytes: Uint8Array,
): AdmissionRefusal | undefined {
  if (bytes.length === 0) return 'no-certificate';
  const certificate = trust.owner === undefined ? undefined : readCertificate(bytes, trust.owner, verify);
  if (certificate?.node !== node) return 'bad-certificate';
  const problem = dateProblem(certificate, wallSeconds);
  if (problem === 'early') return 'certificate-early';
  return problem === 'expired' ? 'certificate-expired' : undefined;
}

/** In words, for the people of one side: what is mended on this machine depends on which one it is. */
export function explainRefusal(refusal: AdmissionRefusal, wallSeconds: number, side: 'refuser' | 'refused'): string {
  const [here, its] =
    side === 'refuser' ? ['this machine', 'its certificate'] : ['that machine', "this node's certificate"];
  const clock = `this machine's clock says ${timeText(wallSeconds)} UTC, and five minutes are forgiven: check the clocks of both`;
  const texts: Readonly<Record<AdmissionRefusal, string>> = {
    revoked: "the owner revoked it: `skein trust add` on the owner's machine lets it in again",
    denied: `it is denied in admission.deny of ${here}`,
    'not-listed': `it is on no list: \`skein trust add\` on the owner's machine, or admission.allow on ${here}, lets it in`,
    'no-certificate': "it has no certificate: `skein trust certify` on the owner's machine makes one",
    'bad-certificate': `${its} is not for it, or not of the owner that ${here} trusts: see \`skein trust list\``,
    'certificate-early': `${its} is not valid yet; ${clock}`,
    'certificate-expired': `${its} has ended: \`skein trust certify\` renews it; ${clock}`,
  };
  return texts[refusal];
}

/** "2026-11-21 12:00:00" without a calendar of the system. Source: Howard Hinnant's civil_from_days. */
export function timeText(wallSeconds: number): string {
  const days = Math.floor(wallSeconds / 86_400);
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const rest = wallSeconds - days * 86_400;
  const [hours, minutes, seconds] = [Math.floor(rest / 3_600), Math.floor(rest / 60) % 60, rest % 60];
  return `${year}-${two(month)}-${two(day)} ${two(hours)}:${two(minutes)}:${two(seconds)}`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
