/**
 * One look at a simulated process: how much it knows, how old that is, and how full its bounded things are.
 */
import type { Process } from './process.ts';
import type { NodeSample } from '../world-event.ts';

export interface SampleSource {
  readonly process: Process;
  readonly slots: number;
  readonly bufferedBytes: number;
}

export function sampleOf({ process, slots, bufferedBytes }: SampleSource): NodeSample {
  const { sentBytes } = process;
  const nowMs = process.nowMs();
  const { alive, suspect, ageMs, fingerprint } = process.mesh.census(nowMs);
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
    viewHash: fingerprint,
  };
  sentBytes.gossip = 0;
  sentBytes.heartbeat = 0;
  sentBytes.request = 0;
  return sample;
}
