/** Two members behind a relay that come to a direct path by WebRTC, on loopback. */
import assert from 'node:assert/strict';
import { type LoopbackNode, LoopbackSwarm, testKey } from '../node/loopback.ts';

/** On loopback the library's own handshake fails now and then, twice in a row less often. */
async function dialled(
  node: LoopbackNode,
  to: LoopbackNode,
  { kind = 'webrtc', addresses = [] }: { kind?: 'webrtc' | 'webrtc-direct'; addresses?: readonly string[] } = {},
): Promise<string> {
  let reason = '';
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const result = await node.network.dialPath(to.id, kind, addresses);
    if (result.type === 'connected') return result.path ?? assert.fail('a path without a name');
    ({ reason } = result);
  }
  return assert.fail(reason);
}

const ECHO = '/test/echo/1';
const KEY = testKey(1);

/** Channels of WebRTC sometimes hold a process in which nothing is open any more. The last hook of the last file. */
after(() => {
  setTimeout(() => process.exit(), 2_000).unref();
});

async function serveEcho(node: LoopbackNode): Promise<void> {
  await node.network.handle(ECHO, (stream) => {
    stream.addEventListener('message', ({ data }) => void stream.send(data.subarray()));
  });
}

async function echoed(node: LoopbackNode, to: LoopbackNode, bytes: number): Promise<number> {
  const stream = await node.network.openStream(to.id, ECHO, AbortSignal.timeout(4_000));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let sum = 0;
  stream.addEventListener('message', ({ data }) => {
    sum += data.byteLength;
    if (sum >= bytes) resolve(sum);
  });
  stream.addEventListener('close', () => reject(new Error(`closed after ${sum} bytes`)));
  for (let sent = 0; sent < bytes; sent += 10_000)
    if (!stream.send(new Uint8Array(Math.min(10_000, bytes - sent)))) await stream.onDrain();
  return promise;
}

function isDirect(address: string): boolean {
  return address.includes('/webrtc-direct/');
}

describe('WebRTC', function () {
  this.timeout(20_000);
  const swarm = new LoopbackSwarm();
  afterEach(async () => swarm.stop());

  async function relayedPair(): Promise<{ relay: LoopbackNode; near: LoopbackNode; far: LoopbackNode }> {
    const relay = await swarm.start(KEY, { reach: { relay: 'on' } });
    const [near, far] = await Promise.all([swarm.start(KEY), swarm.start(KEY)]);
    await Promise.all([swarm.connect(near, relay), swarm.connect(far, relay)]);
    await Promise.all([near.untilRelayed(relay), far.untilRelayed(relay)]);
    const result = await near.network.dial(far.id, [await far.untilRelayed(relay)]);
    assert.equal(result.type, 'connected');
    await far.untilMember(near);
    return { relay, near, far };
  }

  it('gives a relayed pair a direct path, on which both prove themselves anew, and takes the streams over', async () => {
    const { relay, near, far } = await relayedPair();
    await serveEcho(far);
    await dialled(near, far);
    await far.until(({ type, text }) => type === 'path' && text === 'webrtc');
    for (const [node, other] of [
      [near, far],
      [far, near],
    ] as const)
      assert.deepEqual(
        node.network.paths(other.id).map(({ kind }) => kind),
        ['webrtc', 'relayed'],
      );
    const before = relay.network.counters()['relay-relayed-bytes'] ?? 0;
    assert.equal(await echoed(near, far, 1_000_000), 1_000_000);
    assert.ok((relay.network.counters()['relay-relayed-bytes'] ?? 0) - before < 200_000);
    // The relay dies, and nobody is lost.
    await relay.network.stop();
    await Promise.all(
      [near, far].map(async (node) => node.until(({ type, text }) => type === 'path-closed' && text === 'relayed')),
    );
    assert.equal(await echoed(near, far, 1_000), 1_000);
    assert.equal(near.log.filter(({ type, node }) => type === 'lost' && node === far.id).length, 0);
  });

  it('is greeted by either side, also by the one that was dialled', async () => {
    const { near, far } = await relayedPair();
    await dialled(far, near);
    await near.until(({ type, text }) => type === 'path' && text === 'webrtc');
  });

  it('goes directly to a node that listens for it, and proves the membership there too', async () => {
    const listen = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/udp/0/webrtc-direct'];
    const [near, far] = await Promise.all([swarm.start(KEY), swarm.start(KEY, { listen })]);
    await serveEcho(far);
    const { addresses = [] } = await far.until((event) => event.addresses?.some(isDirect) === true);
    await swarm.connect(near, far);
    const path = await dialled(near, far, { kind: 'webrtc-direct', addresses });
    const stream = await near.network.openStream(far.id, ECHO, AbortSignal.timeout(3_000), path);
    const echo = new Promise<number>((resolve) => {
      stream.addEventListener('message', ({ data }) => resolve(data.byteLength));
    });
    stream.send(new Uint8Array(100));
    assert.equal(await echo, 100);
    assert.deepEqual(
      near.network.paths(far.id).map(({ kind }) => kind),
      ['lan', 'webrtc-direct'],
    );
  });

  it('is not to be had without a relay that leads there, or when it is switched off', async () => {
    const [near, far] = await Promise.all([swarm.start(KEY), swarm.start(KEY, { reach: { webrtc: false } })]);
    await swarm.connect(near, far);
    const without = await near.network.dialPath(far.id, 'webrtc', [far.address]);
    assert.deepEqual(without, { type: 'failed', address: '', reason: 'no webrtc address' });
    const off = await far.network.dialPath(near.id, 'webrtc', [`${near.address}/p2p/${near.id}/p2p-circuit`]);
    assert.equal(off.type, 'failed');
    assert.match(off.type === 'failed' ? off.reason : '', /switched off/);
  });
});
