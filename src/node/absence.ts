/**
 * Why is that node not connected, and what is done about it? People ask it of the machine that they miss, so the first true
 * answer of these is told: it is not admitted, it said goodbye, nobody knows where it is, every dial failed (with what each
 * address said), it fell silent, or nobody needs a connection to it. Pure: the caller brings what the book and the
 * failure detector know.
 */
import type { Absence } from '../api/status.ts';
import type { DialReport } from '../discovery/dial-failures.ts';

export interface AbsenceFacts {
  readonly verdict: 'alive' | 'suspect' | 'dead' | 'left' | 'unknown';
  /** Why it is held for dead, when it is. */
  readonly verdictReason?: string | undefined;
  /** Why it is not admitted, or does not admit us. */
  readonly refusal?: string | undefined;
  readonly dials: DialReport | undefined;
  readonly nowMs: number;
}

export function absenceOf(facts: AbsenceFacts): Absence {
  const { dials, nowMs } = facts;
  const isDialling = dials?.isDialling === true;
  const waits = dials !== undefined && !isDialling && dials.addresses.length > 0;
  return {
    ...wordsOf(facts),
    isDialling,
    failures: dials?.failures ?? 0,
    ...(waits ? { nextDialInMs: Math.max(0, Math.round(dials.nextAtMs - nowMs)) } : {}),
    lastDials: (dials?.lastFailures ?? []).map(({ address, reason, atMs }) => ({
      address,
      reason,
      agoMs: Math.max(0, Math.round(nowMs - atMs)),
    })),
  };
}

function wordsOf({ verdict, verdictReason, refusal, dials }: AbsenceFacts): Pick<Absence, 'type' | 'reason'> {
  if (refusal !== undefined) return { type: 'refused', reason: refusal };
  if (verdict === 'left') return { type: 'left', reason: 'it said goodbye: its node was stopped' };
  if (dials === undefined || dials.addresses.length === 0)
    return { type: 'no-address', reason: 'no address of it is known; it has to call' };
  if (verdict === 'dead') {
    const detail = verdictReason === undefined ? '' : ` (${verdictReason})`;
    return { type: 'silent', reason: `it fell silent${detail}: asleep, switched off, or cut off from the network` };
  }
  if (dials.lastFailures.length > 0) return { type: 'unreachable', reason: 'no address of it answers' };
  if (dials.failures > 0 || verdict === 'unknown')
    return { type: 'unreachable', reason: 'it was not reached yet; the addresses are tried' };
  return { type: 'not-needed', reason: 'others are connected to it; a request that goes there connects' };
}
