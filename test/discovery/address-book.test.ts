import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { AddressBook } from '../../src/discovery/address-book.ts';
import { type NodeId, parseNodeId } from '../../src/ids.ts';
import { GOSSIP } from '../../src/params.ts';
import { Prng } from '../../src/prng.ts';

const DIGITS = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

function node(number: number): NodeId {
  let tail = '';
  for (let rest = number, digit = 0; digit < 44; digit += 1, rest = Math.floor(rest / 58))
    tail = DIGITS.charAt(rest % 58) + tail;
  const id = parseNodeId(`12D3KooW${tail}`);
  assert.ok(id !== undefined);
  return id;
}

const [LOW, LOCAL, HIGH] = [node(1), node(100), node(5_000)] as const;
const ADDRESS = '/ip4/192.0.2.1/tcp/4001';

function book(connectionsMax = 32): AddressBook {
  return new AddressBook({ local: LOCAL, prng: new Prng('test'), connectionsMax });
}

describe('the address book', () => {
  it('dials a known node at once, and the one with the smaller id a moment later', () => {
    for (const { id, delayMs } of [
      { id: HIGH, delayMs: 0 },
      { id: LOW, delayMs: 250 },
    ]) {
      const one = book();
      one.learn({ node: id, addresses: [ADDRESS], source: 'mdns' }, 1_000);
      if (delayMs > 0) assert.deepEqual(one.plan(1_000 + delayMs - 1), { dials: [], wakeAtMs: 1_000 + delayMs });
      assert.deepEqual(one.plan(1_000 + delayMs).dials, [{ node: id, addresses: [ADDRESS] }]);
      assert.deepEqual(one.plan(1_000 + delayMs).dials, [], 'one dial at a time');
    }
  });

  it('dials what a person or the disk named at once, also when its node is unknown', () => {
    const one = book();
    one.learn({ node: undefined, addresses: [ADDRESS, `/ip4/192.0.2.2/tcp/1/p2p/${LOW}`], source: 'bootstrap' }, 0);
    const { dials } = one.plan(0);
    assert.equal(dials.length, 2);
    assert.ok(dials.some((dial) => dial.node === undefined && dial.addresses[0] === ADDRESS));
    assert.ok(dials.some((dial) => dial.node === LOW && dial.addresses[0] === '/ip4/192.0.2.2/tcp/1'));
  });

  it('redials for ever, after 1 s doubling to 60 s, spread over the second half', () => {
    const one = book();
    one.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    let nowMs = 0;
    for (const fullMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]) {
      assert.equal(one.plan(nowMs).dials.length, 1);
      one.dialFailed(ADDRESS, nowMs);
      const { wakeAtMs } = one.plan(nowMs);
      assert.ok(wakeAtMs - nowMs >= fullMs / 2 && wakeAtMs - nowMs <= fullMs, `${wakeAtMs - nowMs} of ${fullMs}`);
      assert.equal(one.plan(wakeAtMs - 1).dials.length, 0);
      nowMs = wakeAtMs;
    }
  });

  it('tries a new address at once, but not twice within a second', () => {
    const one = book();
    one.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    for (let nowMs = 0, count = 0; count < 8; count += 1) {
      one.plan(nowMs);
      one.dialFailed(ADDRESS, nowMs);
      nowMs = one.plan(nowMs).wakeAtMs;
      if (count < 7) continue;
      one.plan(nowMs);
      one.dialFailed(ADDRESS, nowMs + 500);
      one.learn({ node: HIGH, addresses: ['/ip4/192.0.2.9/tcp/1'], source: 'mdns' }, nowMs + 500);
      assert.equal(one.plan(nowMs + 999).dials.length, 0);
      assert.equal(one.plan(nowMs + 1_000).dials.length, 1);
    }
  });

  it('probes at once, tells of a dial that has just failed, and never dials twice within a second', () => {
    const one = book();
    assert.equal(one.probe(LOW, 0), 'dialled', 'one of whom no address is known');
    one.learn({ node: LOW, addresses: [ADDRESS], source: 'gossip' }, 1_000);
    assert.equal(one.probe(LOW, 1_001), 'dialled');
    assert.equal(one.plan(1_001).dials.length, 1, 'without the head start of the other side');
    assert.equal(one.probe(LOW, 1_002), 'dialled', 'the dial that runs is the probe');
    assert.deepEqual(one.dialFailed(ADDRESS, 1_100), [LOW]);
    assert.deepEqual(one.dialFailed(ADDRESS, 1_100), []);
    assert.equal(one.probe(LOW, 2_000), 'failed');
    for (let nowMs = 2_001; nowMs < 60_000; nowMs = one.plan(nowMs).wakeAtMs)
      if (one.plan(nowMs).dials.length > 0) one.dialFailed(ADDRESS, nowMs);
    assert.equal(one.plan(90_000).dials.length + one.plan(120_000).dials.length, 1);
    one.dialFailed(ADDRESS, 120_000);
    assert.equal(one.plan(122_000).dials.length, 0, 'the pause is long by now');
    assert.equal(one.probe(LOW, 122_000), 'dialled');
    assert.equal(one.plan(122_000).dials.length, 1);
    one.connected(LOW, ADDRESS, 122_010);
    assert.equal(one.probe(LOW, 122_020), 'dialled');
    assert.equal(one.plan(122_020).dials.length, 0, 'it is connected');
  });

  it('calls whom a request needs at once, beyond the limit too, but not within a second of a dial that failed', () => {
    const one = book(0);
    assert.equal(one.call(LOW, 0), undefined, 'one of whom no address is known');
    one.learn({ node: LOW, addresses: [ADDRESS], source: 'gossip' }, 1_000);
    assert.deepEqual(one.plan(1_500).dials, []);
    assert.deepEqual(one.call(LOW, 1_500), { node: LOW, addresses: [ADDRESS] });
    assert.equal(one.call(LOW, 1_501), undefined, 'the dial that runs will do');
    one.dialFailed(ADDRESS, 1_600);
    assert.equal(one.call(LOW, 2_499), undefined);
    assert.deepEqual(one.call(LOW, 2_500)?.addresses, [ADDRESS]);
    one.connected(LOW, ADDRESS, 2_600);
    assert.equal(one.call(LOW, 9_000), undefined, 'it is connected');
  });

  it('puts the address on the host of the live connection first, whether it is told before or after', () => {
    const moved = '/ip4/192.0.2.77/tcp/4001';
    const from = '/ip4/192.0.2.77/tcp/53211';
    const after = book();
    after.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    after.connected(HIGH, from, 0);
    assert.deepEqual(after.addressesOf(HIGH), [ADDRESS], 'a port where nobody listens is no address');
    after.learn({ node: HIGH, addresses: [moved, '/ip4/192.0.2.78/tcp/1'], source: 'identify' }, 0);
    assert.deepEqual(after.addressesOf(HIGH), [moved, '/ip4/192.0.2.78/tcp/1', ADDRESS]);
    const before = book();
    before.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    before.learn({ node: HIGH, addresses: [moved], source: 'mdns' }, 0);
    before.connected(HIGH, from, 0);
    assert.deepEqual(before.addressesOf(HIGH), [moved, ADDRESS]);
    before.lost(HIGH, 0);
    before.learn({ node: HIGH, addresses: ['/ip4/192.0.2.77/tcp/2'], source: 'mdns' }, 0);
    assert.equal(before.addressesOf(HIGH)[0], moved, 'what worked leads after the connection is gone');
  });

  it('does not take the host of a relay for the host of the node behind it', () => {
    const one = book();
    const relayed = `/ip4/192.0.2.50/tcp/4001/p2p/${LOW}/p2p-circuit`;
    one.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    one.learn({ node: HIGH, addresses: ['/ip4/192.0.2.50/tcp/9'], source: 'gossip' }, 0);
    one.connected(HIGH, relayed, 0);
    assert.equal(one.addressesOf(HIGH)[0], ADDRESS);
  });

  it('takes a dial without an answer for failed after 15 s', () => {
    const one = book();
    one.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    assert.equal(one.plan(0).wakeAtMs, 15_000);
    assert.ok(one.plan(14_999).wakeAtMs === 15_000);
    assert.ok(one.plan(15_000).wakeAtMs > 15_000);
  });

  it('leaves a connected node alone and redials it when it is lost', () => {
    const one = book();
    one.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    one.plan(0);
    one.connected(HIGH, ADDRESS, 10);
    assert.equal(one.plan(100_000).dials.length, 0);
    one.lost(HIGH, 200_000);
    const { wakeAtMs, dials } = one.plan(200_000);
    assert.ok(dials.length === 1 || wakeAtMs <= 200_100);
  });

  it('takes a connection that the other side refuses for a dial in vain, up to a minute apart, until one is not refused', () => {
    const one = book();
    one.learn({ node: undefined, addresses: [ADDRESS], source: 'bootstrap' }, 0);
    one.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    let nowMs = 0;
    for (const fullMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      assert.ok(one.plan(nowMs).dials.length > 0);
      one.connected(HIGH, ADDRESS, nowMs);
      one.lost(HIGH, nowMs + 5, true);
      const { wakeAtMs, dials } = one.plan(nowMs + 5);
      assert.deepEqual(dials, []);
      assert.ok(wakeAtMs - nowMs >= fullMs / 2 && wakeAtMs - nowMs <= fullMs + 5, `${wakeAtMs - nowMs} of ${fullMs}`);
      nowMs = wakeAtMs;
    }
    one.connected(HIGH, ADDRESS, nowMs);
    one.lost(HIGH, nowMs);
    assert.ok(one.plan(nowMs + 100).dials.length > 0, 'it was in: sought at once');
  });

  it('does not hurry to a node that said goodbye', () => {
    const one = book();
    one.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    one.connected(HIGH, ADDRESS, 0);
    one.left(HIGH, 1_000);
    one.lost(HIGH, 1_000);
    assert.ok(one.plan(1_000).wakeAtMs >= 31_000);
    assert.ok(one.plan(61_000).dials.length === 1);
  });

  it('keeps the address that worked in front', () => {
    const one = book();
    const many = Array.from({ length: 40 }, (_, index) => `/ip4/192.0.2.${index}/tcp/1`);
    one.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    one.learn({ node: HIGH, addresses: many.slice(0, 3), source: 'gossip' }, 0);
    one.connected(HIGH, `${many[1]}/p2p/${HIGH}`, 1);
    one.learn({ node: HIGH, addresses: many, source: 'gossip' }, 2);
    assert.equal(one.addressesOf(HIGH)[0], many[1]);
    assert.equal(one.addressesOf(HIGH).length, GOSSIP.addressesPerNodeMax);
  });

  it('does not dial a bootstrap address for itself while its node is known and well', () => {
    const one = book();
    one.learn({ node: undefined, addresses: [ADDRESS], source: 'bootstrap' }, 0);
    one.plan(0);
    one.connected(HIGH, `${ADDRESS}/p2p/${HIGH}`, 10);
    one.lost(HIGH, 20);
    let nowMs = 20;
    const dialled: (NodeId | undefined)[] = [];
    for (let turn = 0; turn < 12; turn += 1) {
      const { dials, wakeAtMs } = one.plan(nowMs);
      dialled.push(...dials.map((dial) => dial.node));
      for (const dial of dials) one.dialFailed(dial.addresses[0] ?? '', nowMs);
      nowMs = Math.min(wakeAtMs, one.plan(nowMs).wakeAtMs);
    }
    assert.deepEqual(dialled.slice(0, 3), [HIGH, HIGH, HIGH]);
    assert.ok(dialled.includes(undefined), 'another machine may answer there by now');
  });

  it('connects to everybody up to the limit, and to no more', () => {
    for (const { nodes, expected } of [
      { nodes: 31, expected: 31 },
      { nodes: 32, expected: 32 },
      { nodes: 33, expected: 32 },
    ]) {
      const one = book(32);
      for (let number = 0; number < nodes; number += 1)
        one.learn({ node: node(200 + number), addresses: [`/ip4/192.0.2.1/tcp/${number + 1}`], source: 'disk' }, 0);
      assert.equal(one.plan(0).dials.length, expected);
    }
  });

  it('dials whom it had no room for as soon as a connection or a dial ends, and not before', () => {
    for (const { what, end } of [
      { what: 'lost', end: (one: AddressBook) => one.lost(HIGH, 20) },
      { what: 'left', end: (one: AddressBook) => one.left(HIGH, 20) },
      { what: 'failed', end: (one: AddressBook) => one.dialFailed(ADDRESS, 20) },
    ]) {
      const one = book(1);
      one.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
      assert.equal(one.plan(0).dials.length, 1);
      if (what !== 'failed') one.connected(HIGH, ADDRESS, 5);
      // It became known while there was no room.
      one.learn({ node: node(6_000), addresses: ['/ip4/192.0.2.9/tcp/1'], source: 'disk' }, 10);
      assert.deepEqual(one.plan(10).dials, [], what);
      end(one);
      assert.deepEqual(
        one.plan(20).dials.map((dial) => dial.node),
        [node(6_000)],
        what,
      );
    }
  });

  it('says which addresses are new', () => {
    const one = book();
    const found = { node: HIGH, addresses: [ADDRESS], source: 'gossip' } as const;
    assert.deepEqual([one.learn(found, 0), one.learn(found, 1)], [true, false]);
    assert.equal(one.learn({ ...found, node: LOCAL }, 2), false);
  });

  it('ignores itself and what is no address', () => {
    const one = book();
    one.learn({ node: LOCAL, addresses: [ADDRESS], source: 'disk' }, 0);
    one.learn(
      {
        node: HIGH,
        addresses: ['', 'x', '/p2p/x', `/${'x'.repeat(300)}`, '/ip4/1.2.3.4/tcp/1/p2p/broken'],
        source: 'disk',
      },
      0,
    );
    assert.deepEqual(one.plan(0).dials, []);
  });

  it('holds a bounded number of nodes, the connected ones and the last heard', () => {
    const one = book();
    one.learn({ node: HIGH, addresses: [ADDRESS], source: 'disk' }, 0);
    one.connected(HIGH, ADDRESS, 0);
    for (let number = 0; number < GOSSIP.membersMax + 10; number += 1)
      one.learn({ node: node(10_000 + number), addresses: [ADDRESS], source: 'gossip' }, number + 1);
    const peers = one.peers();
    assert.equal(peers.length, GOSSIP.membersMax);
    assert.ok(peers.some((peer) => peer.node === HIGH));
    assert.ok(peers.some((peer) => peer.node === node(10_000 + GOSSIP.membersMax + 9)));
    assert.deepEqual(
      peers,
      peers.toSorted((left, right) => (left.node < right.node ? -1 : 1)),
    );
  });

  it('never wakes in the past and never dials a connected node, whatever happens', () => {
    const step = fc.record({
      what: fc.constantFrom('learn', 'connected', 'lost', 'left', 'failed', 'bootstrap', 'probe'),
      who: fc.integer({ min: 200, max: 205 }),
      gapMs: fc.integer({ min: 0, max: 20_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const one = book(3);
        const connected = new Set<NodeId>();
        let nowMs = 0;
        for (const { what, who, gapMs } of steps) {
          nowMs += gapMs;
          const id = node(who);
          const address = `/ip4/192.0.2.1/tcp/${who}`;
          if (what === 'learn') one.learn({ node: id, addresses: [address], source: 'gossip' }, nowMs);
          if (what === 'bootstrap') one.learn({ node: undefined, addresses: [address], source: 'bootstrap' }, nowMs);
          if (what === 'connected') (one.connected(id, address, nowMs), connected.add(id));
          if (what === 'lost') (one.lost(id, nowMs), connected.delete(id));
          if (what === 'left') (one.left(id, nowMs), connected.delete(id));
          if (what === 'failed') one.dialFailed(address, nowMs);
          if (what === 'probe') one.probe(id, nowMs);
          const plan = one.plan(nowMs);
          assert.ok(plan.wakeAtMs > nowMs);
          for (const dial of plan.dials) assert.ok(dial.node === undefined || !connected.has(dial.node));
        }
      }),
    );
  });
});
