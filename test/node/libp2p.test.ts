import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createIdentity } from '../../src/node/identity.io.ts';
import { createNetwork, type NetworkOptions } from '../../src/node/libp2p.io.ts';
import type { NetworkStream } from '../../src/node/network.ts';
import { LoopbackSwarm, testKey } from './loopback.ts';

const ECHO = '/test/echo/1';

/** The sockets of these tests are reset on purpose. */
function ignore(): void {}

/** A relay to `port` that cuts both sides after so many bytes of the dialler. */
async function cuttingRelay(port: number, bytesMax: number): Promise<{ port: number; close: () => void }> {
  const server = createServer((near) => {
    let bytes = 0;
    const far = connect(port, '127.0.0.1')
      .on('error', ignore)
      .on('close', () => near.destroy());
    near.on('error', ignore).on('close', () => far.destroy());
    far.pipe(near);
    near.on('data', (chunk) => {
      const room = bytesMax - bytes;
      bytes += chunk.length;
      far.write(chunk.subarray(0, Math.max(0, room)));
      if (chunk.length >= room) near.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === 'object');
  return { port: bound.port, close: () => server.close() };
}

async function received(stream: NetworkStream, bytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sum = 0;
  return new Promise((resolve, reject) => {
    stream.addEventListener('message', ({ data }) => {
      chunks.push(data.subarray());
      sum += data.byteLength;
      if (sum >= bytes) resolve(Buffer.concat(chunks));
    });
    stream.addEventListener('close', () => reject(new Error(`closed after ${sum} bytes`)));
  });
}

describe('the network of a node', () => {
  const swarm = new LoopbackSwarm();
  afterEach(async () => swarm.stop());

  it('connects two members and tells both once', async () => {
    const [a, b] = await Promise.all([swarm.start(), swarm.start()]);
    const result = await a.network.dial(b.id, [b.address]);
    assert.deepEqual(result, { type: 'connected', node: b.id, address: `${b.address}/p2p/${b.id}` });
    await Promise.all([a.untilMember(b), b.untilMember(a)]);
    assert.deepEqual(a.network.members(), [b.id]);
    assert.equal(b.network.isConnected(a.id), true);
    assert.equal(b.log.filter((event) => event.type === 'member').length, 1);
  });

  it('finds out who answers at an address without a node id', async () => {
    const [a, b] = await Promise.all([swarm.start(), swarm.start()]);
    const result = await a.network.dial(undefined, [b.address]);
    assert.equal(result.type === 'connected' && result.node, b.id);
  });

  it('tells both sides when a connection is closed', async () => {
    const [a, b] = await Promise.all([swarm.start(), swarm.start()]);
    await swarm.connect(a, b);
    a.network.close(b.id, 'test');
    await Promise.all([a.until((event) => event.type === 'lost'), b.until((event) => event.type === 'lost')]);
    assert.equal(a.network.isConnected(b.id), false);
  });

  it('gives up the old connection of a member that connects anew, and says where it is now', async () => {
    const identity = await createIdentity();
    const a = await swarm.start(testKey(1), { replacedAfterMs: 0 });
    const before = await swarm.start(testKey(1), { identity });
    await swarm.connect(a, before);
    // The same node from another place, as after a change of its address.
    const after = await swarm.start(testKey(1), { identity });
    await after.network.handle(ECHO, (stream) => {
      stream.addEventListener('message', ({ data }) => void stream.send(data.subarray()));
    });
    await after.network.dial(a.id, [a.address]);
    await before.until(({ type }) => type === 'lost');
    assert.deepEqual(
      a.log.filter(({ type }) => type === 'member' || type === 'lost').map(({ type, node }) => ({ type, node })),
      [
        { type: 'member', node: before.id },
        { type: 'member', node: before.id },
      ],
      'it is told twice as a member and never as lost',
    );
    const stream = await a.network.openStream(after.id, ECHO, AbortSignal.timeout(2_000));
    const answer = received(stream, 2);
    stream.send(Uint8Array.of(1, 2));
    assert.deepEqual([...(await answer)], [1, 2]);
    assert.equal(a.network.counters()['membership-replaced'], 1);
  });

  it('opens no second connection when an address turns out to be that of a connected member', async () => {
    const [a, b] = await Promise.all([swarm.start(testKey(1), { replacedAfterMs: 0 }), swarm.start()]);
    await swarm.connect(a, b);
    const result = await b.network.dial(undefined, [a.address]);
    assert.equal(result.type === 'connected' && result.node, a.id);
    assert.equal(a.network.counters()['membership-proven'], 1);
    assert.equal(a.network.isConnected(b.id) && b.network.isConnected(a.id), true);
    for (const { log } of [a, b]) assert.equal(log.filter(({ type }) => type === 'lost').length, 0);
  });

  it('keeps both connections of members that dialled each other at once', async () => {
    const identity = await createIdentity();
    const a = await swarm.start(testKey(1), { replacedAfterMs: 60_000 });
    const first = await swarm.start(testKey(1), { identity });
    await swarm.connect(a, first);
    const second = await swarm.start(testKey(1), { identity });
    await a.network.handle(ECHO, (stream) => {
      stream.addEventListener('message', ({ data }) => void stream.send(data.subarray()));
    });
    await second.network.dial(a.id, [a.address]);
    // Once it serves a stream, it has decided about the connection.
    const stream = await second.network.openStream(a.id, ECHO, AbortSignal.timeout(2_000));
    const answer = received(stream, 1);
    stream.send(Uint8Array.of(1));
    await answer;
    assert.equal(first.network.isConnected(a.id), true);
    assert.equal(a.log.filter(({ type }) => type === 'member').length, 1);
  });

  it('learns from a member where it listens', async () => {
    const [a, b] = await Promise.all([swarm.start(), swarm.start()]);
    await swarm.connect(a, b);
    const event = await b.until(({ type, node }) => type === 'addresses' && node === a.id);
    assert.ok(event.addresses?.some((address) => address.startsWith(a.address)));
  });

  it('serves streams of members in both directions over one connection', async () => {
    const [a, b] = await Promise.all([swarm.start(), swarm.start()]);
    for (const node of [a, b])
      await node.network.handle(ECHO, (stream) => {
        stream.addEventListener('message', ({ data }) => void stream.send(data.subarray()));
      });
    await swarm.connect(a, b);
    // Several streams one after the other: libp2p's own middleware ran the handlers of earlier streams again.
    for (const [from, to] of [
      [a, b],
      [b, a],
      [a, b],
    ] as const) {
      const stream = await from.network.openStream(to.id, ECHO, AbortSignal.timeout(2_000));
      const answer = received(stream, 5);
      stream.send(Buffer.from('hello'));
      assert.equal(Buffer.from(await answer).toString(), 'hello');
      await stream.close();
    }
  });

  it('refuses to start without a swarm key', async () => {
    const identity = await createIdentity();
    const events = { onMember() {}, onMemberLost() {}, onAddresses() {}, onMessage() {}, onProblem() {} };
    // What a caller in plain JavaScript could do.
    const options: NetworkOptions = JSON.parse('{"listen":[],"mdns":false}');
    await assert.rejects(createNetwork({ ...options, identity, events }), /without a swarm key/);
  });

  it('says which address it cannot listen on', async () => {
    const a = await swarm.start();
    await assert.rejects(swarm.start(testKey(1), { listen: [a.address] }), new RegExp(`cannot listen on ${a.address}`));
  });

  it('answers a dial that comes to nothing with a reason and no uncaught rejection', async () => {
    const a = await swarm.start();
    const sockets: Socket[] = [];
    const garbage = createServer((socket) => {
      sockets.push(socket.on('error', ignore));
      socket.end('220 smtp\r\n');
    });
    garbage.listen(0, '127.0.0.1');
    await once(garbage, 'listening');
    const bound = garbage.address();
    assert.ok(bound !== null && typeof bound === 'object');
    for (const address of [`/ip4/127.0.0.1/tcp/${bound.port}`, '/ip4/127.0.0.1/tcp/1', 'nonsense', a.address]) {
      const result = await a.network.dial(undefined, [address]);
      assert.equal(result.type, 'failed', address);
      assert.notEqual(result.type === 'failed' && result.reason, '');
    }
    assert.equal((await a.network.dial(undefined, [])).type, 'failed');
    for (const socket of sockets) socket.destroy();
    garbage.close();
  });

  // A rejection that nobody handles would end the process, and this run.
  it('survives a connection that is cut at any moment of the handshakes', async () => {
    const [a, b] = await Promise.all([swarm.start(), swarm.start(testKey(1), { pendingPerHostMax: 64 })]);
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const relay = await cuttingRelay(b.port, index * 40);
        const result = await a.network.dial(undefined, [`/ip4/127.0.0.1/tcp/${relay.port}`]);
        relay.close();
        return result.type;
      }),
    );
    assert.ok(outcomes.filter((outcome) => outcome === 'failed').length >= 10, outcomes.join());
    assert.equal((await a.network.dial(b.id, [b.address])).type, 'connected');
  });

  it('connects a member while strangers of three hosts hold idle sockets', async () => {
    const [a, b] = await Promise.all([swarm.start(), swarm.start()]);
    const idle = Array.from({ length: 60 }, (_, index) =>
      connect({ port: a.port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (index % 3)}` }),
    );
    await Promise.all(idle.map(async (socket) => once(socket.on('error', ignore), 'connect')));
    const result = await b.network.dial(a.id, [a.address]);
    assert.equal(result.type, 'connected');
    assert.ok((a.network.counters()['pending-refused'] ?? 0) >= 40);
    for (const socket of idle) socket.destroy();
  });

  it('closes idle sockets and garbage without serving anything', async () => {
    const a = await swarm.start();
    const started = performance.now();
    const closed = ['', 'GET / HTTP/1.1\r\n\r\n', 'x'.repeat(100_000)].map(async (bytes) => {
      const socket = connect(a.port, '127.0.0.1').on('error', ignore);
      if (bytes !== '') socket.write(bytes);
      await new Promise((resolve) => socket.once('close', resolve));
    });
    await Promise.all(closed);
    assert.ok(performance.now() - started < 3_000);
    assert.deepEqual(a.network.members(), []);
  });
});
