/**
 * SECURITY: who does not hold the key gets nothing over any kind of path. The swarm's key on TCP keeps strangers out of
 * TCP alone: over WebRTC they reach the proof itself, and here also over a relay that lets everybody in.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import type { Connection, ConnectionProtector, Libp2p, Stream } from '@libp2p/interface';
import { identify, type Identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { webRTC, webRTCDirect } from '@libp2p/webrtc';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { openAdmission } from '../../src/discovery/admission.ts';
import { PROOF_PROTOCOL } from '../../src/discovery/membership-proof.ts';
import { Membership } from '../../src/discovery/membership.io.ts';
import { swarmProtector } from '../../src/discovery/protector.io.ts';
import type { SwarmKey } from '../../src/discovery/swarm-key.ts';
import { testKey } from '../node/loopback.ts';

const KEY = testKey(1);
const SERVED = '/test/served/1';
const SIGNALLING = '/webrtc-signaling/0.0.1';
const PROTOCOLS = [SERVED, '/ipfs/id/1.0.0', '/meshsub/1.2.0', SIGNALLING];
const PROOF_MS = 400;

type Answer = 'none' | 'silence' | 'random';
type Reach = 'tcp' | 'webrtc-direct' | 'relayed' | 'webrtc';

interface Stranger {
  readonly name: string;
  readonly protector?: () => ConnectionProtector;
  readonly answer: Answer;
  /** Plays its part of the proof, with this key. */
  readonly proves?: SwarmKey;
}

const STRANGERS: readonly Stranger[] = [
  { name: 'no key', answer: 'none' },
  { name: 'another key', protector: swarmProtector(testKey(2)), answer: 'none', proves: testKey(2) },
  {
    name: 'the key of TCP, and another one for the proof',
    protector: swarmProtector(KEY),
    answer: 'none',
    proves: testKey(2),
  },
  { name: 'the key of TCP, and silence', protector: swarmProtector(KEY), answer: 'silence' },
  { name: 'the key of TCP, and a wrong proof', protector: swarmProtector(KEY), answer: 'random' },
];

type Services = { membership: Membership; identify: Identify };

interface Victim {
  readonly member: Libp2p<Services>;
  readonly served: () => number;
  readonly listen: (address: string) => Promise<void>;
}

/** Channels of WebRTC sometimes hold a process in which nothing is open any more. The last hook of the last file. */
after(() => {
  setTimeout(() => process.exit(), 2_000).unref();
});

