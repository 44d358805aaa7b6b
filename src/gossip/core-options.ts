/**
 * What the gossip core is given: who it is, how it signs and checks, and where its randomness comes from. Signing and
 * checking are functions, so that a simulated node can have cheap ones.
 */
import type { NodeId, SwarmFingerprint } from '../ids.ts';
import type { Prng } from '../prng.ts';
import type { Parse, Sign, Verify } from './message-codec.ts';

export interface GossipCoreOptions {
  readonly self: NodeId;
  readonly swarm: SwarmFingerprint;
  /** Boot time in seconds, at least the last persisted + 1. */
  readonly incarnation: number;
  readonly sign: Sign;
  readonly verify: Verify;
  /** Absent = `parseMessage` (`view.ts` says when another makes sense). */
  readonly parse?: Parse;
  readonly prng: Prng;
}
