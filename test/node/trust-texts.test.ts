import assert from 'node:assert/strict';
import { parseDuration } from '../../src/node/duration.ts';
import { hostsOf, reachableFirst } from '../../src/node/reachable.ts';
import { ringPlaceOf } from '../../src/node/ring-place.ts';
import { table } from '../../src/node/table.ts';
import { testKey } from './loopback.ts';

describe('small texts of the trust commands', () => {
  it('are durations with a unit, and nothing else', () => {
    for (const [text, seconds] of [
      ['1s', 1],
      ['90m', 5_400],
      ['24h', 86_400],
      ['7d', 604_800],
      [' 7d ', 604_800],
      ['0s', undefined],
      ['7', undefined],
      ['-1h', undefined],
      ['1.5h', undefined],
      ['1w', undefined],
      ['', undefined],
      ['9999999999d', undefined],
    ] as const)
      assert.equal(parseDuration(text), seconds, text);
  });

  it('are addresses, those of other machines first, and hosts, each once', () => {
    const addresses = ['/ip4/127.0.0.1/tcp/1', '/ip4/192.0.2.1/tcp/1', '/ip6/::1/tcp/1', '/ip4/192.0.2.1/udp/1'];
    assert.deepEqual(reachableFirst(addresses), [addresses[1], addresses[3], addresses[0], addresses[2]]);
    assert.deepEqual(hostsOf(reachableFirst(addresses)), ['192.0.2.1', '127.0.0.1', '::1']);
    assert.deepEqual(hostsOf(['/ip4/192.0.2.9/tcp/1/p2p/x/p2p-circuit', '/unix/x']), []);
  });

  it('are tables without spaces at the ends of lines', () => {
    assert.equal(
      table([
        ['A', 'B'],
        ['long', ''],
      ]),
      'A     B\nlong\n',
    );
  });

  it('put the ring beside a key file of ours only', () => {
    const key = testKey(1);
    assert.deepEqual(ringPlaceOf({ key, source: '/x/k' }, '/c/swarm.key'), { keyFile: '/x/k', ownsKeyFile: true });
    for (const loaded of [
      { key, source: 'SKEIN_SWARM_KEY' },
      { key, source: '/run/secrets/swarm.key', isProvided: true },
    ])
      assert.deepEqual(ringPlaceOf(loaded, '/c/swarm.key'), { keyFile: '/c/swarm.key', ownsKeyFile: false });
  });
});
