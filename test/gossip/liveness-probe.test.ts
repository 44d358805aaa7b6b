import assert from 'node:assert/strict';
import { Bench } from './liveness-bench.ts';

describe('hearsay about a member without a connection', () => {
  it('makes us probe it when a credible one saw its connection close, and bear witness when nobody answers', () => {
    for (const { what, act, probes, verdict } of [
      { what: 'the probe fails', act: (bench: Bench) => bench.probed(1, false), probes: 1, verdict: 'suspect' },
      { what: 'the probe succeeds', act: (bench: Bench) => bench.probed(1, true), probes: 1, verdict: 'alive' },
      { what: 'it runs still', act: () => undefined, probes: 1, verdict: 'alive' },
      {
        what: 'a beacon came since',
        act: (bench: Bench) => {
          bench.run(300, [2, 3]);
          bench.beacon(1);
          bench.probed(1, false);
        },
        probes: 1,
        verdict: 'alive',
      },
    ]) {
      const bench = new Bench(0);
      for (const number of [2, 3]) bench.connect(number);
      for (const number of [1, 2, 3]) bench.beacon(number);
      bench.run(500, [2, 3]);
      bench.accuse(2, 1, { cause: 'closed' });
      act(bench);
      assert.deepEqual([bench.count('probe'), bench.verdict(1)], [probes, verdict], what);
    }
  });

  it('makes us probe nobody without ground', () => {
    const bench = new Bench(0);
    for (const number of [2, 3]) bench.connect(number);
    for (const number of [1, 2, 3]) bench.beacon(number);
    bench.accuse(2, 1, { cause: 'silent' });
    bench.accuse(2, 3, { cause: 'closed' });
    bench.accuse(7, 1, { cause: 'closed' });
    bench.accuse(2, 1, { cause: 'closed', incarnation: 4 });
    assert.equal(bench.count('probe'), 0, 'silent; connected to it; a stranger says so; of an earlier life');
    bench.probed(1, false);
    assert.equal(bench.verdict(1), 'alive', 'a failed dial that was no probe says nothing');
  });

  it('is confirmed by a failed probe once, until the member was connected', () => {
    const bench = new Bench(0);
    for (const number of [2, 3]) bench.connect(number);
    for (const number of [1, 2, 3]) bench.beacon(number);
    const round = (): void => {
      bench.run(300, [2, 3]);
      bench.accuse(2, 1, { cause: 'closed' });
      bench.accuse(2, 1, { cause: 'closed' });
      bench.probed(1, false);
      bench.run(300, [2, 3]);
      bench.beacon(1);
    };
    round();
    assert.deepEqual(
      [bench.count('probe'), bench.verdicts().filter((verdict) => verdict === 'suspect').length],
      [1, 1],
    );
    bench.beacon(1, 6);
    round();
    assert.equal(bench.count('probe'), 1);
    bench.connect(1);
    bench.close(1);
    bench.beacon(1, 7);
    bench.accuse(2, 1, { cause: 'closed', incarnation: 7 });
    assert.equal(bench.count('probe'), 2);
  });

  it('concerns its monitors only in a large mesh', () => {
    const bench = new Bench(40);
    let probes = 0;
    for (let number = 1; number <= 20; number += 1) {
      bench.beacon(100 + number);
      bench.accuse(1, 100 + number, { cause: 'closed' });
      probes = bench.count('probe');
    }
    assert.ok(probes > 0 && probes < 15, `${probes} of 20`);
  });
});