describe('an outsider on other paths', () => {
  const nodes: Libp2p[] = [];
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map(async (node) => node.stop()));
  });

  async function createMember(): Promise<Victim> {
    let served = 0;
    let listen: Victim['listen'] | undefined;
    const member = await createLibp2p<Services>({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/udp/0/webrtc-direct'] },
      transports: [tcp(), circuitRelayTransport(), webRTC({ rtcConfiguration: { iceServers: [] } }), webRTCDirect()],
      connectionProtector: swarmProtector(KEY),
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
      services: {
        membership: (components) => {
          listen = async (address) => components.transportManager.listen([multiaddr(address)]);
          return membershipOf(components, KEY, PROOF_MS);
        },
        identify: identify({ runOnLimitedConnection: true }),
      },
    });
    nodes.push(member);
    await member.services.membership.secureHandle(SERVED, () => void (served += 1));
    return { member, served: () => served, listen: listen ?? assert.fail('the member has no transports') };
  }

  /** A relay that the member trusts and that lets in whoever holds the key of TCP, or everybody. */
  async function createLaxRelay(): Promise<Libp2p> {
    const relay = await createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionProtector: swarmProtector(KEY),
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
      services: {
        membership: (components) => {
          const membership = membershipOf(components, KEY, 60_000);
          components.registrar.getMiddleware = () => [];
          return membership;
        },
        identify: identify(),
        relay: circuitRelayServer({ reservations: { applyDefaultLimit: false } }),
      },
    });
    nodes.push(relay);
    return relay;
  }

  async function createStranger({ protector, answer, proves }: Stranger): Promise<Libp2p> {
    const stranger = await createLibp2p({
      transports: [tcp(), circuitRelayTransport(), webRTC({ rtcConfiguration: { iceServers: [] } }), webRTCDirect()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
      services: {
        identify: identify(),
        ...(proves === undefined ? {} : { membership: (components) => membershipOf(components, proves, 2_000) }),
      },
      ...(protector === undefined ? {} : { connectionProtector: protector }),
    });
    nodes.push(stranger);
    if (answer !== 'none') await stranger.handle(PROOF_PROTOCOL, (stream) => converse(stream, answer));
    return stranger;
  }

  async function addressFor(reach: Reach, { member, listen }: Victim): Promise<string> {
    const own = (part: string): string =>
      member
        .getMultiaddrs()
        .map(String)
        .find((address) => address.includes(part)) ?? assert.fail(`no ${part} address`);
    if (reach === 'tcp') return own('/tcp/');
    if (reach === 'webrtc-direct') return own('/webrtc-direct');
    const relay = await createLaxRelay();
    const [address] = relay.getMultiaddrs();
    await member.dial(address ?? assert.fail('the relay does not listen'));
    await listen(`${String(address)}/p2p-circuit`);
    return `${String(address)}/p2p-circuit${reach === 'webrtc' ? '/webrtc' : ''}/p2p/${member.peerId.toString()}`;
  }

  for (const reach of ['tcp', 'webrtc-direct', 'relayed', 'webrtc'] as const)
    for (const stranger of STRANGERS)
      it(`with ${stranger.name} is served nothing over ${reach}, closed within 3 s, and leaves no trace`, async function () {
        this.timeout(10_000);
        const victim = await createMember();
        const { member, served } = victim;
        const address = await addressFor(reach, victim);
        const outsider = await createStranger(stranger);
        const started = performance.now();
        const bytes = await outsider.dial(multiaddr(address), { signal: AbortSignal.timeout(2_500) }).then(
          async (connection) => harvest(connection, stranger.answer),
          () => 0, // not even a connection
        );
        assert.ok(performance.now() - started < 3_000, `closed after ${performance.now() - started} ms`);
        assert.equal(bytes, 0);
        assert.equal(served(), 0);
        const isStranger = (id: { toString(): string }): boolean => id.toString() === outsider.peerId.toString();
        assert.equal(
          member.services.membership.members().some((node) => node === outsider.peerId.toString()),
          false,
        );
        const traces = async (): Promise<number> =>
          (await member.peerStore.all()).filter(({ id }) => isStranger(id)).length;
        for (let turn = 0; turn < 200 && (await traces()) > 0; turn += 1) await setImmediate();
        assert.equal(await traces(), 0);
        assert.equal(member.getConnections().filter(({ remotePeer }) => isStranger(remotePeer)).length, 0);
      });
});

function membershipOf(
  components: ConstructorParameters<typeof Membership>[0],
  key: SwarmKey,
  proofTimeoutMs: number,
): Membership {
  return new Membership(components, {
    admission: openAdmission(key.memberKey()),
    proofTimeoutMs,
    onConnected: () => {},
    onLost: () => {},
    onStream: () => {},
    onProblem: () => {},
  });
}

function converse(stream: Stream, answer: Answer): void {
  if (answer === 'random') stream.send(randomBytes(64));
}

/** Bytes that the other side gave on any protocol before the connection was closed. */
async function harvest(connection: Connection, answer: Answer): Promise<number> {
  let bytes = 0;
  const closed =
    connection.status === 'open' ? new Promise((resolve) => connection.addEventListener('close', resolve)) : undefined;
  const open = async (protocol: string): Promise<void> => {
    try {
      const stream = await connection.newStream(protocol, { runOnLimitedConnection: true });
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
