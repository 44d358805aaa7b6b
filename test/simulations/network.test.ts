import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { CONNECTION_TIMEOUT_MS, SEND_BUFFER_BYTES_MAX } from '../../simulations/network/flow.ts';
import { Lab } from './network/lab.ts';

/** One way in a lab without anything else. */
const ONE_WAY_MS = 50;

function ascending(values: readonly number[]): boolean {
  return values.every((value, index) => index === 0 || value >= (values[index - 1] ?? 0));
}

/** From sending to arriving; the payload is the moment of sending. */
function delays(lab: Lab, node: number): readonly number[] {
  return lab.of(node, 'received').map(({ atMs, detail }) => atMs - Number(detail));
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((left, right) => left - right)[Math.floor((values.length - 1) * share)] ?? Number.NaN;
}

describe('a connection on a clean network', () => {
  it('delivers in order, one way later', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    const startMs = lab.queue.nowMs;
    for (const text of ['a', 'b', 'c']) assert.equal(lab.send(near, text), true);
    lab.send(far, 'back');
    lab.runFor(1_000);
    assert.deepEqual(lab.received(1), ['a', 'b', 'c']);
    assert.deepEqual(lab.received(0), ['back']);
    const [first] = lab.of(1, 'received');
    assert.equal(first?.atMs, startMs + ONE_WAY_MS + 1);
  });

  it('knows both ends', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    const ofNear = { local: 0, remote: 1, dialled: true, path: 'direct', open: true };
    const ofFar = { local: 1, remote: 0, dialled: false, path: 'direct', open: true };
    const fields = ({ local, remote, dialled, path, open }: typeof near): object => ({
      local,
      remote,
      dialled,
      path,
      open,
    });
    assert.deepEqual([fields(near), fields(far)], [ofNear, ofFar]);
    assert.equal(lab.network.isConnected(1, 0), true);
  });

  it('draws the base delay of a pair once, within its range, and jitter on top of it', () => {
    const spec = { delayMsMin: 20, delayMsMax: 80, jitterMs: 5 };
    const bases: number[] = [];
    for (let other = 1; other < 20; other += 1) {
      const lab = new Lab({ nodes: 20, spec });
      const [near, far] = lab.connect(0, other);
      lab.stream(near, 40, 300);
      lab.stream(far, 40, 300);
      lab.runFor(20_000);
      const [there, back] = [delays(lab, other), delays(lab, 0)];
      const baseMs = Math.min(...there);
      bases.push(baseMs);
      assert.ok(baseMs >= 20 && baseMs <= 82, `base ${baseMs}`);
      assert.ok(Math.abs(Math.min(...back) - baseMs) <= 1, 'the same in both directions');
      const mean = there.reduce((sum, one) => sum + one, 0) / there.length;
      // 5 ms of jitter, half a ms for the rounding.
      assert.ok(mean - baseMs > 3.5 && mean - baseMs < 8, `mean jitter ${mean - baseMs}`);
    }
    assert.ok(Math.max(...bases) - Math.min(...bases) > 30, 'pairs differ');
  });

  it('waits for the uplink, and shares it between connections', () => {
    const lab = new Lab({ nodes: 3, spec: { bytesPerSecond: 100_000, queueMs: 1_000 } });
    const [toOne] = lab.connect(0, 1);
    const [toTwo] = lab.connect(0, 2);
    const startMs = lab.queue.nowMs;
    lab.send(toOne, 'long', 50_000);
    lab.send(toTwo, 'short', 100);
    lab.runFor(2_000);
    assert.equal(lab.of(1, 'received')[0]?.atMs, startMs + 500 + ONE_WAY_MS);
    assert.equal(lab.of(2, 'received')[0]?.atMs, startMs + 501 + ONE_WAY_MS);
  });

  it('delivers all in order when it sends more than the queue of the uplink holds', () => {
    const lab = new Lab({ spec: { bytesPerSecond: 100_000, queueMs: 100 } });
    const [near] = lab.connect(0, 1);
    const sent = Array.from({ length: 60 }, (_, index) => `${index}`);
    const startMs = lab.queue.nowMs;
    for (const text of sent) lab.send(near, text, 5_000);
    lab.runFor(30_000);
    assert.deepEqual(lab.received(1), sent);
    const lastMs = (lab.of(1, 'received').at(-1)?.atMs ?? 0) - startMs;
    assert.ok(lastMs >= 3_000 && lastMs < 9_000, `300 kB at 100 kB/s took ${lastMs} ms`);
  });

  it('counts what is not acknowledged, for each node', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    lab.send(near, 'a', 700);
    lab.send(near, 'b', 300);
    assert.deepEqual([lab.network.bufferedBytes(0), lab.network.bufferedBytes(1)], [1_000, 0]);
    lab.runFor(100);
    assert.equal(lab.network.bufferedBytes(0), 0);
  });

  for (const [bytes, expected] of [
    [SEND_BUFFER_BYTES_MAX, true],
    [SEND_BUFFER_BYTES_MAX + 1, false],
  ] as const)
    it(`${expected ? 'takes' : 'breaks at'} ${bytes} unacknowledged bytes`, () => {
      const lab = new Lab();
      const [near] = lab.connect(0, 1);
      lab.send(near, 'first', 1_000);
      assert.equal(lab.send(near, 'rest', bytes - 1_000), expected);
      assert.equal(near.open, expected);
      lab.runFor(1_000);
      assert.deepEqual(lab.closed(0), expected ? [] : ['send buffer full']);
      assert.deepEqual(lab.closed(1), expected ? [] : ['reset by the other end']);
      assert.deepEqual(lab.received(1), expected ? ['first', 'rest'] : ['first']);
      assert.equal(lab.network.bufferedBytes(0), 0);
    });
});

