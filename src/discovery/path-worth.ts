/**
 * Which of two paths to one node is worth more? The kind decides; between equal kinds the quicker one is the better, but it
 * takes the place of the other only when it is much quicker, so that two like paths do not change places all the time.
 */
import type { PathHealth } from './path-health.ts';
import { type PathKind, pathRank } from './transports.ts';

/** Of two equal kinds the quicker one, by a share and by so much. Source: guess: more than averages move by themselves. */
const QUICKER = { perMille: 700, ms: 20 } as const;

export function isWebrtc(kind: PathKind): boolean {
  return kind === 'webrtc' || kind === 'webrtc-direct';
}

function rankOf({ facts }: PathHealth): number {
  return pathRank(facts.kind, facts.isLimited);
}

/** Best first; equal kinds by speed. */
export function byWorth(left: PathHealth, right: PathHealth): number {
  const byKind = rankOf(left) - rankOf(right);
  if (byKind !== 0) return byKind;
  return left.rttMs - right.rttMs || (left.facts.id < right.facts.id ? -1 : 1);
}

/** Whether `path` should take over from `current`. */
export function isBetter(path: PathHealth, current: PathHealth): boolean {
  const byKind = rankOf(path) - rankOf(current);
  if (byKind !== 0) return byKind < 0;
  const isMuchQuicker = path.rttMs * 1_000 < current.rttMs * QUICKER.perMille;
  return isMuchQuicker && current.rttMs - path.rttMs >= QUICKER.ms;
}
