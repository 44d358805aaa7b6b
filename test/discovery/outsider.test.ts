/** SECURITY: who does not hold the key gets nothing, whoever dials, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Connection, ConnectionProtector, Libp2p, Stream } from '@libp2p/interface';
import { identify, type Identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { peerIdFromString } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { PROOF_PROTOCOL } from '../../src/discovery/membership-proof.ts';
import { openAdmission } from '../../src/discovery/admission.ts';
import { Membership } from '../../src/discovery/membership.io.ts';
import { swarmProtector } from '../../src/discovery/protector.io.ts';
import { type NodeId, parseNodeId } from '../../src/ids.ts';
import { LoopbackSwarm, testKey } from '../node/loopback.ts';

const KEY = testKey(1);
const SERVED = '/test/served/1';
const PROOF_MS = 400;
const PROTOCOLS = [SERVED, '/ipfs/id/1.0.0', '/meshsub/1.2.0', '/meshsub/1.1.0'];

type Answer = 'none' | 'silence' | 'random' | 'too-much' | 'echo';

interface OutsiderCase {
  readonly name: string;
  readonly protector?: () => ConnectionProtector;
  readonly answer: Answer;
}

const OUTSIDERS: readonly OutsiderCase[] = [
  { name: 'no key', answer: 'none' },
  { name: 'another key', protector: swarmProtector(testKey(2)), answer: 'none' },
  { name: 'the key for TCP, and no membership protocol', protector: swarmProtector(KEY), answer: 'none' },
  { name: 'the key for TCP, and silence', protector: swarmProtector(KEY), answer: 'silence' },
  { name: 'the key for TCP, and a wrong proof', protector: swarmProtector(KEY), answer: 'random' },
  { name: 'the key for TCP, and too many bytes', protector: swarmProtector(KEY), answer: 'too-much' },
  { name: 'the key for TCP, and our own bytes back', protector: swarmProtector(KEY), answer: 'echo' },
];

/** Plays its part of the conversation on a stream of the membership protocol. */
function converse(stream: Stream, answer: Answer): void {
  if (answer === 'random') stream.send(randomBytes(64));
  if (answer === 'too-much') stream.send(randomBytes(65));
  if (answer === 'echo') stream.addEventListener('message', ({ data }) => void stream.send(data.subarray()));
}

async function createOutsider({ protector, answer }: OutsiderCase): Promise<Libp2p> {
  const outsider = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    ...(protector === undefined ? {} : { connectionProtector: protector }),
  });
  if (answer !== 'none') await outsider.handle(PROOF_PROTOCOL, (stream) => converse(stream, answer));
  return outsider;
}

/** Bytes that the other side gave on any protocol before the connection was closed. */
async function harvest(connection: Connection, answer: Answer): Promise<number> {
  let bytes = 0;
  const closed =
    connection.status === 'open' ? new Promise((resolve) => connection.addEventListener('close', resolve)) : undefined;
  const open = async (protocol: string): Promise<void> => {
    try {
      const stream = await connection.newStream(protocol);
      if (protocol === PROOF_PROTOCOL) return converse(stream, answer);
      stream.addEventListener('message', ({ data }) => (bytes += data.byteLength));
      stream.send(Buffer.from('anything'));
    } catch {
      // the stream was refused, which is what the test wants
    }
  };
  if (answer !== 'none') await open(PROOF_PROTOCOL);
  await Promise.all(PROTOCOLS.map(open));
  await closed;
  return bytes;
}

describe('an outsider', () => {
  const swarm = new LoopbackSwarm();
  const outsiders: Libp2p[] = [];
  afterEach(async () => {
    await Promise.all([swarm.stop(), ...outsiders.splice(0).map(async (outsider) => outsider.stop())]);
  });

  for (const outsiderCase of OUTSIDERS) {
    it(`with ${outsiderCase.name} is served nothing on any address and closed within 3 s`, async () => {
      let served = 0;
      const member = await swarm.start(KEY, { proofTimeoutMs: PROOF_MS });
      await member.network.handle(SERVED, () => void (served += 1));
      const outsider = await createOutsider(outsiderCase);
      outsiders.push(outsider);
      for (const address of member.network.addresses()) {
        const started = performance.now();
        const bytes = await outsider.dial(multiaddr(address)).then(
          async (connection) => harvest(connection, outsiderCase.answer),
          () => 0, // not even a connection
        );
        assert.equal(bytes, 0);
        assert.ok(performance.now() - started < 3_000);
      }
      assert.equal(served, 0);
      assert.deepEqual(member.network.members(), []);
      assert.deepEqual(
        member.log.filter(({ type }) => type === 'member' || type === 'addresses'),
        [],
      );
    });

    it(`with ${outsiderCase.name} is dropped when a member dials it`, async () => {
      const member = await swarm.start(KEY, { proofTimeoutMs: PROOF_MS });
      const outsider = await createOutsider(outsiderCase);
      outsiders.push(outsider);
      const started = performance.now();
      const result = await member.network.dial(undefined, outsider.getMultiaddrs().map(String));
      assert.equal(result.type, 'failed');
      assert.ok(performance.now() - started < 3_000);
      assert.deepEqual(member.network.members(), []);
    });
  }

  it('leaves nothing in the peer store of a member, whoever dialled', async () => {
    const lost: NodeId[] = [];
    const member = await createLibp2p<{ membership: Membership; identify: Identify }>({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionProtector: swarmProtector(KEY),
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
      services: {
        membership: (components) =>
          new Membership(components, {
            admission: openAdmission(KEY.memberKey()),
            proofTimeoutMs: PROOF_MS,
            onConnected: () => assert.fail('nobody is a member'),
            onLost: (node) => lost.push(node),
            onStream: () => assert.fail('no stream is used'),
            onProblem: () => {},
          }),
        identify: identify(),
      },
    });
    outsiders.push(member);
    const stranger = await createOutsider({ name: '', protector: swarmProtector(KEY), answer: 'silence' });
    outsiders.push(stranger);
    const connection = await stranger.dial(member.getMultiaddrs());
    await harvest(connection, 'silence');
    const dialled = await member.dial(stranger.getMultiaddrs());
    assert.equal(await member.services.membership.verdict(dialled), false);
    assert.ok((member.services.membership.counters()['silent'] ?? 0) >= 2);
    // The deletion takes its turn behind what libp2p itself writes about the connection.
    const strangers = async (): Promise<number> =>
      (await member.peerStore.all()).filter(({ id }) => !id.equals(member.peerId)).length;
    for (let turn = 0; turn < 200 && (await strangers()) > 0; turn += 1) await setImmediate();
    assert.equal(await strangers(), 0);
    assert.deepEqual(lost, []);
  });

  it('cannot name itself a node without an Ed25519 key', () => {
    assert.equal(parseNodeId('QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N'), undefined);
    assert.notEqual(
      parseNodeId(peerIdFromString('12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5').toString()),
      undefined,
    );
  });
});