describe('the end of a connection', () => {
  it('comes behind what was sent, and only the other end hears of it', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    lab.send(near, 'last words');
    lab.network.close(near);
    assert.equal(lab.send(near, 'too late'), false);
    assert.equal(lab.network.isConnected(0, 1), false);
    assert.equal(far.open, true);
    lab.runFor(1_000);
    assert.deepEqual(lab.received(1), ['last words']);
    assert.deepEqual([lab.closed(0), lab.closed(1)], [[], ['closed by the other end']]);
    assert.equal(far.open, false);
  });

  it('is heard by neither when both close at once', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    lab.network.close(near);
    lab.network.close(far);
    lab.runFor(100_000);
    assert.deepEqual([lab.closed(0), lab.closed(1)], [[], []]);
  });

  it('reaches all peers one way after a process died', () => {
    const lab = new Lab({ nodes: 3 });
    lab.connect(0, 2);
    const [near] = lab.connect(1, 2);
    const diedMs = lab.queue.nowMs;
    lab.network.detach(2, 'reset');
    assert.equal(lab.send(near, 'to nobody'), true);
    lab.runFor(1_000);
    for (const node of [0, 1]) {
      assert.deepEqual(lab.closed(node), ['reset by the other end']);
      const delayMs = (lab.of(node, 'closed')[0]?.atMs ?? 0) - diedMs;
      assert.ok(delayMs >= ONE_WAY_MS && delayMs <= ONE_WAY_MS + 1);
    }
    assert.deepEqual(lab.closed(2), []);
  });

  it('is a reset after a round trip for one who sends to a process that died unseen', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    const undo = lab.network.cut([1], [0]);
    lab.network.detach(1, 'reset');
    lab.runFor(5_000);
    undo();
    assert.equal(near.open, true);
    const sentMs = lab.queue.nowMs;
    lab.send(near, 'hello?');
    lab.runFor(1_000);
    assert.deepEqual(lab.closed(0), ['reset by the other end']);
    const delayMs = (lab.of(0, 'closed')[0]?.atMs ?? 0) - sentMs;
    assert.ok(delayMs >= 2 * ONE_WAY_MS && delayMs <= 2 * ONE_WAY_MS + 3, `${delayMs} ms`);
  });

  it('is not heard at all by one who sends nothing to a machine without power', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    lab.network.detach(1, 'silent');
    lab.runFor(10 * CONNECTION_TIMEOUT_MS);
    assert.deepEqual([lab.closed(0), near.open, lab.network.isConnected(0, 1)], [[], true, false]);
  });

  it('is a time-out for one who sends to a machine without power', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    lab.network.detach(1, 'silent');
    lab.send(near, 'hello?');
    lab.runFor(CONNECTION_TIMEOUT_MS);
    assert.deepEqual(lab.closed(0), []);
    lab.runFor(ONE_WAY_MS + 1);
    assert.deepEqual([lab.closed(0), lab.network.bufferedBytes(0)], [['timed out'], 0]);
  });

  it('is a reset for one who goes on sending when the machine is back with another process', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    lab.network.detach(1, 'silent');
    lab.send(near, 'hello?');
    lab.runFor(20_000);
    lab.forget();
    lab.start(1);
    lab.runFor(40_000);
    assert.deepEqual([lab.closed(0), lab.received(1), lab.closed(1)], [['reset by the other end'], [], []]);
  });

  it('does not take words with it that travelled when the machine went dark', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    lab.send(near, 'on its way');
    lab.network.detach(0, 'silent');
    lab.runFor(1_000);
    assert.deepEqual([lab.received(1), lab.closed(1)], [['on its way'], []]);
  });
});

