import assert from 'node:assert/strict';
import { HEALTH } from '../../src/discovery/path-health.ts';
import { LADDER, PathLadder } from '../../src/discovery/path-ladder.ts';
import { PATH_KINDS } from '../../src/discovery/transports.ts';
import { ATTEMPTS } from '../../src/discovery/upgrade-attempts.ts';
import { Prng } from '../../src/prng.ts';
import { ADDRESS, Bench } from './ladder-bench.ts';

function preferredOf(bench: Bench): string | undefined {
  return bench.last.preferred;
}

describe('the paths to a node', () => {
  it('are used in the order of their kinds, whatever came first', () => {
    for (const [better, worse] of PATH_KINDS.flatMap((kind, index) =>
      PATH_KINDS.slice(index + 1).map((other) => [kind, other] as const),
    )) {
      const upward = new Bench();
      upward.opened('worse', worse);
      upward.pass(3_000);
      upward.opened('better', better);
      upward.pass(3_000);
      assert.equal(upward.last.preferred, 'better', `${worse}, then ${better}`);
      const downward = new Bench();
      downward.opened('better', better);
      downward.opened('worse', worse);
      downward.pass(5_000);
      assert.equal(downward.last.preferred, 'better', `${better}, then ${worse}`);
    }
  });

  it('serve at once: the first that is believed is preferred with its opening', () => {
    for (const { kind, preferred } of [
      { kind: 'relayed', preferred: 'one' },
      { kind: 'tcp', preferred: 'one' },
      { kind: 'webrtc', preferred: undefined },
    ] as const) {
      const bench = new Bench();
      assert.equal(bench.opened('one', kind).preferred, preferred, kind);
    }
  });

  it('greeted over a relay are believed after their first sign of life only', () => {
    const bench = new Bench();
    bench.opened('relayed', 'relayed');
    bench.opened('hole', 'webrtc');
    bench.alive.delete('hole');
    bench.pass(LADDER.believeMs - 1);
    assert.equal(bench.last.preferred, 'relayed');
    assert.deepEqual(bench.closes, []);
    bench.pass(1);
    assert.deepEqual(
      bench.closes.map(({ path, reason }) => ({ path, reason })),
      [{ path: 'hole', reason: 'open, and never heard' }],
    );
    const heard = new Bench();
    heard.opened('relayed', 'relayed');
    heard.opened('hole', 'webrtc');
    heard.step({ type: 'path-heard', path: 'hole' });
    assert.equal(heard.last.preferred, 'relayed', 'one sign of life is no steady path');
    heard.nowMs += HEALTH.settleMs;
    assert.equal(heard.step({ type: 'woke' }).preferred, 'hole');
  });

  it('are left at once when they fall silent beside one that is heard', () => {
    for (const { busy, beatMs } of [
      { busy: true, beatMs: LADDER.beatMs },
      { busy: false, beatMs: LADDER.idleBeatMs },
    ]) {
      const bench = new Bench();
      bench.opened('relayed', 'relayed');
      bench.opened('direct', 'tcp');
      bench.step({ type: 'busy', busy });
      bench.pass(10 * beatMs);
      assert.equal(bench.last.preferred, 'direct');
      bench.opened('standby', 'relayed');
      bench.step({ type: 'path-heard', path: 'direct' });
      bench.alive.delete('direct');
      bench.pass(HEALTH.beatsMissed * beatMs - 1);
      assert.equal(bench.last.preferred, 'direct');
      bench.pass(1);
      assert.notEqual(bench.last.preferred, 'direct', `after ${HEALTH.beatsMissed} beats of ${beatMs} ms`);
    }
  });

  it('are not left when all are silent: then nothing is known of any of them', () => {
    const bench = new Bench();
    bench.opened('relayed', 'relayed');
    bench.opened('direct', 'tcp');
    bench.pass(3_000);
    bench.alive.clear();
    bench.pass(60_000);
    assert.equal(bench.last.preferred, 'direct');
    assert.deepEqual(
      bench.closes.filter(({ path }) => path === 'direct'),
      [],
    );
  });

  it('are not silent for a time in which this process stood still', () => {
    const bench = new Bench();
    bench.opened('relayed', 'relayed');
    bench.opened('direct', 'tcp');
    bench.step({ type: 'busy', busy: true });
    bench.pass(3_000);
    bench.nowMs += 4_000;
    bench.step({ type: 'path-heard', path: 'relayed' });
    assert.equal(bench.last.preferred, 'direct');
  });

  it('that come back are trusted later each time', () => {
    const bench = new Bench();
    bench.opened('relayed', 'relayed');
    bench.opened('direct', 'lan');
    bench.step({ type: 'busy', busy: true });
    bench.pass(2_000);
    const back: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      bench.alive.delete('direct');
      bench.pass(2_000);
      assert.equal(bench.last.preferred, 'relayed');
      bench.alive.add('direct');
      const sinceMs = bench.nowMs;
      while (preferredOf(bench) !== 'direct' && bench.nowMs < sinceMs + 100_000) bench.pass(100);
      back.push(Math.round((bench.nowMs - sinceMs) / 1_000));
    }
    assert.ok(back[0] !== undefined && back[0] >= 3 && back[0] <= 4, back.join());
    for (const [index, seconds] of back.entries())
      if (index > 0) assert.ok(seconds > (back[index - 1] ?? 0), back.join());
  });

  it('of one kind change places only when one is much quicker', () => {
    for (const { rttMs, preferred } of [
      { rttMs: 71, preferred: 'first' },
      { rttMs: 69, preferred: 'second' },
    ]) {
      const bench = new Bench(false);
      bench.opened('first', 'relayed', 100);
      bench.pass(1_000);
      bench.opened('second', 'relayed', rttMs);
      bench.pass(1_000);
      assert.equal(bench.last.preferred, preferred, `${rttMs} ms`);
    }
    const near = new Bench(false);
    near.opened('first', 'lan', 20);
    near.opened('second', 'lan', 1);
    near.pass(2_000);
    assert.equal(near.last.preferred, 'first', 'a share of little is nothing');
  });
});

