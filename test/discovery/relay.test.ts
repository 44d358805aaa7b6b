/** Two members that reach each other over a third only, on loopback: they know no other address of each other. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { LoopbackSwarm, testKey, type LoopbackNode } from '../node/loopback.ts';

const ECHO = '/test/echo/1';
const KEY = testKey(1);
const RELAY = { reach: { relay: 'on', webrtc: false } } as const;
const MEMBER = { reach: { relay: 'off', webrtc: false } } as const;

async function echoed(node: LoopbackNode, to: LoopbackNode, bytes: number): Promise<number> {
  const stream = await node.network.openStream(to.id, ECHO, AbortSignal.timeout(4_000));
  let sum = 0;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  stream.addEventListener('message', ({ data }) => {
    sum += data.byteLength;
    if (sum >= bytes) resolve(sum);
  });
  stream.addEventListener('close', () => reject(new Error(`closed after ${sum} bytes`)));
  for (let sent = 0; sent < bytes; sent += 16_384)
    if (!stream.send(new Uint8Array(Math.min(16_384, bytes - sent)))) await stream.onDrain();
  return promise;
}

async function serveEcho(node: LoopbackNode): Promise<void> {
  await node.network.handle(ECHO, (stream) => {
    stream.addEventListener('message', ({ data }) => void stream.send(data.subarray()));
  });
}

describe('a relay', () => {
  const swarm = new LoopbackSwarm();
  afterEach(async () => swarm.stop());

  async function threeNodes(
    limits: object = {},
  ): Promise<{ relay: LoopbackNode; near: LoopbackNode; far: LoopbackNode }> {
    const relay = await swarm.start(KEY, { reach: { ...RELAY.reach, relayLimits: limits } });
    const [near, far] = await Promise.all([swarm.start(KEY, MEMBER), swarm.start(KEY, MEMBER)]);
    await Promise.all([swarm.connect(near, relay), swarm.connect(far, relay)]);
    return { relay, near, far };
  }

  it('keeps a place for every member, which tells it among its addresses', async () => {
    const { relay, near, far } = await threeNodes();
    for (const node of [near, far]) {
      const address = await node.untilRelayed(relay);
      assert.equal(address, `${relay.address}/p2p/${relay.id}/p2p-circuit/p2p/${node.id}`);
      assert.deepEqual(node.network.reach().relays, [relay.id]);
    }
    assert.equal(relay.network.reach().isRelay, true);
    assert.deepEqual(relay.network.reach().relays, []);
    assert.equal(relay.network.counters()['relay-reservations'], 2);
  });

  it('joins two members, who prove themselves to each other and not to the relay alone', async () => {
    const { relay, near, far } = await threeNodes();
    await serveEcho(far);
    const address = await far.untilRelayed(relay);
    const result = await near.network.dial(far.id, [address]);
    assert.equal(result.type, 'connected');
    await far.untilMember(near);
    const [path] = near.network.paths(far.id);
    assert.equal(path?.kind, 'relayed');
    assert.equal(path.relay, relay.id);
    assert.equal(path.isLimited, false);
    assert.equal(far.network.paths(near.id)[0]?.kind, 'relayed');
    // libp2p's own limit is 128 KiB.
    assert.equal(await echoed(near, far, 1_000_000), 1_000_000);
    assert.ok((relay.network.counters()['relay-relayed-bytes'] ?? 0) > 2_000_000);
  });

  it('carries gossip between members that share nothing else', async () => {
    const { relay, near, far } = await threeNodes();
    // The relay itself passes nothing on, so that what arrives came through it and not from it.
    relay.verdict = 'ignore';
    const address = await far.untilRelayed(relay);
    await near.network.dial(far.id, [address]);
    await untilGossips(near, 2);
    near.network.publish(Buffer.from('over the relay'));
    await far.until(({ type, node }) => type === 'message' && node === near.id);
  });

  it('is chosen again when it comes back, and another one takes its place meanwhile', async () => {
    const first = await swarm.start(KEY, RELAY);
    const second = await swarm.start(KEY, RELAY);
    const third = await swarm.start(KEY, RELAY);
    const node = await swarm.start(KEY, MEMBER);
    for (const relay of [first, second, third]) await swarm.connect(node, relay);
    await Promise.all([first, second].map(async (relay) => node.untilRelayed(relay)));
    assert.equal(node.network.reach().relays.length, 2);
    const lost = node.until(({ type, node: gone }) => type === 'lost' && gone === first.id);
    node.network.close(first.id, 'test');
    await lost;
    await node.untilRelayed(third);
    assert.deepEqual([...node.network.reach().relays].toSorted(), [second.id, third.id].toSorted());
  });

  it('is used at once when the other addresses of a node lead nowhere', async () => {
    const { relay, near, far } = await threeNodes();
    const address = await far.untilRelayed(relay);
    // A listener that never answers: its backlog takes the connection, and nobody shakes hands.
    const silent = createServer(() => {});
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const bound = silent.address();
    assert.ok(bound !== null && typeof bound === 'object');
    const nowhere = Array.from({ length: 4 }, () => `/ip4/127.0.0.1/tcp/${bound.port}`);
    const started = performance.now();
    const result = await near.network.dial(far.id, [...nowhere, address]);
    assert.equal(result.type, 'connected');
    assert.equal(near.network.paths(far.id)[0]?.kind, 'relayed');
    assert.ok(performance.now() - started < 2_000, `${performance.now() - started} ms, each address alone takes 2,500`);
    silent.close();
  });

  it('lets each member send at its own rate, and cuts nobody', async () => {
    const rate = { bytesPerSecond: 1_000_000, burstBytes: 100_000, membersMax: 16 };
    const { relay, near, far } = await threeNodes({ rate });
    await serveEcho(far);
    await near.network.dial(far.id, [await far.untilRelayed(relay)]);
    const started = performance.now();
    assert.equal(await echoed(near, far, 600_000), 600_000);
    assert.ok(performance.now() - started > 400, 'half a second at least: 600 kB, less the burst, at 1 MB/s');
    assert.ok((relay.network.counters()['relay-pauses'] ?? 0) > 0);
  });

  it('has places for so many and no more', async () => {
    const { relay, near, far } = await threeNodes({ reservationsMax: 1 });
    const refused = Promise.race(
      [near, far].map(async (node) => node.until(({ type, text }) => type === 'problem' && text.includes(relay.id))),
    );
    await refused;
    assert.equal(relay.network.counters()['relay-reservations'], 1);
  });

  it('joins so many streams for one member and no more, and others still get theirs', async () => {
    const { relay, near, far } = await threeNodes({ relayedPerMemberMax: 1 });
    const third = await swarm.start(KEY, MEMBER);
    await swarm.connect(third, relay);
    const [toFar, toThird] = [await far.untilRelayed(relay), await third.untilRelayed(relay)];
    assert.equal((await near.network.dial(far.id, [toFar])).type, 'connected');
    assert.equal((await near.network.dial(third.id, [toThird])).type, 'failed');
    assert.equal((await third.network.dial(far.id, [toFar])).type, 'connected');
    const gone = far.until(({ type, node }) => type === 'lost' && node === near.id);
    near.network.close(far.id, 'test');
    await gone;
    while ((relay.network.counters()['relay-relayed'] ?? 0) > 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await near.network.dial(third.id, [toThird])).type, 'connected');
  });

  it('is left aside by who can be reached directly: the direct path is the better one', async () => {
    const { relay, near, far } = await threeNodes();
    await serveEcho(far);
    const address = await far.untilRelayed(relay);
    await near.network.dial(far.id, [address]);
    const direct = await near.network.dialPath(far.id, 'lan', [far.address]);
    assert.equal(direct.type, 'connected');
    assert.deepEqual(
      near.network.paths(far.id).map(({ kind }) => kind),
      ['lan', 'relayed'],
    );
    await far.until(({ type, text }) => type === 'path' && text === 'lan');
    const before = relay.network.counters()['relay-relayed-bytes'] ?? 0;
    await echoed(near, far, 300_000);
    assert.ok((relay.network.counters()['relay-relayed-bytes'] ?? 0) - before < 100_000);
    const [best] = near.network.paths(far.id);
    const closed = near.until(({ type, text }) => type === 'path-closed' && text === 'lan');
    near.network.closePath(best?.id ?? '', 'test');
    await closed;
    assert.equal(near.network.isConnected(far.id), true);
    assert.equal(await echoed(near, far, 1_000), 1_000);
    assert.equal(near.log.filter(({ type, node }) => type === 'lost' && node === far.id).length, 0);
  });
});

/** gossipsub says nothing when a peer subscribed: asks until it knows of so many. */
async function untilGossips(node: LoopbackNode, peers: number): Promise<void> {
  while ((node.network.counters()['gossip-mesh-peers'] ?? 0) < peers)
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
}
