/**
 * What does the next certificate of a node look like, and when is it due? Certificates end after a month at most, so that a
 * machine that nobody misses goes out by itself; a machine that is there every day should not. So the owner's node signs anew
 * those of the nodes that are connected, in the last third of their time. One that was made for less than the full time is left
 * to end: it was meant to. A serial is higher than the last one whatever the clock says, so that the newer is always the one that counts.
 * Limits: an owner whose clock is wrong would sign dates that nobody accepts, for all at once: nothing is renewed
 * unless half of the others' clocks agree. Source: ours; a third of the time: as is usual for certificates of web servers.
 */
import type { NodeId } from '../ids.ts';
import { timeText } from './admission.ts';
import { type Certificate, CERTIFICATE_DAYS_MAX, CLOCK_SKEW_SECONDS, type Role } from './certificate.ts';
import { isRevoked, trustListOf, type TrustState } from './trust-state.ts';

const DAY_SECONDS = 86_400;
export const CERTIFICATE_SECONDS_MAX = CERTIFICATE_DAYS_MAX * DAY_SECONDS;
/** Source: a third of the longest time. */
export const RENEW_BEFORE_SECONDS = CERTIFICATE_SECONDS_MAX / 3;
/** The owner's node had half of that time, and did not renew it: time to look. Source: guess. */
export const WARN_BEFORE_SECONDS = RENEW_BEFORE_SECONDS / 2;

export interface CertificateAsked {
  readonly node: NodeId;
  readonly label: string;
  readonly roles: readonly Role[];
  /** Default: the longest time. */
  readonly seconds?: number;
}

/** To be signed: it replaces the one that is known, also when that was made by a clock that ran ahead. */
export function nextCertificate(
  { certificates }: TrustState,
  { node, label, roles, seconds = CERTIFICATE_SECONDS_MAX }: CertificateAsked,
  wallSeconds: number,
): Certificate {
  const last = certificates.get(node)?.certificate.serial ?? 0;
  const dates = { notBefore: wallSeconds, expires: wallSeconds + seconds };
  return { node, label, roles, serial: Math.max(wallSeconds, last + 1), ...dates };
}

/** A member that is connected, and how far its clock is ahead of ours, where that is known. */
export interface Present {
  readonly node: NodeId;
  readonly clockAheadMs?: number | undefined;
}

/** What the owner's node signs now: for itself and who is connected. */
export function renewalsDue(
  trust: TrustState,
  { self, others }: { readonly self: NodeId; readonly others: readonly Present[] },
  wallSeconds: number,
): readonly Certificate[] {
  if (!isClockBelieved(others)) return [];
  return [self, ...others.map(({ node }) => node)].flatMap((node) => {
    const last = trust.certificates.get(node)?.certificate;
    if (last === undefined || isRevoked(trust, node)) return [];
    const isWhole = last.expires - last.notBefore >= CERTIFICATE_SECONDS_MAX;
    const isDue = last.expires - wallSeconds <= RENEW_BEFORE_SECONDS && wallSeconds >= last.notBefore;
    return isWhole && isDue ? [nextCertificate(trust, last, wallSeconds)] : [];
  });
}

/** When this node's certificate ends, if that is soon and matters; seconds of the wall clock. */
export function endsSoon(
  trust: TrustState,
  { node, isAsked }: { readonly node: NodeId; readonly isAsked: boolean },
  wallSeconds: number,
): number | undefined {
  const certificate = trust.certificates.get(node)?.certificate;
  if (certificate === undefined || !(isAsked || trustListOf(trust).mode === 'certified')) return undefined;
  return certificate.expires - wallSeconds <= WARN_BEFORE_SECONDS ? certificate.expires : undefined;
}

/** In words, for whoever runs this node. */
export function endText(endsAt: number, wallSeconds: number): string {
  const days = Math.floor((endsAt - wallSeconds) / DAY_SECONDS);
  const when =
    days < 0 ? 'has ended' : `ends in ${days === 0 ? 'less than a day' : `${days} ${days === 1 ? 'day' : 'days'}`}`;
  const mend = "the owner's node renews it while both are connected and the owner's key is on that machine";
  return `the certificate of this node ${when} (${timeText(endsAt)} UTC); ${mend}, else \`skein trust certify\` does`;
}

function isClockBelieved(others: readonly Present[]): boolean {
  const known = others.flatMap(({ clockAheadMs }) => clockAheadMs ?? []);
  const agreeing = known.filter((aheadMs) => Math.abs(aheadMs) <= CLOCK_SKEW_SECONDS * 1_000);
  return known.length > 0 && agreeing.length * 2 >= known.length;
}