describe('a better path to a node', () => {
  it('is dialled by the smaller id at once, one kind of a family after the other', () => {
    const bench = new Bench();
    bench.know(...Object.values(ADDRESS));
    bench.opened('relayed', 'relayed');
    assert.deepEqual(
      bench.dials.map(({ kind }) => kind),
      ['lan', 'webrtc-direct'],
    );
    bench.step({ type: 'dial-ended', kind: 'lan', reached: false });
    bench.step({ type: 'dial-ended', kind: 'webrtc-direct', reached: false });
    assert.deepEqual(
      bench.dials.map(({ kind }) => kind),
      ['lan', 'webrtc-direct', 'tcp', 'webrtc'],
    );
  });

  it('is left to the smaller id by the other, for a while', () => {
    const bench = new Bench(false);
    bench.know(ADDRESS.relayed);
    bench.opened('relayed', 'relayed');
    bench.pass(LADDER.otherSideMs - 1);
    assert.deepEqual(bench.dials, []);
    bench.pass(1);
    assert.deepEqual(
      bench.dials.map(({ kind }) => kind),
      ['webrtc'],
    );
  });

  it('is not dialled where there is no path at all, or no address', () => {
    const bench = new Bench();
    bench.know(...Object.values(ADDRESS));
    bench.pass(60_000);
    assert.deepEqual(bench.dials, []);
    const unknown = new Bench();
    unknown.opened('direct', 'tcp');
    unknown.pass(60_000);
    assert.deepEqual(unknown.dials, []);
    const greeted = new Bench();
    greeted.opened('relayed', 'relayed');
    assert.deepEqual(
      greeted.dials.map(({ kind }) => kind),
      ['webrtc'],
      'a relayed path is all that WebRTC needs',
    );
  });

  it('is tried again later and later, and at once in another network or at a new address', () => {
    const bench = new Bench();
    bench.know(ADDRESS.relayed);
    bench.opened('relayed', 'relayed');
    bench.step({ type: 'dial-ended', kind: 'webrtc', reached: false });
    bench.pass(3_600_000);
    const gaps = bench.dials.slice(1).map(({ atMs }, index) => atMs - (bench.dials[index]?.atMs ?? 0));
    assert.ok(gaps.length >= 6 && gaps.length <= 20, gaps.join());
    assert.ok((gaps[0] ?? 0) < 5_001 && (gaps.at(-1) ?? 0) > 250_000, gaps.join());
    for (const [what, input] of [
      ['network', { type: 'network-changed', isAddressGone: false }],
      ['address', { type: 'addresses-known', addresses: [ADDRESS.relayed, `${ADDRESS.relayed}/p2p/x`] }],
    ] as const) {
      const before = bench.dials.length;
      bench.step(input);
      bench.pass(1_000);
      assert.equal(bench.dials.length, before + 1, what);
    }
  });

  it('by WebRTC is not tried between NATs that cannot, and rarely between kinds that failed', () => {
    for (const { own, remote, dials } of [
      { own: 'endpoint-independent', remote: 'endpoint-independent', dials: 1 },
      { own: 'symmetric', remote: 'endpoint-independent', dials: 0 },
      { own: 'symmetric', remote: 'symmetric', dials: 0 },
      { own: 'symmetric', remote: 'none', dials: 1 },
      { own: 'unknown', remote: 'symmetric', dials: 1 },
    ] as const) {
      const bench = new Bench();
      bench.nats(own, remote);
      bench.know(ADDRESS.relayed);
      bench.opened('relayed', 'relayed');
      assert.equal(bench.dials.length, dials, `${own}, ${remote}`);
    }
    const failed = new Bench();
    failed.nats('endpoint-independent', 'none');
    failed.know(ADDRESS.relayed);
    failed.opened('relayed', 'relayed');
    failed.step({ type: 'dial-ended', kind: 'webrtc', reached: false });
    failed.pass(59_000);
    assert.equal(failed.dials.length, 1, 'the pair is remembered');
    const other = new PathLadder({ isSmaller: true, prng: new Prng('o'), natMemory: failed.natMemory }, failed.nowMs);
    other.step({ type: 'nats-known', own: 'none', remote: 'endpoint-independent' }, failed.nowMs);
    other.step({ type: 'addresses-known', addresses: [ADDRESS.relayed] }, failed.nowMs);
    const path = { id: 'r', kind: 'relayed', isLimited: false, direction: 'inbound', rttMs: 1 } as const;
    assert.deepEqual(other.step({ type: 'path-opened', path }, failed.nowMs).dials, [], 'for other nodes as well');
    failed.natMemory.forget();
    assert.equal(other.step({ type: 'woke' }, failed.nowMs).dials.length, 1);
  });

  it('that is a ghost, or never stays, is dialled ever more rarely', () => {
    const bench = new Bench();
    bench.know(ADDRESS.tcp);
    bench.opened('relayed', 'relayed');
    for (let round = 0; bench.nowMs < 600_000; round += 1) {
      const before = bench.dials.length;
      bench.pass(100, false);
      if (bench.dials.length === before) continue;
      bench.opened(`direct ${round}`, 'tcp');
      bench.step({ type: 'dial-ended', kind: 'tcp', reached: true });
      bench.pass(500);
      bench.closed(`direct ${round}`);
    }
    assert.ok(bench.dials.length >= 4 && bench.dials.length <= 12, `${bench.dials.length} dials in ten minutes`);
  });

  it('frees its place when nobody says how its dial ended', () => {
    const bench = new Bench();
    const overTcp = (): string[] => bench.dials.map(({ kind }) => kind).filter((kind) => kind !== 'webrtc');
    bench.know(ADDRESS.lan, ADDRESS.tcp);
    bench.opened('relayed', 'relayed');
    bench.pass(ATTEMPTS.dialMsMax - 1, false);
    assert.deepEqual(overTcp(), ['lan']);
    bench.pass(1, false);
    assert.deepEqual(overTcp(), ['lan', 'tcp']);
  });
});

