import assert from 'node:assert/strict';
import {
  type HostScope,
  hostOf,
  ownAddresses,
  type PathKind,
  pathKindOf,
  pathRank,
  portOf,
  relayOf,
  scopeOf,
  wayOf,
  webrtcAddress,
  withNode,
} from '../../src/discovery/transports.ts';
import { type NodeId, parseNodeId } from '../../src/ids.ts';

const SELF = idOf('A');
const OTHER = idOf('B');
const RELAY = idOf('R');
const CIRCUIT = `/ip4/203.0.113.9/tcp/4100/p2p/${RELAY}/p2p-circuit`;

function idOf(letter: string): NodeId {
  return parseNodeId(`12D3KooW${letter.repeat(44)}`) ?? assert.fail('not an id');
}

describe('a path', () => {
  const KINDS: readonly (readonly [string, PathKind])[] = [
    [`/ip4/192.168.1.2/tcp/4100/p2p/${OTHER}`, 'lan'],
    ['/ip6/fd00::2/tcp/4100', 'lan'],
    ['/ip4/203.0.113.1/tcp/4100', 'tcp'],
    ['/dns4/example.org/tcp/4100', 'tcp'],
    [`${CIRCUIT}/p2p/${OTHER}`, 'relayed'],
    [`${CIRCUIT}/webrtc/p2p/${OTHER}`, 'webrtc'],
    [`/webrtc/p2p/${OTHER}`, 'webrtc'],
    ['/ip4/203.0.113.1/udp/4102/webrtc-direct/certhash/uEiA', 'webrtc-direct'],
    ['/ip4/192.168.1.2/udp/4102/webrtc-direct', 'webrtc-direct'],
  ];
  for (const [address, kind] of KINDS)
    it(`is ${kind} at ${address.replaceAll(/12D3KooW\w+/g, 'X')}`, () => assert.equal(pathKindOf(address), kind));

  it('is the better the less is between the two, and a limited one is the last choice', () => {
    const ranks = (['lan', 'tcp', 'webrtc-direct', 'webrtc', 'relayed'] as const).map((kind) => pathRank(kind, false));
    assert.deepEqual(
      ranks,
      [...ranks].toSorted((left, right) => left - right),
    );
    assert.ok(pathRank('lan', true) > pathRank('relayed', false));
  });

  it('shares its way with another path that dies with it', () => {
    assert.equal(wayOf('/ip4/192.168.1.2/tcp/1'), wayOf('/ip4/203.0.113.1/tcp/2'));
    assert.notEqual(wayOf('/ip4/192.168.1.2/tcp/1'), wayOf(`/webrtc/p2p/${OTHER}`));
    assert.equal(wayOf(`${CIRCUIT}/p2p/${OTHER}`), wayOf(`/ip4/10.0.0.1/tcp/1/p2p/${RELAY}/p2p-circuit`));
    assert.notEqual(wayOf(`${CIRCUIT}/p2p/${OTHER}`), wayOf(CIRCUIT.replace(RELAY, OTHER)));
  });
});

