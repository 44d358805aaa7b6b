import assert from 'node:assert/strict';
import { HEALTH } from '../../src/discovery/path-health.ts';
import { LADDER } from '../../src/discovery/path-ladder.ts';
import { ATTEMPTS } from '../../src/discovery/upgrade-attempts.ts';
import { ADDRESS, Bench } from './ladder-bench.ts';

function renewals(bench: Bench): number {
  return bench.dials.filter(({ kind }) => kind === 'tcp').length;
}

describe('a path whose address of ours is gone', () => {
  it('is dialled anew where it is, until something opens', () => {
    for (const isSmaller of [true, false]) {
      const bench = new Bench(isSmaller);
      bench.know(ADDRESS.tcp);
      bench.opened('direct', 'tcp');
      bench.pass(10_000);
      bench.step({ type: 'network-changed', isAddressGone: false });
      bench.pass(5_000);
      assert.equal(renewals(bench), 0, 'an address more is no reason');
      bench.step({ type: 'network-changed', isAddressGone: true });
      bench.pass(ATTEMPTS.gapMs);
      assert.equal(renewals(bench), 1);
      // Without any network it comes to nothing; the next address is the chance.
      bench.step({ type: 'dial-ended', kind: 'tcp', reached: false });
      bench.pass(5_000);
      assert.equal(renewals(bench), 1);
      bench.step({ type: 'network-changed', isAddressGone: false });
      bench.pass(ATTEMPTS.gapMs);
      assert.equal(renewals(bench), 2);
      bench.opened('again', 'tcp');
      bench.step({ type: 'dial-ended', kind: 'tcp', reached: true });
      bench.step({ type: 'network-changed', isAddressGone: false });
      bench.pass(5_000);
      assert.equal(renewals(bench), 2, 'what was opened since is fine');
    }
    const relayed = new Bench();
    relayed.know(ADDRESS.relayed);
    relayed.opened('relayed', 'relayed');
    relayed.step({ type: 'network-changed', isAddressGone: true });
    assert.ok(!relayed.dials.some(({ kind }) => kind === 'relayed'), 'it ends with the connection to its relay');
  });

  it('is closed where it is a hole', () => {
    const bench = new Bench();
    bench.know(ADDRESS.relayed);
    bench.opened('relayed', 'relayed');
    bench.opened('hole', 'webrtc');
    bench.step({ type: 'path-heard', path: 'hole' });
    bench.pass(5_000);
    assert.equal(bench.last.preferred, 'hole');
    const dials = bench.dials.length;
    const after = bench.step({ type: 'network-changed', isAddressGone: true });
    assert.deepEqual(after.closes, [{ path: 'hole', reason: 'the address that it belongs to is gone' }]);
    assert.equal(after.preferred, 'relayed');
    bench.pass(60_000);
    assert.ok(bench.dials.length > dials, 'it is punched again');
    const lonely = new Bench();
    lonely.opened('hole', 'webrtc');
    lonely.step({ type: 'path-heard', path: 'hole' });
    assert.equal(lonely.step({ type: 'network-changed', isAddressGone: false }).preferred, 'hole');
    assert.equal(lonely.step({ type: 'network-changed', isAddressGone: true }).preferred, undefined);
  });

  it('on the other side is left for a new one of its kind as soon as with requests, although there are none', () => {
    const bench = new Bench();
    bench.know(ADDRESS.tcp);
    bench.opened('old', 'tcp');
    bench.pass(60_000);
    bench.alive.delete('old');
    bench.opened('new', 'tcp');
    assert.equal(bench.last.preferred, 'old', 'nothing is known of it yet');
    bench.pass(HEALTH.beatsMissed * LADDER.beatMs + HEALTH.settleMs);
    assert.equal(bench.last.preferred, 'new');
    bench.pass(LADDER.hurryMs);
    assert.equal(bench.last.beatMs ?? LADDER.idleBeatMs, LADDER.idleBeatMs, 'and then the haste is over');
  });
});
