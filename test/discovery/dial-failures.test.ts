import assert from 'node:assert/strict';
import { AddressBook } from '../../src/discovery/address-book.ts';
import { DialFailures } from '../../src/discovery/dial-failures.ts';
import { Prng } from '../../src/prng.ts';
import { nodeNumber } from '../gossip/signing.ts';

const [A, B] = ['/ip4/192.0.2.1/tcp/4001', '/ip4/192.0.2.2/tcp/4001'] as const;
const [LOCAL, OTHER] = [nodeNumber(1), nodeNumber(2)] as const;

describe('what was wrong with an address', () => {
  it('is told for the addresses that are asked for, in their order, the last word only', () => {
    const failures = new DialFailures();
    failures.failed({ address: B, reason: 'refused', atMs: 1 });
    failures.failed({ address: A, reason: 'too early', atMs: 2 });
    failures.failed({ address: A, reason: 'timed out', atMs: 3 });
    assert.deepEqual(failures.of([A, '/ip4/192.0.2.3/tcp/1', B]), [
      { address: A, reason: 'timed out', atMs: 3 },
      { address: B, reason: 'refused', atMs: 1 },
    ]);
    failures.forget(A);
    assert.deepEqual(failures.of([A]), []);
  });

  it('is one short line', () => {
    for (const { reason, told } of [
      { reason: '', told: 'no answer' },
      { reason: 'x'.repeat(160), told: 'x'.repeat(160) },
      { reason: 'x'.repeat(161), told: `${'x'.repeat(157)}...` },
      { reason: 'refused\n    at stack', told: 'refused' },
    ]) {
      const failures = new DialFailures();
      failures.failed({ address: A, reason, atMs: 0 });
      assert.equal(failures.of([A])[0]?.reason, told);
    }
  });

  it('forgets the address that failed longest ago when 512 are kept', () => {
    const failures = new DialFailures();
    const addresses = Array.from({ length: 513 }, (_, index) => `/ip4/192.0.2.1/tcp/${index + 1}`);
    for (const address of addresses.slice(0, 512)) failures.failed({ address, reason: 'x', atMs: 0 });
    assert.equal(failures.of(addresses).length, 512);
    failures.failed({ address: addresses[0] ?? '', reason: 'again', atMs: 1 });
    failures.failed({ address: addresses[512] ?? '', reason: 'x', atMs: 1 });
    assert.deepEqual(
      failures.of(addresses).map(({ address }) => address),
      addresses.toSpliced(1, 1),
    );
  });
});

describe('the address book reports', () => {
  it('failures, their reasons and the next dial of a node, until it is connected', () => {
    const one = book();
    assert.equal(one.report(OTHER), undefined, 'nobody told of it');
    one.learn({ node: OTHER, addresses: [A, B], source: 'disk' }, 0);
    assert.deepEqual(one.unreached(), [], 'not tried yet');
    one.plan(0);
    assert.equal(one.report(OTHER)?.isDialling, true);
    for (const address of [B, A]) one.dialFailed(address, 100, `no way to ${address}`);
    const report = one.report(OTHER);
    assert.equal(report?.isDialling, false);
    assert.equal(report.failures, 1);
    assert.ok(report.nextAtMs >= 600 && report.nextAtMs <= 1_100, String(report.nextAtMs));
    assert.deepEqual(
      report.lastFailures.map(({ address, reason }) => ({ address, reason })),
      report.addresses.map((address) => ({ address, reason: `no way to ${address}` })),
    );
    assert.deepEqual(one.unreached(), [report]);
    one.connected(OTHER, A, 2_000);
    assert.equal(one.report(OTHER), undefined);
    assert.deepEqual(one.unreached(), []);
    one.lost(OTHER, 3_000);
    assert.deepEqual(
      one.report(OTHER)?.lastFailures.map(({ address }) => address),
      [B],
      'what worked is no failure any more',
    );
  });

  it('a bootstrap address of nobody known that does not answer', () => {
    const one = book();
    one.learn({ node: undefined, addresses: [A], source: 'bootstrap' }, 0);
    one.plan(0);
    one.dialFailed(A, 10, 'refused');
    assert.deepEqual(
      one
        .unreached()
        .map(({ node, addresses, lastFailures }) => ({ node, addresses, reason: lastFailures[0]?.reason })),
      [{ node: undefined, addresses: [A], reason: 'refused' }],
    );
  });
});

function book(): AddressBook {
  return new AddressBook({ local: LOCAL, prng: new Prng('test'), connectionsMax: 32 });
}
