/**
 * One look at a simulated process: how much it knows, how old that is, and how full its bounded things are.
 */
import { finalMix, hash64, utf8 } from '../../src/bytes.ts';
import type { NodeId } from '../../src/ids.ts';
import type { Process } from './process.ts';
import type { NodeSample } from '../world-event.ts';

export interface SampleSource {
  readonly process: Process;
  readonly slots: number;
  readonly bufferedBytes: number;
}

/** Hashes of ids, which are asked for again and again. */
const idHashes = new Map<NodeId, number>();

export function sampleOf({ process, slots, bufferedBytes }: SampleSource): NodeSample {
  const { sentBytes } = process;
  const nowMs = process.nowMs();
  let alive = 0;
  let suspect = 0;
  let ageMs = 0;
  let viewHash = 0;
  for (const member of process.mesh.members(nowMs)) {
    if (member.verdict === 'alive') alive += 1;
    else suspect += 1;
    ageMs += member.ageMs;
    if (member.verdict === 'alive') viewHash ^= finalMix(hashOf(member.node) ^ member.incarnation);
  }
  const { asked, served } = process.plane.requests();
  const running = served.filter(({ phase }) => phase === 'running').length;
  const sample = {
    alive,
    suspect,
    viewAgeMs: ageMs / Math.max(1, alive + suspect),
    isStale: process.mesh.isStale,
    connections: process.connections.size,
    running,
    queued: served.length - running,
    asked: asked.length,
    slots,
    bufferedBytes,
    gossipBytes: sentBytes.gossip,
    heartbeatBytes: sentBytes.heartbeat,
    requestBytes: sentBytes.request,
    viewHash: viewHash >>> 0,
  };
  sentBytes.gossip = 0;
  sentBytes.heartbeat = 0;
  sentBytes.request = 0;
  return sample;
}

function hashOf(node: NodeId): number {
  const known = idHashes.get(node);
  if (known !== undefined) return known;
  const hash = hash64(utf8(node)).low;
  idHashes.set(node, hash);
  return hash;
}
