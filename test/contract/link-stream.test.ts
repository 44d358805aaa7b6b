import assert from 'node:assert/strict';
import type { Stream } from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';
import { LINK_PROTOCOL } from '../../src/inference/data-plane.io.ts';
import { overMessageStream } from '../../src/inference/link.io.ts';
import { memoryPair } from '../inference/memory-stream.ts';
import { linkStreamContract } from './link-stream.contract.ts';

// libp2p keeps what it makes (its key) in the object that it is given: one for each node.
function optionsOf(): Parameters<typeof createLibp2p>[0] {
  return {
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
  };
}
linkStreamContract('a memory stream', async () => {
  const { ends } = memoryPair();
  return Promise.resolve({ ends, dispose: async () => Promise.resolve() });
});

linkStreamContract('a libp2p stream on loopback', async () => {
  const [left, right] = await Promise.all([createLibp2p(optionsOf()), createLibp2p(optionsOf())]);
  const inbound = Promise.withResolvers<Stream>();
  await right.handle(LINK_PROTOCOL, (stream) => inbound.resolve(stream));
  const [address] = right.getMultiaddrs();
  assert.ok(address !== undefined);
  const outbound = await left.dialProtocol(address, LINK_PROTOCOL);
  const ends = [overMessageStream(outbound), overMessageStream(await inbound.promise)] as const;
  return {
    ends,
    dispose: async () => {
      await Promise.all([left.stop(), right.stop()]);
    },
  };
});
