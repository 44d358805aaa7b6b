/**
 * With which settings does libp2p run? What it would decide by itself is switched off: its monitor closes healthy
 * connections on lossy paths (liveness is ours) and its tags redial (our back-off does). Windows are small enough for the
 * swarm's cipher, and strangers' unfinished connections cannot lock members out.
 * Limits: connections, streams, connections in upgrade, time of each step.
 * Source: measured settings ("Settings that matter", "idle sockets" in docs/decisions).
 */
import { yamux } from '@libp2p/yamux';
import type { Libp2pOptions } from 'libp2p';
import { thriftyNoise } from './thrifty-libp2p.io.ts';

/** Source: measured: one stream's writes then stay below what pnet's cipher can take, and bulk keeps its speed. */
const STREAM_WINDOW_BYTES = 262_144;
const STREAMS_PER_CONNECTION_MAX = 1_024;
/** Source: copied: libp2p's own. */
const DIAL_MS_MAX = 10_000;
/** A peer with another swarm key never answers in a way that can be read: this ends it. Source: guess: 2 lost SYNs are more. */
const DIAL_ADDRESS_MS_MAX = 2_500;

export function libp2pSettings(
  connectionsMax: number,
): Pick<Libp2pOptions, 'connectionEncrypters' | 'streamMuxers' | 'connectionMonitor' | 'connectionManager'> {
  return {
    connectionEncrypters: [thriftyNoise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: STREAMS_PER_CONNECTION_MAX,
        maxOutboundStreams: STREAMS_PER_CONNECTION_MAX,
        streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES },
      }),
    ],
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: connectionsMax,
      inboundUpgradeTimeout: 2_000,
      maxIncomingPendingConnections: 128,
      inboundConnectionThreshold: 100,
      dialTimeout: DIAL_MS_MAX,
      addressDialTimeout: DIAL_ADDRESS_MS_MAX,
      reconnectRetries: 0,
    },
  };
}