describe('a network with losses', () => {
  const lossy = { loss: 0.2, jitterMs: 3, delayMsMin: 20, delayMsMax: 80 };

  it('never reorders and never drops on a live connection, whatever the losses and the sending', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.string(),
          loss: fc.double({ min: 0.01, max: 0.3, noNaN: true }),
          queueMs: fc.constantFrom(5, 200),
          gapsMs: fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 60 }),
          bytes: fc.constantFrom(100, 3_000, 20_000),
        }),
        ({ seed, loss, queueMs, gapsMs, bytes }) => {
          const lab = new Lab({ seed, spec: { ...lossy, loss, queueMs, bytesPerSecond: 500_000 } });
          const [near] = lab.connect(0, 1);
          const sent = gapsMs.map((gapMs, index) => {
            lab.runFor(gapMs);
            assert.equal(lab.send(near, `${index}`, bytes), true);
            return `${index}`;
          });
          lab.runFor(300_000);
          assert.deepEqual(lab.received(1), sent);
          assert.equal(lab.network.bufferedBytes(0), 0);
          assert.equal(near.open, true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('turns 20 % of loss into bursts of delay', () => {
    const lab = new Lab({ spec: lossy });
    const [near] = lab.connect(0, 1);
    lab.stream(near, 100, 10_000);
    lab.runFor(1_100_000);
    const all = delays(lab, 1);
    assert.equal(all.length, 10_000);
    assert.ok(ascending(lab.of(1, 'received').map(({ detail }) => Number(detail))), 'in order');
    assert.ok(quantile(all, 0.25) < 90, `a quarter is undisturbed: ${quantile(all, 0.25)}`);
    assert.ok(quantile(all, 0.9) > 250, `a tenth waits for a retransmission: ${quantile(all, 0.9)}`);
    assert.ok(quantile(all, 0.99) > 600 && quantile(all, 0.99) < 10_000, `p99 ${quantile(all, 0.99)}`);
    const late = all.map((delayMs) => delayMs > 250);
    const afterLate = late.filter((_, index) => index > 0 && late[index - 1] === true);
    const share = afterLate.filter(Boolean).length / afterLate.length;
    assert.ok(share > 0.4, `late ones come together: ${share}`);
  });

  it('recovers faster when more is sent behind a lost message', () => {
    const waits = [20, 1_000].map((everyMs) => {
      const lab = new Lab({ spec: { loss: 0.1, lossBurstMs: 20 } });
      const [near] = lab.connect(0, 1);
      lab.stream(near, everyMs, 4_000);
      lab.runFor(4_100_000);
      const all = delays(lab, 1);
      // The first of each row of late ones is the one that was lost.
      return quantile(
        all.filter((delayMs, index) => delayMs > 100 && (all[index - 1] ?? 0) <= 100),
        0.5,
      );
    });
    // Fast: about three times the way; by the timer: 200 ms, a round trip, and the way.
    assert.ok((waits[0] ?? 0) < 300 && (waits[1] ?? 0) >= 350, `${waits.join(' and ')} ms`);
  });

  it('loses about what it is told to, for datagrams', () => {
    const lab = new Lab({ spec: { loss: 0.1 } });
    let arrived = 0;
    for (let index = 0; index < 50_000; index += 1) {
      lab.runFor(40);
      lab.network.sendDatagram(0, 1, { bytes: 100, deliver: () => void (arrived += 1) });
    }
    lab.runFor(1_000);
    const lost = 1 - arrived / 50_000;
    // Two last miles of 10 % each.
    assert.ok(Math.abs(lost - 0.19) < 0.02, `lost ${lost}`);
  });

  it('delivers again what a worse last mile held up, when it is undone', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    const undo = lab.network.worsen(1, { loss: 1 });
    lab.send(near, 'late');
    lab.runFor(10_000);
    assert.deepEqual(lab.received(1), []);
    undo();
    undo();
    lab.runFor(20_000);
    assert.deepEqual(lab.received(1), ['late']);
  });

  it('adds delays and takes the narrowest bandwidth of all faults that last', () => {
    const lab = new Lab({ spec: { bytesPerSecond: 1_000_000 } });
    const [near] = lab.connect(0, 1);
    const delayOf = (): number => {
      lab.forget();
      const sentMs = lab.queue.nowMs;
      lab.send(near, 'x', 10_000);
      lab.runFor(30_000);
      return (lab.of(1, 'received')[0]?.atMs ?? 0) - sentMs;
    };
    assert.equal(delayOf(), 60);
    const undos = [
      lab.network.worsen(0, { addedMs: 100, bytesPerSecond: 10_000 }),
      lab.network.worsen(1, { addedMs: 30 }),
      lab.network.worsen(0, { bytesPerSecond: 100_000 }),
    ];
    assert.equal(delayOf(), 50 + 130 + 1_000);
    undos[0]?.();
    assert.equal(delayOf(), 50 + 30 + 100);
    for (const undo of undos) undo();
    assert.equal(delayOf(), 60);
  });

  it('does the same twice with one seed, and something else with another', () => {
    const run = (seed: string): string => {
      const lab = new Lab({ seed, nodes: 4, spec: lossy });
      const pairs = [
        [0, 1],
        [2, 1],
        [3, 0],
      ] as const;
      for (const [from, to] of pairs) {
        const [near, far] = lab.connect(from, to);
        lab.stream(near, 50, 200);
        lab.stream(far, 70, 150);
      }
      lab.queue.at(lab.queue.nowMs + 2_000, () => void lab.network.cut([1], [0]));
      lab.queue.at(lab.queue.nowMs + 3_000, () => lab.network.suspend(2));
      lab.queue.at(lab.queue.nowMs + 9_000, () => lab.network.resume(2));
      lab.runFor(100_000);
      return JSON.stringify(lab.heard);
    };
    assert.equal(run('one'), run('one'));
    assert.notEqual(run('one'), run('two'));
  });

  it('leaves other pairs alone when one pair sends more', () => {
    const run = (extra: number): string => {
      const lab = new Lab({ nodes: 4, spec: lossy });
      const [busy] = lab.connect(2, 3);
      const [near] = lab.connect(0, 1);
      const startMs = 20_000;
      lab.queue.run(startMs);
      lab.stream(busy, 10, extra);
      lab.stream(near, 50, 200);
      lab.runFor(100_000);
      return JSON.stringify(lab.heard[1]?.filter(({ what }) => what === 'received'));
    };
    assert.equal(run(10), run(900));
  });
});
