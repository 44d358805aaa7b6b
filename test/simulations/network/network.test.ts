import assert from 'node:assert/strict';
import { CONNECTION_TIMEOUT_MS, SEND_BUFFER_BYTES_MAX } from '../../../simulations/network/flow.ts';
import { Lab } from './lab.ts';

/** One way in a lab without anything else. */
const ONE_WAY_MS = 50;

/** From sending to arriving; the payload is the moment of sending. */
function delays(lab: Lab, node: number): readonly number[] {
  return lab.of(node, 'received').map(({ atMs, detail }) => atMs - Number(detail));
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
