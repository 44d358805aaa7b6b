import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { LIVENESS } from '../../src/params.ts';
import { Bench } from './liveness-bench.ts';
import { nodeNumber } from './signing.ts';

describe('the failure detector', () => {
  it('sends heartbeats every 500 ms to all of a small mesh, and to eight in a large one', () => {
    for (const { others, receivers } of [
      { others: 8, receivers: 8 },
      { others: 9, receivers: 8 },
      { others: 30, receivers: 8 },
      { others: 3, receivers: 3 },
    ]) {
      const bench = new Bench(others);
      bench.run(5_000);
      const beats = bench.events.flatMap(({ event }) => (event.type === 'heartbeat' ? [event.to.length] : []));
      assert.ok(beats.length >= 10 && beats.length <= 11);
      assert.ok(beats.every((count) => count === receivers));
    }
  });

  it('pings a silent member after 700 ms and every 250 ms then', () => {
    const bench = new Bench(2);
    bench.run(1_000, [1, 2]);
    bench.events.length = 0;
    bench.run(1_700, [1]);
    const pings = bench.events.flatMap(({ atMs, event }) => (event.type === 'ping' ? [{ atMs, to: event.to }] : []));
    assert.deepEqual(
      pings.map(({ atMs }) => atMs),
      [1_700, 1_950, 2_200, 2_450, 2_700],
    );
    assert.ok(pings.every(({ to }) => to === nodeNumber(2)));
  });

  it('measures the round trip of a member that is never silent too', () => {
    const bench = new Bench(1);
    bench.run(30_000, [1]);
    assert.ok(bench.count('ping') >= 3 && bench.count('ping') <= 4);
    bench.liveness.pong(nodeNumber(1), 80, bench.nowMs);
    bench.liveness.pong(nodeNumber(1), 40, bench.nowMs);
    assert.equal(bench.liveness.status(nodeNumber(1))?.rttMs, 75);
  });

  it('of two nodes suspects the other alone, exactly after the limit', () => {
    const bench = new Bench(1);
    bench.run(LIVENESS.suspectAfterMs - 1);
    assert.equal(bench.verdict(1), 'alive');
    bench.run(1);
    assert.equal(bench.verdict(1), 'suspect');
    assert.deepEqual(bench.accusations(), [nodeNumber(1)]);
  });

  it('needs two accusers, its own included, where others can be reached', () => {
    for (const { accusers, cause, expected } of [
      { accusers: [], cause: 'silent', expected: 'alive' },
      { accusers: [2], cause: 'silent', expected: 'suspect' },
      { accusers: [2], cause: 'closed', expected: 'suspect' },
      { accusers: [1], cause: 'silent', expected: 'alive' },
      { accusers: [9], cause: 'silent', expected: 'alive' },
    ] as const) {
      const bench = new Bench(4);
      bench.run(2_700, [2, 3, 4]);
      for (const accuser of accusers) bench.accuse(accuser, 1, { cause });
      assert.equal(bench.verdict(1), expected, JSON.stringify(accusers));
    }
  });

  it('suspects without any accuser once no sign came by any way for 4.5 beacon intervals', () => {
    const bench = new Bench(4);
    bench.run(4_499, [2, 3, 4]);
    assert.equal(bench.verdict(1), 'alive');
    bench.run(1, [2, 3, 4]);
    assert.equal(bench.verdict(1), 'suspect');
  });

  it('lets its own fresher evidence veto any number of accusers', () => {
    const bench = new Bench(6);
    bench.run(5_000, [1, 2, 3, 4, 5, 6]);
    for (const accuser of [2, 3, 4, 5, 6]) bench.accuse(accuser, 1, { ageMs: 100 });
    bench.run(3_000, [1, 2, 3, 4, 5, 6]);
    assert.equal(bench.verdict(1), 'alive');
    assert.ok(!bench.verdicts().includes('suspect'));
  });

  it('waits for its own silence when others report theirs', () => {
    const bench = new Bench(4);
    bench.run(1_000, [1, 2, 3, 4]);
    bench.run(1_500, [2, 3, 4]);
    for (const accuser of [2, 3]) bench.accuse(accuser, 1);
    bench.run(1_099, [2, 3, 4]);
    assert.equal(bench.verdict(1), 'alive');
    bench.run(1, [2, 3, 4]);
    assert.equal(bench.verdict(1), 'suspect');
  });

  it('closes a connection that is silent while its member is heard elsewhere, and holds nothing against the member', () => {
    for (const { beacons, afterMs } of [
      { beacons: true, afterMs: 2 * LIVENESS.suspectAfterMs },
      { beacons: false, afterMs: LIVENESS.deadAfterMs },
    ]) {
      const bench = new Bench(4);
      bench.run(1_000, [1, 2, 3, 4]);
      bench.events.length = 0;
      for (let passedMs = 0; passedMs < afterMs - 100; passedMs += 100) {
        bench.run(100, [2, 3, 4]);
        if (beacons && passedMs % 500 === 0) bench.beacon(1);
      }
      assert.equal(bench.count('close'), 0);
      bench.run(100, [2, 3, 4]);
      assert.equal(bench.count('close'), 1, String(beacons));
      if (!beacons) continue;
      bench.close(1);
      bench.accuse(2, 1, { cause: 'closed' });
      bench.run(400, [2, 3, 4]);
      assert.equal(bench.verdict(1), 'alive');
      assert.deepEqual(bench.accusations(), []);
    }
  });

  it('closes its connections early when none of several carries anything, because then its own line broke', () => {
    for (const { others, speaking, expectedMs } of [
      { others: 3, speaking: [], expectedMs: 2 * LIVENESS.suspectAfterMs },
      { others: 3, speaking: [3], expectedMs: LIVENESS.deadAfterMs },
      { others: 1, speaking: [], expectedMs: LIVENESS.deadAfterMs },
    ]) {
      const bench = new Bench(others);
      bench.run(1_000, [1, 2, 3].slice(0, others));
      bench.run(20_000, speaking);
      const first = bench.events.find(({ event }) => event.type === 'close');
      const lateMs = (first?.atMs ?? 0) - 1_000 - expectedMs;
      assert.ok(lateMs >= 0 && lateMs <= 250, `${others} others, ${speaking.length} heard: ${lateMs} ms late`);
    }
  });

  it('does not call a suspect alive for an old message that was under way, and gives it time from then on', () => {
    const bench = new Bench(4);
    bench.run(1_000, [1, 2, 3, 4]);
    bench.run(4_600, [2, 3, 4]);
    assert.equal(bench.verdict(1), 'suspect');
    bench.run(6_400, [2, 3, 4]);
    // Made 2 s after the last word, 9 s ago: newer than what the suspicion came from, and stale all the same.
    bench.beacon(1, 5, 9_000);
    assert.equal(bench.verdict(1), 'suspect');
    assert.deepEqual(bench.verdicts(), ['alive', 'alive', 'alive', 'alive', 'suspect']);
    bench.beacon(1, 5, 1_000);
    assert.equal(bench.verdict(1), 'alive');
    const late = new Bench(4);
    late.run(1_000, [1, 2, 3, 4]);
    late.run(16_000, [2, 3, 4]);
    assert.equal(late.verdict(1), 'suspect');
    late.beacon(1, 5, 5_000);
    late.run(LIVENESS.deadAfterMs - 5_001, [2, 3, 4]);
    assert.equal(late.verdict(1), 'suspect');
    late.run(1, [2, 3, 4]);
    assert.equal(late.verdicts().at(-1), 'dead');
  });

  it('takes bytes within 250 ms of a closed connection for late ones, and a new connection for life', () => {
    for (const { afterMs, reconnected, expected } of [
      { afterMs: 250, reconnected: false, expected: 'suspect' },
      { afterMs: 251, reconnected: false, expected: 'alive' },
      { afterMs: 100, reconnected: true, expected: 'alive' },
    ]) {
      const bench = new Bench(1);
      bench.run(1_000, [1]);
      bench.close(1);
      assert.equal(bench.verdict(1), 'suspect');
      bench.run(afterMs);
      if (reconnected) bench.liveness.connected(nodeNumber(1), bench.nowMs);
      else bench.liveness.heard(nodeNumber(1), bench.nowMs);
      assert.equal(bench.verdict(1), expected);
    }
  });

  it('suspects at once when two saw connections close, and not when one did', () => {
    for (const { others, closers, expected } of [
      { others: 1, closers: [], expected: 'suspect' },
      { others: 2, closers: [], expected: 'alive' },
      { others: 2, closers: [2], expected: 'suspect' },
      { others: 9, closers: [], expected: 'alive' },
      { others: 9, closers: [7], expected: 'suspect' },
    ]) {
      const bench = new Bench(others);
      const rest = Array.from({ length: others - 1 }, (_, index) => index + 2);
      bench.run(1_000, [1, ...rest]);
      bench.close(1);
      for (const closer of closers) bench.accuse(closer, 1, { cause: 'closed' });
      bench.run(50, rest);
      assert.equal(bench.verdict(1), expected, `${others} ${closers.length}`);
    }
  });

  it('counts no accuser that is suspect itself, and no accusation of another incarnation', () => {
    const bench = new Bench(4);
    bench.run(1_000, [1, 2, 3, 4]);
    bench.close(1);
    assert.equal(bench.accuse(2, 1, { cause: 'closed', incarnation: 4 }), false);
    assert.equal(bench.verdict(1), 'alive');
    assert.equal(bench.accuse(2, 99), false);
    bench.close(2);
    bench.accuse(3, 2, { cause: 'closed' });
    assert.equal(bench.verdict(2), 'suspect');
    bench.accuse(2, 1, { cause: 'closed' });
    assert.equal(bench.verdict(1), 'alive');
  });

  it('takes an accusation once, whatever its order', () => {
    const bench = new Bench(3);
    const accusation = {
      accuser: nodeNumber(2),
      incarnation: 5,
      target: nodeNumber(1),
      targetIncarnation: 5,
      cause: 'silent',
      ageMs: 0,
    } as const;
    for (const { sequence, news } of [
      { sequence: 10, news: true },
      { sequence: 10, news: false },
      { sequence: 9, news: false },
      { sequence: 11, news: true },
    ])
      assert.equal(bench.liveness.accused({ ...accusation, sequence }, 1), news);
  });

  it('clears a suspect by a byte, by a connection and by a higher incarnation', () => {
    for (const revive of [
      (bench: Bench) => bench.liveness.heard(nodeNumber(1), bench.nowMs),
      (bench: Bench) => bench.liveness.connected(nodeNumber(1), bench.nowMs),
      (bench: Bench) => bench.beacon(1, 6),
    ]) {
      const bench = new Bench(1);
      bench.run(4_000);
      assert.equal(bench.verdict(1), 'suspect');
      revive(bench);
      assert.equal(bench.verdict(1), 'alive');
    }
  });

  it('declares dead 12 s after the suspicion and then closes what is left', () => {
    const bench = new Bench(1);
    bench.run(LIVENESS.suspectAfterMs + LIVENESS.deadAfterMs - 1);
    assert.ok(!bench.verdicts().includes('dead'));
    bench.run(1);
    assert.deepEqual(bench.verdicts(), ['alive', 'suspect', 'dead']);
    assert.ok(bench.count('close') >= 1);
  });

  it('closes a connection that carries nothing while beacons come by other ways', () => {
    const bench = new Bench(3);
    for (let second = 0; second < 12; second += 1) {
      bench.beacon(1);
      bench.run(1_000, [2, 3]);
    }
    assert.equal(bench.verdict(1), 'alive');
    assert.deepEqual(
      bench.events.flatMap(({ event }) => (event.type === 'close' ? [event.node] : [])),
      [nodeNumber(1)],
    );
    assert.deepEqual(bench.accusations(), []);
  });

  it('blames its own stall on nobody, for its length and a second more', () => {
    for (const { stallMs, presence } of [
      { stallMs: LIVENESS.ownStallMs, presence: 'on-time' },
      { stallMs: LIVENESS.ownStallMs + 1, presence: 'stalled' },
      { stallMs: LIVENESS.sleptAfterMs, presence: 'stalled' },
      { stallMs: LIVENESS.sleptAfterMs + 1, presence: 'slept' },
      { stallMs: 3_600_000, presence: 'slept' },
    ]) {
      const bench = new Bench(4);
      bench.run(1_000, [1, 2, 3, 4]);
      assert.equal(bench.stall(stallMs), presence);
      assert.deepEqual(bench.accusations(), []);
      assert.ok(!bench.verdicts().includes('suspect'));
    }
    const bench = new Bench(1);
    bench.run(1_000, [1]);
    bench.stall(3_000);
    bench.run(3_999);
    assert.deepEqual(bench.accusations(), []);
    bench.run(LIVENESS.suspectAfterMs);
    assert.deepEqual(bench.accusations(), [nodeNumber(1)]);
  });

  it('reports a connection that closed during its grace once that is over', () => {
    const bench = new Bench(1);
    bench.run(1_000, [1]);
    bench.stall(1_000);
    bench.close(1);
    bench.run(1_999);
    assert.equal(bench.verdict(1), 'alive');
    bench.run(1);
    assert.equal(bench.verdict(1), 'suspect');
  });

  it('accuses nobody that only connected or has left', () => {
    const bench = new Bench(1);
    bench.liveness.connected(nodeNumber(5), 0);
    bench.liveness.depart(nodeNumber(1));
    bench.run(20_000);
    bench.close(1);
    bench.close(5);
    assert.deepEqual(bench.accusations(), []);
    assert.deepEqual(bench.verdicts(), ['alive']);
  });

  it('always wants to be woken later than now, and never twice for the same', () => {
    const step = fc.record({ kind: fc.nat(7), node: fc.integer({ min: 1, max: 12 }), waitMs: fc.nat(3_000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { liveness } = new Bench(0);
        let nowMs = 0;
        let sequence = 0;
        for (const { kind, node: number, waitMs } of steps) {
          const node = nodeNumber(number);
          nowMs += waitMs;
          liveness.begin(nowMs);
          const acts = [
            () => liveness.connected(node, nowMs),
            () => liveness.disconnected(node, nowMs),
            () => liveness.heard(node, nowMs),
            () => liveness.beacon({ node, incarnation: 1 + (waitMs % 3), ageMs: waitMs, intervalMs: 1_000 }, nowMs),
            () => liveness.depart(node),
            () => liveness.unreachable(node, nowMs),
          ];
          acts[kind]?.();
          if (kind >= acts.length) {
            sequence += 1;
            const accuser = nodeNumber(1 + (waitMs % 12));
            const cause = kind === 6 ? 'closed' : 'silent';
            liveness.accused(
              { accuser, incarnation: 1, sequence, target: node, targetIncarnation: 1 + (waitMs % 3), cause, ageMs: 0 },
              nowMs,
            );
          }
          liveness.check(nowMs);
          assert.ok(liveness.nextMs() > nowMs);
          liveness.expect(liveness.nextMs());
          for (const event of liveness.drain())
            if (event.type === 'accuse') assert.ok(Number.isSafeInteger(event.evidenceAgeMs));
        }
      }),
    );
  });
});