describe('an address', () => {
  const SCOPES: readonly (readonly [string, HostScope])[] = [
    ['127.0.0.1', 'loopback'],
    ['0.0.0.0', 'loopback'],
    ['10.255.0.1', 'private'],
    ['11.0.0.1', 'global'],
    ['172.15.255.255', 'global'],
    ['172.16.0.0', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.0', 'global'],
    ['192.168.0.1', 'private'],
    ['192.167.0.1', 'global'],
    ['100.63.0.1', 'global'],
    ['100.64.0.1', 'private'],
    ['100.127.255.255', 'private'],
    ['100.128.0.1', 'global'],
    ['169.254.1.1', 'link'],
    ['169.253.1.1', 'global'],
    ['::1', 'loopback'],
    ['fe80::1', 'link'],
    ['fec0::1', 'private'],
    ['fd00::1', 'private'],
    ['2001:db8::1', 'global'],
    ['3fff::1', 'global'],
    ['::ffff:10.0.0.1', 'private'],
    ['example.org', 'global'],
  ];
  for (const [host, scope] of SCOPES) it(`of ${host} is ${scope}`, () => assert.equal(scopeOf(host), scope));

  it('says its host, its port and its relay', () => {
    assert.equal(hostOf('/ip6/2001:db8::1/tcp/4100'), '2001:db8::1');
    assert.equal(portOf('/ip6/2001:db8::1/udp/4100/webrtc-direct'), 4_100);
    assert.equal(hostOf(`/webrtc/p2p/${OTHER}`), undefined);
    assert.deepEqual(relayOf(`${CIRCUIT}/p2p/${OTHER}`), {
      relay: RELAY,
      address: `/ip4/203.0.113.9/tcp/4100/p2p/${RELAY}`,
    });
    assert.equal(relayOf('/ip4/203.0.113.9/tcp/4100'), undefined);
    assert.equal(relayOf('/ip4/203.0.113.9/tcp/4100/p2p-circuit'), undefined);
  });

  it('of a relay leads to whoever is named behind it', () => {
    assert.equal(withNode('/ip4/192.0.2.1/tcp/1', OTHER), `/ip4/192.0.2.1/tcp/1/p2p/${OTHER}`);
    assert.equal(withNode(CIRCUIT, OTHER), `${CIRCUIT}/p2p/${OTHER}`);
    assert.equal(withNode(`${CIRCUIT}/p2p/${OTHER}`, SELF), `${CIRCUIT}/p2p/${OTHER}`);
    assert.equal(withNode(CIRCUIT, undefined), CIRCUIT);
  });

  it('of a relay also greets for a direct path', () => {
    assert.equal(webrtcAddress(`${CIRCUIT}/p2p/${OTHER}`), `${CIRCUIT}/webrtc`);
    assert.equal(webrtcAddress(`${CIRCUIT}/webrtc/p2p/${OTHER}`), `${CIRCUIT}/webrtc`);
    assert.equal(webrtcAddress('/ip4/192.0.2.1/tcp/1'), undefined);
  });
});

describe('the addresses that a node tells', () => {
  const listening = ['/ip4/127.0.0.1/tcp/4100', '/ip4/192.168.1.2/tcp/4100', '/ip6/fe80::1/tcp/4100'];

  it('begin with what others said and end with relays, loopback before them', () => {
    const told = ownAddresses({
      self: SELF,
      listening,
      announced: ['/ip4/203.0.113.1/tcp/4100'],
      relays: [{ relay: RELAY, addresses: [`/ip4/203.0.113.9/tcp/4100/p2p/${RELAY}`] }],
      max: 16,
    });
    assert.deepEqual(
      told.map((address) => address.replace(`/p2p/${SELF}`, '')),
      [
        '/ip4/203.0.113.1/tcp/4100',
        '/ip4/192.168.1.2/tcp/4100',
        '/ip6/fe80::1/tcp/4100',
        '/ip4/127.0.0.1/tcp/4100',
        CIRCUIT,
      ],
    );
    assert.ok(told.every((address) => address.endsWith(`/p2p/${SELF}`)));
  });

  it('name each relay at its public address, once for IPv4 and once for IPv6', () => {
    const addresses = [
      '/ip4/192.168.7.7/tcp/4100',
      '/ip4/203.0.113.9/tcp/4100',
      '/ip4/203.0.113.10/tcp/4100',
      '/ip6/2001:db8::9/tcp/4100',
      '/ip4/203.0.113.9/udp/4102/webrtc-direct',
      CIRCUIT,
    ];
    const told = ownAddresses({
      self: SELF,
      listening: [],
      announced: [],
      relays: [{ relay: RELAY, addresses }],
      max: 16,
    });
    assert.deepEqual(told, [
      `/ip4/203.0.113.9/tcp/4100/p2p/${RELAY}/p2p-circuit/p2p/${SELF}`,
      `/ip6/2001:db8::9/tcp/4100/p2p/${RELAY}/p2p-circuit/p2p/${SELF}`,
    ]);
  });

  it('keep room for the relays, however many interfaces there are', () => {
    const many = Array.from({ length: 20 }, (_, index) => `/ip4/192.168.${index}.2/tcp/4100`);
    const relays = [{ relay: RELAY, addresses: ['/ip4/203.0.113.9/tcp/4100'] }];
    const told = ownAddresses({ self: SELF, listening: many, announced: [], relays, max: 16 });
    assert.equal(told.length, 16);
    assert.equal(told.filter((address) => address.includes('/p2p-circuit')).length, 1);
  });
});
