/** Nobody without the swarm key gets anything, on any address that a node listens on. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { startNode, statusOf, stopAll, until } from './harness.ts';

describe('an outsider', function () {
  this.timeout(60_000);
  let node: NodeProcess;

  before(async () => {
    node = await startNode();
  });
  after(stopAll);

  it('with libp2p and no key is served nothing on every listen address', async () => {
    assert.ok(node.addresses.length > 0);
    for (const address of node.addresses) {
      // One address after the other.
      // eslint-disable-next-line no-await-in-loop
      const stranger = await createLibp2p({
        transports: [tcp()],
        connectionEncrypters: [noise()],
        streamMuxers: [yamux()],
      });
      // eslint-disable-next-line no-await-in-loop
      await assert.rejects(
        stranger.dialProtocol(multiaddr(address), '/skein/link/1', { signal: AbortSignal.timeout(5_000) }),
      );
      // eslint-disable-next-line no-await-in-loop
      await stranger.stop();
    }
  });

  it('with a swarm of its own does not become a member', async () => {
    const [address] = node.addresses;
    assert.ok(address !== undefined);
    const stranger = await startNode({ args: ['--bootstrap', address] });
    await until(
      'the stranger tried',
      async () => /bootstrap|dial/i.test(stranger.errors()) || (await statusOf(stranger)).nodes.length === 1,
    );
    assert.equal((await statusOf(node)).nodes.length, 1);
    assert.equal((await statusOf(stranger)).nodes.length, 1);
  });

  it('that sends garbage is cut off, and the node goes on', async () => {
    const [, port] = /\/tcp\/(\d+)/.exec(node.addresses[0] ?? '') ?? [];
    const socket = connect(Number(port), '127.0.0.1');
    const received: Buffer[] = [];
    socket.on('data', (bytes: Buffer) => received.push(bytes));
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
      socket.on('error', () => resolve());
    });
    socket.write(Buffer.alloc(4_096, 0x41));
    await closed;
    assert.ok(Buffer.concat(received).length <= 1_024, 'no more than a nonce and a handshake greeting leaves the node');
    assert.equal((await fetch(`${node.api}/livez`)).status, 200);
  });
});
