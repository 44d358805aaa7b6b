/**
 * What does the owner sign for a machine that used a code that works once? A certificate, and a place on the list of trusted
 * nodes. The machine names its id itself, so that a code must never do what only the owner's command does: lift a
 * revocation. Limits: a full list is no refusal, because the certificate is enough where nobody asks for the list.
 */
import type { OnceRequest } from './once-channel.ts';
import { signCertificate } from './certificate.ts';
import { nextCertificate } from './certificate-renewal.ts';
import type { Sign } from './signed-record.ts';
import { signTrustList, withTrusted } from './trust-list.ts';
import { isRevoked, type TrustBundle, trustListOf, type TrustState } from './trust-state.ts';

export type Newcomer =
  | { readonly type: 'signed'; readonly bundle: TrustBundle; readonly certificate: Uint8Array }
  /** `reason`: a word for the machine that asks. */
  | { readonly type: 'refused'; readonly reason: 'revoked' };

export function signNewcomer(
  trust: TrustState,
  { node, name: label }: OnceRequest,
  { sign, wallSeconds }: { readonly sign: Sign; readonly wallSeconds: number },
): Newcomer {
  if (isRevoked(trust, node)) return { type: 'refused', reason: 'revoked' };
  const certificate = signCertificate(
    nextCertificate(trust, { node, label, roles: ['serve', 'route'] }, wallSeconds),
    sign,
  );
  const list = withTrusted(trustListOf(trust), { node, label, since: wallSeconds });
  const lists = list === undefined ? [] : [signTrustList(list, sign).bytes];
  return { type: 'signed', bundle: { lists, certificates: [certificate] }, certificate };
}
