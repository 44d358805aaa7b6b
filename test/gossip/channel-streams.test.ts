/** The two ways in which gossipsub goes silent towards a peer that is still connected. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Connection, Libp2p, Topology } from '@libp2p/interface';
import type { GossipSub } from '@libp2p/gossipsub';
import { identify, type Identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';
import { openAdmission } from '../../src/discovery/admission.ts';
import { Membership } from '../../src/discovery/membership.io.ts';
import { GossipChannel, gossipService } from '../../src/gossip/channel.io.ts';
import { testKey } from '../node/loopback.ts';

const TOPIC = '/test/topic';

interface Member {
  readonly libp2p: Libp2p<{ membership: Membership; identify: Identify; pubsub: GossipSub }>;
  readonly channel: GossipChannel;
  readonly heard: EventTarget;
}

async function createMember(): Promise<Member> {
  let registrar!: { getTopologies(protocol: string): Topology[] };
  let channel!: GossipChannel;
  const heard = new EventTarget();
  const libp2p = await createLibp2p<{ membership: Membership; identify: Identify; pubsub: GossipSub }>({
    start: false,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: {
      membership: (components) => {
        registrar = components.registrar;
        return new Membership(components, {
          admission: openAdmission(testKey(1).memberKey()),
          proofTimeoutMs: 1_500,
          onConnected: () => {},
          onLost: () => {},
          onStream: (stream, connection, others) => channel.watch(stream, connection, others),
          onProblem: () => {},
        });
      },
      identify: identify(),
      pubsub: gossipService(TOPIC),
    },
  });
  channel = new GossipChannel(libp2p.services.pubsub, registrar, {
    topic: TOPIC,
    onMessage: (_bytes, _from, judge) => {
      judge('accept');
      heard.dispatchEvent(new Event('message'));
    },
    onProblem: () => {},
  });
  await libp2p.start();
  channel.subscribe();
  return { libp2p, channel, heard };
}

async function hears(to: Member, from: Member): Promise<void> {
  const arrived = once(to.heard, 'message', { signal: AbortSignal.timeout(4_000) });
  const timer = setInterval(() => from.channel.publish(crypto.getRandomValues(new Uint8Array(40))), 30);
  await arrived.finally(() => clearInterval(timer));
}

function gossipStreams(connection: Connection): number {
  return connection.streams.filter(
    ({ protocol, direction }) => protocol.startsWith('/meshsub/') && direction === 'outbound',
  ).length;
}

async function connections(member: Member, count: number): Promise<Connection[]> {
  while (member.libp2p.getConnections().length < count) await once(member.libp2p, 'connection:open');
  return member.libp2p.getConnections();
}

describe('the gossip channel and its streams', () => {
  const members: Member[] = [];
  let a: Member;
  let b: Member;

  beforeEach(async () => {
    [a, b] = await Promise.all([createMember(), createMember()]);
    members.push(a, b);
  });

  afterEach(async () => {
    await Promise.all(
      members.splice(0).map(async ({ libp2p, channel }) => {
        channel.stop();
        await libp2p.stop();
      }),
    );
  });

  it('moves to the other connection when the one with its stream closes', async () => {
    await a.libp2p.dial(b.libp2p.getMultiaddrs());
    await b.libp2p.dial(a.libp2p.getMultiaddrs(), { force: true });
    await connections(a, 2);
    await Promise.all([hears(a, b), hears(b, a)]);
    const used = a.libp2p.getConnections().find((connection) => gossipStreams(connection) > 0);
    assert.ok(used !== undefined);
    used.abort(new Error('test'));
    await Promise.all([hears(a, b), hears(b, a)]);
    assert.equal(a.libp2p.getConnections().length, 1);
    assert.equal(a.channel.counters()['stream-moved'], 1);
  });

  it('closes the connection when its stream is aborted, so that a redial starts afresh', async () => {
    const connection = await a.libp2p.dial(b.libp2p.getMultiaddrs());
    await Promise.all([hears(a, b), hears(b, a)]);
    const stream = connection.streams.find(
      ({ protocol, direction }) => protocol.startsWith('/meshsub/') && direction === 'outbound',
    );
    const closed = once(a.libp2p, 'connection:close');
    stream?.abort(new Error('write buffer exceeded'));
    await closed;
    assert.equal(a.channel.counters()['stream-lost'], 1);
    await a.libp2p.dial(b.libp2p.getMultiaddrs());
    await Promise.all([hears(a, b), hears(b, a)]);
  });

  it('aborts the stream of a peer that does not read, at a bound', async () => {
    const connection = await a.libp2p.dial(b.libp2p.getMultiaddrs());
    await Promise.all([hears(a, b), hears(b, a)]);
    const stream = connection.streams.find(
      ({ protocol, direction }) => protocol.startsWith('/meshsub/') && direction === 'outbound',
    );
    assert.equal(stream?.maxWriteBufferLength, 4_194_304);
  });
});
