/** Admission and key changes between real nodes on loopback. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { type Admission, type AdmissionRefusal, openAdmission } from '../../src/discovery/admission.ts';
import { type KeyRing, ringOf, withAccepted, withOnly, withPrimary } from '../../src/discovery/key-ring.ts';
import { MembershipProof, NONCE_BYTES, PROOF_PROTOCOL } from '../../src/discovery/membership-proof.ts';
import { swarmProtector } from '../../src/discovery/protector.io.ts';
import type { SwarmKey } from '../../src/discovery/swarm-key.ts';
import { type NodeId, parseNodeId } from '../../src/ids.ts';
import { type LoopbackNode, LoopbackSwarm, testKey } from './loopback.ts';

const [OLD, NEW, OTHER] = [testKey(1), testKey(2), testKey(3)] as const;
const ECHO = '/test/echo/1';

/** A node whose keys and rules a test changes. */
class TrustedNode {
  ring: KeyRing;
  readonly out = new Map<NodeId, AdmissionRefusal>();
  readonly told: AdmissionRefusal[] = [];
  readonly shown: Uint8Array[] = [];
  certificate = new Uint8Array();
  node!: LoopbackNode;

  constructor(...[first, ...others]: readonly [SwarmKey, ...SwarmKey[]]) {
    this.ring = others.reduce(withAccepted, ringOf(first));
  }

  async start(swarm: LoopbackSwarm): Promise<this> {
    const admission: Admission = {
      ...openAdmission(new Uint8Array(32)),
      memberKeys: () => this.ring.keys.map((key) => key.memberKey()),
      certificate: () => this.certificate,
      judge: (node, certificate) => {
        this.shown.push(certificate);
        return this.out.get(node);
      },
      refusedBy: (_, refusal) => void this.told.push(refusal),
    };
    const [key = OLD] = this.ring.keys;
    this.node = await swarm.start(key, { trust: { ring: () => this.ring, admission }, proofTimeoutMs: 800 });
    return this;
  }

  async dial(to: TrustedNode): Promise<string> {
    return (await this.node.network.dial(to.node.id, [to.node.address])).type;
  }

  isConnected(to: TrustedNode): boolean {
    return this.node.network.isConnected(to.node.id);
  }
}