describe('what is surplus', () => {
  it('is closed by the smaller id, once it is sure', () => {
    for (const isSmaller of [true, false]) {
      const bench = new Bench(isSmaller);
      bench.opened('relayed', 'relayed');
      bench.opened('direct', 'tcp');
      bench.pass(LADDER.surplusMs - 1);
      assert.deepEqual(bench.closes, []);
      bench.pass(2_000);
      assert.deepEqual(
        bench.closes.map(({ path }) => path),
        isSmaller ? ['relayed'] : [],
      );
    }
  });

  it('is not the relayed path beside WebRTC while requests run, and a while longer', () => {
    const bench = new Bench();
    bench.step({ type: 'busy', busy: true });
    bench.opened('relayed', 'relayed');
    bench.opened('hole', 'webrtc');
    bench.pass(300_000);
    assert.equal(bench.last.preferred, 'hole');
    assert.deepEqual(bench.closes, []);
    bench.step({ type: 'busy', busy: false });
    bench.pass(LADDER.standbyMs - 1);
    assert.deepEqual(bench.closes, []);
    bench.pass(1);
    assert.deepEqual(
      bench.closes.map(({ path }) => path),
      ['relayed'],
    );
    assert.equal(bench.last.beatMs, undefined, 'one path needs no beats of its own');
  });

  it('is fetched again when requests run over WebRTC alone', () => {
    const bench = new Bench();
    bench.know(ADDRESS.relayed);
    bench.opened('hole', 'webrtc');
    bench.pass(10_000);
    assert.deepEqual(bench.dials, []);
    bench.step({ type: 'busy', busy: true });
    assert.deepEqual(
      bench.dials.map(({ kind }) => kind),
      ['relayed'],
    );
  });

  it('goes beyond four paths, the worst first, and nobody can make us keep more than eight', () => {
    for (const { isSmaller, kept } of [
      { isSmaller: true, kept: LADDER.pathsMax },
      { isSmaller: false, kept: 2 * LADDER.pathsMax },
    ]) {
      const bench = new Bench(isSmaller);
      for (let index = 0; index < 20; index += 1) bench.opened(`${index}`, index % 2 === 0 ? 'tcp' : 'webrtc');
      assert.equal(bench.open.size, kept);
      assert.ok(bench.open.has('0'));
    }
  });

  it('is a path that is silent beside another for as long as the mesh waits', () => {
    const bench = new Bench(false);
    bench.step({ type: 'busy', busy: true });
    bench.opened('relayed', 'relayed');
    bench.opened('direct', 'tcp');
    bench.pass(3_000);
    bench.step({ type: 'path-heard', path: 'direct' });
    bench.alive.delete('direct');
    bench.pass(LADDER.deadMs - 1);
    assert.deepEqual(bench.closes, []);
    bench.pass(1);
    assert.deepEqual(
      bench.closes.map(({ path }) => path),
      ['direct'],
    );
  });
});
