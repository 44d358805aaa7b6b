import assert from 'node:assert/strict';
import type { MultiaddrConnection } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { PendingLimit } from '../../src/discovery/pending-limit.io.ts';

/** As much of a connection as is looked at. */
function arriving(address: string): MultiaddrConnection {
  return Object.assign(new EventTarget(), { remoteAddr: multiaddr(address) }) as unknown as MultiaddrConnection;
}

function refusals(limit: PendingLimit, address: string, count: number): number {
  const gater = limit.gater();
  return Array.from({ length: count }, () => gater.denyInboundConnection?.(arriving(address))).filter(Boolean).length;
}

/** A connection of WebRTC, which names its node and no host. */
function greeted(letter: string): string {
  return `/webrtc/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ${letter}`;
}

describe('connections in upgrade', () => {
  const STRANGER = '/ip4/198.51.100.7/tcp/50000';
  const MEMBER = '/ip4/203.0.113.9/tcp/50000';

  it('are four of a host, and 32 where a member is', () => {
    const limit = new PendingLimit(4, (host) => host === '203.0.113.9');
    assert.equal(refusals(limit, STRANGER, 10), 6);
    assert.equal(refusals(limit, MEMBER, 40), 8);
    assert.equal(limit.refused, 14);
  });

  it('are counted for each node where there is no host', () => {
    const limit = new PendingLimit(1);
    assert.equal(refusals(limit, greeted('5'), 2), 1);
    assert.equal(refusals(limit, greeted('6'), 1), 0);
  });

  it('make room when they end, one way or the other', () => {
    const limit = new PendingLimit(1);
    const gater = limit.gater();
    const first = arriving(STRANGER);
    assert.equal(gater.denyInboundConnection?.(first), false);
    first.dispatchEvent(new Event('close'));
    const second = arriving(STRANGER);
    assert.equal(gater.denyInboundConnection?.(second), false);
    assert.equal(refusals(limit, STRANGER, 1), 1);
  });
});