describe('nodes with rings of keys', () => {
  const swarm = new LoopbackSwarm();
  afterEach(async () => swarm.stop());

  const start = async (...keys: readonly [SwarmKey, ...SwarmKey[]]): Promise<TrustedNode> =>
    new TrustedNode(...keys).start(swarm);

  const cases: readonly [string, readonly [SwarmKey, ...SwarmKey[]], readonly [SwarmKey, ...SwarmKey[]], string][] = [
    ['before and while it is staged', [OLD], [OLD, NEW], 'connected'],
    ['while it is staged and while it is used', [OLD, NEW], [NEW, OLD], 'connected'],
    ['while it is used and after the end', [NEW, OLD], [NEW], 'connected'],
    ['that used it and never heard of it', [NEW, OLD], [OLD], 'connected'],
    ['after the end and before', [NEW], [OLD], 'failed'],
    ['of another swarm', [OLD, NEW], [OTHER], 'failed'],
  ];
  for (const [name, left, right, expected] of cases)
    it(`are ${expected} in both directions: ${name}`, async () => {
      const [one, two] = [await start(...left), await start(...right)];
      assert.equal(await one.dial(two), expected);
      const [three, four] = [await start(...left), await start(...right)];
      assert.equal(await four.dial(three), expected);
    }).timeout(15_000);

  it('change the key under a stream that goes on, and then refuse the old one', async () => {
    const [one, two, late] = [await start(OLD), await start(OLD), await start(OLD)];
    await two.node.network.handle(ECHO, (stream) => {
      stream.addEventListener('message', ({ data }) => void stream.send(data.subarray()));
    });
    assert.equal(await one.dial(two), 'connected');
    await two.node.untilMember(one.node);
    const stream = await one.node.network.openStream(two.node.id, ECHO, AbortSignal.timeout(2_000));
    const echo = async (): Promise<void> => {
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.addEventListener('message', () => resolve());
      stream.send(Uint8Array.of(1, 2, 3));
      await promise;
    };
    await echo();
    for (const change of [withAccepted, withPrimary, withOnly])
      for (const each of [one, two]) {
        each.ring = change(each.ring, NEW);
        each.node.network.reviewMembers();
        await echo();
      }
    const again = (): number => one.node.network.counters()['membership-proven-again'] ?? 0;
    for (let turn = 0; turn < 500 && again() === 0; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(again() > 0, 'the connection was proven with the new key');
    await echo();
    assert.equal(one.node.network.counters()['membership-proven'], 1);
    assert.equal(await late.dial(one), 'failed');
    assert.equal(await one.dial(late), 'failed');
  }).timeout(15_000);

  it('refuse who began with the old key and held back the end of its proof until that was out', async () => {
    for (const [changes, expected] of [
      [false, 1],
      [true, undefined],
    ] as const) {
      const one = await start(OLD, NEW);
      const thief = await createLibp2p({
        transports: [tcp()],
        connectionEncrypters: [noise()],
        streamMuxers: [yamux()],
        connectionMonitor: { enabled: false },
        connectionProtector: swarmProtector(OLD),
      });
      const connection = await thief.dial(multiaddr(one.node.address));
      const closed = once(connection, 'close');
      const stream = await connection.newStream(PROOF_PROTOCOL);
      const proof = new MembershipProof({
        role: 'dialler',
        local: parseNodeId(thief.peerId.toString()) ?? assert.fail(),
        remote: one.node.id,
        memberKeys: [OLD.memberKey()],
        nonce: new Uint8Array(randomBytes(NONCE_BYTES)),
        certificate: new Uint8Array(),
        judge: () => undefined,
      });
      for (const bytes of proof.start().send) stream.send(bytes);
      stream.addEventListener('message', ({ data }) => {
        const { send } = proof.receive(data.subarray());
        for (const bytes of send) {
          // The certificate, an empty one, is the last.
          if (bytes.length === 2 && changes) {
            one.ring = withOnly(one.ring, NEW);
            one.node.network.reviewMembers();
          }
          stream.send(bytes);
        }
      });
      if (changes) await closed;
      else await one.node.until(({ type }) => type === 'member');
      assert.equal(one.node.network.counters()['membership-proven'], expected);
      await thief.stop();
    }
  });

  it('drop a member that has not got the new key when the old one is refused', async () => {
    const [one, two] = [await start(OLD, NEW), await start(OLD)];
    assert.equal(await two.dial(one), 'connected');
    await one.node.untilMember(two.node);
    one.ring = withOnly(one.ring, NEW);
    one.node.network.reviewMembers();
    await Promise.all([one, two].map(async ({ node }) => node.until(({ type }) => type === 'lost')));
    assert.equal(one.isConnected(two), false);
  });
});

describe('nodes that not everybody admits', () => {
  const swarm = new LoopbackSwarm();
  afterEach(async () => swarm.stop());

  const start = async (): Promise<TrustedNode> => new TrustedNode(OLD).start(swarm);

  for (const direction of ['dialled', 'dialling'] as const)
    it(`are refused when ${direction}, told why, and served nothing`, async () => {
      const [owner, lost] = [await start(), await start()];
      let served = 0;
      await owner.node.network.handle(ECHO, () => void (served += 1));
      owner.out.set(lost.node.id, 'revoked');
      if (direction === 'dialled') assert.equal(await owner.dial(lost), 'failed');
      else {
        await lost.dial(owner);
        await lost.node.network
          .openStream(owner.node.id, ECHO, AbortSignal.timeout(1_000))
          .then((stream) => stream.send(Uint8Array.of(1)))
          .catch(() => {});
      }
      for (let turn = 0; turn < 1_000 && lost.told.length === 0; turn += 1)
        await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(lost.told, ['revoked']);
      // Who was told leaves by itself, and need not wait until it is shown out.
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(lost.isConnected(owner), false);
      assert.equal(lost.node.network.counters()['membership-refused-by-remote'], 1);
      assert.equal(owner.isConnected(lost), false);
      assert.equal(served, 0);
      assert.equal(
        owner.node.log.some(({ type }) => type === 'member'),
        false,
      );
    });

  it('lose the connection that they have when they are revoked', async () => {
    const [owner, lost] = [await start(), await start()];
    assert.equal(await lost.dial(owner), 'connected');
    await owner.node.untilMember(lost.node);
    owner.out.set(lost.node.id, 'revoked');
    owner.node.network.reviewMembers();
    await Promise.all([owner, lost].map(async ({ node }) => node.until(({ type }) => type === 'lost')));
  });

  it("see each other's certificate, whoever dialled", async () => {
    const [one, two] = [await start(), await start()];
    one.certificate = new Uint8Array([1, 1]);
    two.certificate = new Uint8Array([2, 2]);
    assert.equal(await one.dial(two), 'connected');
    await two.node.untilMember(one.node);
    assert.deepEqual([one.shown, two.shown], [[two.certificate], [one.certificate]]);
  });
});
