import assert from 'node:assert/strict';
import { messageId } from '../../src/gossip/channel.io.ts';
import { type LoopbackNode, LoopbackSwarm, testKey } from '../node/loopback.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Publishes fresh messages until one arrives: the mesh forms in the background. */
async function heard(from: LoopbackNode, to: LoopbackNode, label: string): Promise<string> {
  let count = 0;
  const timer = setInterval(() => from.network.publish(bytes(`${label} ${(count += 1)}`)), 50);
  try {
    return (await to.until((event) => event.type === 'message' && event.text.startsWith(label))).text;
  } finally {
    clearInterval(timer);
  }
}

describe('the gossip channel', () => {
  const swarm = new LoopbackSwarm();
  afterEach(async () => swarm.stop());

  it('takes a message from one member over a second to a third', async () => {
    const [a, b, c] = await Promise.all([swarm.start(), swarm.start(), swarm.start()]);
    await swarm.connect(a, b);
    await swarm.connect(b, c);
    assert.match(await heard(a, c, 'from a'), /^from a \d+$/);
    const event = await c.until(({ type }) => type === 'message');
    assert.equal(event.node, b.id, 'c hears from its neighbour, not from the author');
  });

  it('delivers each message once to the core, however many copies arrive', async () => {
    const [a, b, c, d] = await Promise.all([swarm.start(), swarm.start(), swarm.start(), swarm.start()]);
    for (const [from, to] of [
      [a, b],
      [a, c],
      [a, d],
      [b, c],
      [b, d],
      [c, d],
    ] as const)
      await swarm.connect(from, to);
    await Promise.all([heard(a, b, 'warm'), heard(a, c, 'warm'), heard(a, d, 'warm')]);
    a.network.publish(bytes('last'));
    for (const node of [b, c, d]) {
      await node.until(({ text }) => text === 'last');
      const texts = node.log.filter(({ type }) => type === 'message').map(({ text }) => text);
      assert.equal(new Set(texts).size, texts.length);
    }
  });

  it('does not pass on what the core refuses', async () => {
    const [a, b, c] = await Promise.all([swarm.start(), swarm.start(), swarm.start()]);
    await swarm.connect(a, b);
    await swarm.connect(b, c);
    await heard(a, c, 'warm');
    b.verdict = 'reject';
    a.network.publish(bytes('bad'));
    await b.until(({ text }) => text === 'bad');
    b.verdict = 'accept';
    await heard(a, c, 'good');
    assert.equal(
      c.log.some(({ text }) => text === 'bad'),
      false,
    );
    assert.ok((b.network.counters()['gossip-reject'] ?? 0) >= 1);
  });

  it('reaches everybody though twelve nodes share one address', async function () {
    this.timeout(15_000);
    const hub = await swarm.start(testKey(1), { pendingPerHostMax: 32 });
    const others = await Promise.all(Array.from({ length: 11 }, async () => swarm.start()));
    for (const other of others) await swarm.connect(other, hub);
    await Promise.all(others.map(async (other) => heard(hub, other, 'hello')));
  });

  it('publishes alone without a problem', async () => {
    const a = await swarm.start();
    a.network.publish(bytes('nobody'));
    const b = await swarm.start();
    await swarm.connect(a, b);
    await heard(a, b, 'later');
    assert.deepEqual(
      a.log.filter(({ type }) => type === 'problem'),
      [],
    );
  });

  it('derives the id of a message from all of its bytes', () => {
    const id = messageId(bytes('payload with signature'));
    assert.equal(id.length, 20);
    assert.notDeepEqual(id, messageId(bytes('payload with another signature')));
  });
});
