/**
 * A relay of somebody else's may limit what it carries. libp2p then refuses every protocol that did not say, on both
 * sides, that it may run there: none of ours may be among those. Each is run here over a limited path and nothing else;
 * and no stream is opened or served in the sources without saying so.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { requestSnapshot, serveSnapshot } from '../../src/gossip/snapshot.io.ts';
import { SNAPSHOT_PROTOCOL } from '../../src/gossip/snapshot-frames.ts';
import { LINK_PROTOCOL } from '../../src/inference/data-plane.io.ts';
import { type LoopbackNode, LoopbackSwarm, testKey } from '../node/loopback.ts';

const KEY = testKey(1);
const MEMBER = { reach: { relay: 'off', webrtc: false } } as const;

describe('a limited path', () => {
  const swarm = new LoopbackSwarm();
  afterEach(async () => swarm.stop());

  async function limitedPair(): Promise<{ near: LoopbackNode; far: LoopbackNode; relay: LoopbackNode }> {
    const limits = { applyDefaultLimit: true };
    const relay = await swarm.start(KEY, { reach: { relay: 'on', webrtc: false, relayLimits: limits } });
    const [near, far] = await Promise.all([swarm.start(KEY, MEMBER), swarm.start(KEY, MEMBER)]);
    await Promise.all([swarm.connect(near, relay), swarm.connect(far, relay)]);
    const result = await near.network.dial(far.id, [await far.untilRelayed(relay)]);
    assert.equal(result.type, 'connected', 'the membership proof runs on it');
    await far.untilMember(near);
    for (const [node, other] of [
      [near, far],
      [far, near],
    ] as const)
      assert.deepEqual(
        node.network.paths(other.id).map(({ kind, isLimited }) => [kind, isLimited]),
        [['relayed', true]],
      );
    return { near, far, relay };
  }

  it('carries gossip, both ways', async () => {
    const { near, far, relay } = await limitedPair();
    relay.verdict = 'ignore';
    await Promise.all([near, far].map(async (node) => untilGossips(node, 2)));
    near.network.publish(Buffer.from('there'));
    await far.until(({ type, text, node }) => type === 'message' && text === 'there' && node === near.id);
    far.network.publish(Buffer.from('and back'));
    await near.until(({ type, text, node }) => type === 'message' && text === 'and back' && node === far.id);
  });

  it('carries the link, with heartbeats and answers', async () => {
    const { near, far } = await limitedPair();
    await far.network.handle(LINK_PROTOCOL, (stream) => {
      stream.addEventListener('message', ({ data }) => void stream.send(data.subarray()));
    });
    const stream = await near.network.openStream(far.id, LINK_PROTOCOL, AbortSignal.timeout(3_000));
    const echoed = new Promise<string>((resolve, reject) => {
      stream.addEventListener('message', ({ data }) => resolve(Buffer.from(data.subarray()).toString()));
      stream.addEventListener('close', () => reject(new Error('closed')));
    });
    stream.send(Buffer.from('beat'));
    assert.equal(await echoed, 'beat');
  });

  it('carries snapshots', async () => {
    const { near, far } = await limitedPair();
    const messages = [new Uint8Array([1, 2, 3])];
    await far.network.handle(SNAPSHOT_PROTOCOL, async (stream, from) => {
      await serveSnapshot({ stream, from, answer: async () => messages });
    });
    const result = await requestSnapshot(
      async (signal) => near.network.openStream(far.id, SNAPSHOT_PROTOCOL, signal),
      new Uint8Array(),
    );
    assert.equal(result.type, 'received', JSON.stringify(result));
  });
});

async function untilGossips(node: LoopbackNode, peers: number): Promise<void> {
  while ((node.network.counters()['gossip-mesh-peers'] ?? 0) < peers)
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
}

/** Calls that open or serve a stream on libp2p itself, with what follows. */
const STREAM_CALL = /\.newStream\(|\bregistrar\.handle\(|\bgossipsub\(|\bidentify\(/g;
const CALL_CHARACTERS_MAX = 600;

function unsaid([name, text]: readonly [string, string]): string[] {
  return [...text.matchAll(STREAM_CALL)].flatMap(({ 0: call, index }) => {
    const end = text.indexOf('\n  }', index);
    const body = text.slice(index, Math.min(end < 0 ? Infinity : end, index + CALL_CHARACTERS_MAX));
    return body.includes('runOnLimitedConnection: true') ? [] : [`${name}: ${call}`];
  });
}

describe('every stream of ours', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.io.ts'));
  const sources = files.map((name) => [name, readFileSync(join('src', name), 'utf8')] as const);

  it('says that it may run on a limited path', () => {
    const calls = sources.flatMap(([, text]) => [...text.matchAll(STREAM_CALL)]);
    assert.ok(calls.length >= 5, `${calls.length} calls were seen`);
    assert.deepEqual(sources.flatMap(unsaid), []);
  });

  it('would be found if it did not', () => {
    assert.deepEqual(unsaid(['x.io.ts', 'await connection.newStream(PROTOCOL, { signal });\n  }']), [
      'x.io.ts: .newStream(',
    ]);
    const without = sources.map(([name, text]) => [name, text.replaceAll('runOnLimitedConnection: true', '')] as const);
    assert.ok(without.flatMap(unsaid).length >= 5);
  });
});
