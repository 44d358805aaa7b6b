import assert from 'node:assert/strict';
import { natOf, Reachability, stunAddressOf, type Witness } from '../../src/discovery/reachability.ts';

const PUBLIC = '203.0.113.1';
const OWN = `/ip4/${PUBLIC}/tcp/4100`;
const HOME = '192.168.1.2';

function inbound(remoteHost: string, ownAddress = OWN): Witness {
  const version = remoteHost.includes(':') ? 'ip6' : 'ip4';
  return { ownAddress, remoteAddress: `/${version}/${remoteHost}/tcp/50000`, direction: 'inbound' };
}

describe('reachability', () => {
  let reach: Reachability;
  beforeEach(() => {
    reach = new Reachability();
  });

  it('is unknown before anybody said anything', () => {
    reach.setInterfaces([HOME]);
    assert.deepEqual(reach.verdict(), {
      reach: 'unknown',
      nat: 'unknown',
      addresses: [],
      reason: 'nobody from outside has connected yet',
    });
  });

  it('is public when one from outside dialled an address of our interface', () => {
    reach.setInterfaces([PUBLIC, '127.0.0.1']);
    assert.equal(
      reach.verdict().reach,
      'unknown',
      'a public address alone proves nothing: a firewall may stand before it',
    );
    reach.witnessed(inbound('198.51.100.7'));
    assert.equal(reach.verdict().reach, 'public');
    assert.deepEqual(reach.verdict().addresses, [OWN]);
    assert.equal(reach.verdict().nat, 'none');
  });

  it('is not public by neighbours, who pass no router', () => {
    reach.setInterfaces([PUBLIC, '2001:db8:1:2::1']);
    reach.witnessed(inbound('192.168.1.9'));
    reach.witnessed(inbound('2001:db8:1:2::9', '/ip6/2001:db8:1:2::1/tcp/4100'));
    assert.equal(reach.verdict().reach, 'unknown');
    reach.witnessed(inbound('2001:db8:1:3::9', '/ip6/2001:db8:1:2::1/tcp/4100'));
    assert.equal(reach.verdict().reach, 'public');
  });

  it('needs two networks to believe in a forwarded port, and not two neighbours', () => {
    reach.setInterfaces([HOME]);
    reach.witnessed(inbound('198.51.100.7'));
    reach.witnessed(inbound('198.51.100.8'));
    assert.equal(reach.verdict().reach, 'private');
    reach.witnessed(inbound('192.0.2.8', '/ip4/203.0.113.1/tcp/4101'));
    assert.equal(reach.verdict().reach, 'private', 'another port is another address');
    reach.witnessed(inbound('192.0.2.8'));
    assert.deepEqual(reach.verdict().addresses, [OWN]);
  });

  it('is private when others see an address that we do not have', () => {
    reach.setInterfaces([HOME]);
    reach.witnessed({ ...inbound('198.51.100.7'), direction: 'outbound' });
    assert.equal(reach.verdict().reach, 'private');
    assert.equal(reach.verdict().nat, 'unknown');
    reach.probed('symmetric');
    assert.equal(reach.verdict().nat, 'symmetric');
  });

  it('believes the owner and the router', () => {
    reach.setInterfaces([HOME]);
    reach.mapped([OWN, '/ip4/192.168.0.1/tcp/4100']);
    assert.deepEqual(reach.verdict().addresses, [OWN], 'a router behind a router opens nothing');
    reach.configure(['/ip4/10.0.0.5/tcp/4100']);
    assert.deepEqual(reach.verdict().addresses, ['/ip4/10.0.0.5/tcp/4100', OWN]);
  });

  it('begins anew when the interfaces change, and only then', () => {
    reach.setInterfaces([PUBLIC]);
    reach.witnessed(inbound('198.51.100.7'));
    reach.setInterfaces([PUBLIC, '127.0.0.1']);
    assert.equal(reach.verdict().reach, 'public');
    reach.setInterfaces([HOME]);
    assert.equal(reach.verdict().reach, 'unknown');
  });

  it('does not grow with witnesses', () => {
    reach.setInterfaces([HOME]);
    for (let index = 0; index < 1_000; index += 1)
      reach.witnessed(inbound('198.51.100.7', `/ip4/203.0.113.1/tcp/${10_000 + index}`));
    reach.witnessed(inbound('192.0.2.8', '/ip4/203.0.113.1/tcp/10999'));
    reach.witnessed(inbound('198.18.0.1', '/ip4/203.0.113.1/tcp/10999'));
    assert.equal(reach.verdict().reach, 'private');
  });
});

describe('the kind of NAT', () => {
  const own = new Set([HOME]);
  const seen = { host: PUBLIC, port: 40_000 };

  it('is told by two servers that saw one socket', () => {
    assert.equal(natOf([], own), 'unknown');
    assert.equal(natOf([seen], own), 'unknown');
    assert.equal(natOf([seen, seen], own), 'endpoint-independent');
    assert.equal(natOf([seen, { ...seen, port: 40_001 }], own), 'symmetric');
    assert.equal(natOf([seen, { ...seen, host: '203.0.113.2' }], own), 'symmetric');
    assert.equal(natOf([seen], new Set([PUBLIC])), 'none');
  });

  it('is asked where TCP is, over UDP', () => {
    assert.deepEqual(stunAddressOf('/ip4/203.0.113.1/tcp/4100/p2p/X'), { host: PUBLIC, port: 4_100 });
    assert.equal(stunAddressOf('/ip4/203.0.113.1/udp/4100/webrtc-direct'), undefined);
    assert.equal(stunAddressOf('/ip4/203.0.113.1/tcp/4100/p2p/X/p2p-circuit'), undefined);
  });
});
