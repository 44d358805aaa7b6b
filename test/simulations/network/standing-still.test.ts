import assert from 'node:assert/strict';
import { CONNECTION_TIMEOUT_MS } from '../../../simulations/network/flow.ts';
import { Lab } from './lab.ts';

describe('a paused process', () => {
  it('gets all that came meanwhile in one burst, in order, when it goes on', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    lab.network.pause(1);
    lab.stream(near, 500, 20);
    lab.runFor(15_000);
    assert.deepEqual([lab.received(1), lab.network.bufferedBytes(0)], [[], 0]);
    lab.network.resume(1);
    const goesOnMs = lab.queue.nowMs;
    lab.runFor(1);
    const heard = lab.of(1, 'received');
    assert.equal(heard.length, 20);
    assert.ok(heard.every(({ atMs }) => atMs === goesOnMs));
    assert.deepEqual(
      heard.map(({ detail }) => Number(detail)),
      heard.map(({ detail }) => Number(detail)).toSorted((left, right) => left - right),
    );
  });

  it('hears of an end behind the data that came before it', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    lab.forget();
    lab.network.pause(1);
    lab.send(near, 'goodbye');
    lab.network.close(near);
    lab.runFor(5_000);
    lab.network.resume(1);
    lab.runFor(1);
    assert.deepEqual(
      lab.heard[1]?.map(({ what, detail }) => `${what} ${detail}`),
      ['received goodbye', 'closed closed by the other end'],
    );
  });

  it('stops taking where it is paused again in the middle of the burst', () => {
    const lab = new Lab();
    lab.network.detach(1, 'silent');
    lab.start(1, { received: (_, payload) => (payload === 'b' ? lab.network.pause(1) : undefined) });
    const [near] = lab.connect(0, 1);
    lab.network.pause(1);
    for (const text of ['a', 'b', 'c', 'd']) lab.send(near, text);
    lab.runFor(1_000);
    lab.network.resume(1);
    lab.send(near, 'e');
    lab.runFor(1_000);
    assert.deepEqual(lab.received(1), ['a', 'b']);
    lab.network.resume(1);
    lab.runFor(1_000);
    assert.deepEqual(lab.received(1), ['a', 'b', 'c', 'd', 'e']);
  });

  it('gets what arrives at the moment when it goes on behind what waited', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    const startMs = lab.queue.nowMs;
    lab.network.pause(1);
    lab.queue.at(startMs + 151, () => lab.network.resume(1));
    lab.send(near, 'waited');
    lab.runFor(100);
    lab.send(near, 'just in time');
    lab.runFor(52);
    assert.deepEqual(
      lab.of(1, 'received').map(({ atMs, detail }) => `${atMs - startMs} ${detail}`),
      ['151 waited', '151 just in time'],
    );
  });

  it('finds nothing when it ends before it goes on', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    lab.network.pause(1);
    lab.send(near, 'x');
    lab.runFor(1_000);
    lab.network.detach(1, 'reset');
    lab.network.resume(1);
    lab.runFor(1_000);
    assert.deepEqual([lab.received(1), lab.closed(0)], [[], ['reset by the other end']]);
  });

  it('makes its sender wait when a mebibyte lies in its kernel, loses nothing of it, and breaks nothing', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    lab.network.pause(1);
    const sent = Array.from({ length: 30 }, (_, index) => `${index}`);
    for (const text of sent) {
      assert.equal(lab.send(near, text, 50_000), true);
      lab.runFor(100);
    }
    assert.ok(lab.network.bufferedBytes(0) >= 400_000, `${lab.network.bufferedBytes(0)} bytes wait`);
    lab.runFor(5 * CONNECTION_TIMEOUT_MS);
    assert.equal(near.open, true);
    lab.network.resume(1);
    lab.runFor(500);
    assert.deepEqual([lab.received(1), lab.network.bufferedBytes(0)], [sent, 0]);
  });

  it('breaks the connection of one who sends on and on', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    lab.network.pause(1);
    let sent = 0;
    while (lab.send(near, 'x', 50_000) && sent < 1_000) {
      sent += 1;
      lab.runFor(100);
    }
    lab.runFor(1_000);
    assert.deepEqual(lab.closed(0), ['send buffer full']);
    // A mebibyte here and one there, give or take a message.
    assert.ok(sent >= 40 && sent <= 43, `${sent} messages`);
  });
});

describe('a sleeping machine', () => {
  for (const sleptMs of [3_000, CONNECTION_TIMEOUT_MS - 1_000])
    it(`loses nothing of its connections in ${sleptMs} ms`, () => {
      const lab = new Lab();
      const [near, far] = lab.connect(0, 1);
      lab.send(near, 'on the way when the lid closed');
      lab.send(far, 'on the way to the other');
      lab.network.suspend(1);
      lab.runFor(1_000);
      lab.send(near, 'to one who sleeps');
      lab.runFor(sleptMs - 1_000);
      assert.deepEqual([lab.received(1), lab.received(0)], [[], ['on the way to the other']]);
      lab.network.resume(1);
      lab.runFor(2_000);
      lab.send(far, 'awake again');
      lab.runFor(10_000);
      assert.deepEqual(lab.received(1), ['on the way when the lid closed', 'to one who sleeps']);
      assert.deepEqual(lab.received(0), ['on the way to the other', 'awake again']);
      assert.equal(lab.network.isConnected(0, 1), true);
    });

  it('is given up by one who sends to it for longer than the time limit, and learns of it when it sends', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    lab.network.suspend(1);
    lab.send(near, 'x');
    lab.runFor(CONNECTION_TIMEOUT_MS + 1_000);
    assert.deepEqual([lab.closed(0), far.open], [['timed out'], true]);
    lab.network.resume(1);
    lab.runFor(5_000);
    assert.deepEqual(lab.closed(1), []);
    lab.send(far, 'did I miss anything?');
    lab.runFor(1_000);
    assert.deepEqual([lab.closed(1), lab.received(1)], [['reset by the other end'], []]);
  });

  it('keeps a connection over which nobody sends, however long it sleeps', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    lab.network.suspend(1);
    lab.runFor(8 * 3_600_000);
    lab.network.resume(1);
    lab.send(near, 'good morning');
    lab.runFor(1_000);
    assert.deepEqual([lab.received(1), far.open], [['good morning'], true]);
  });

  it('does not count its sleep as silence of the others', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    const undo = lab.network.cut([0], [1]);
    lab.send(near, 'x');
    lab.runFor(30_000);
    lab.network.suspend(0);
    lab.runFor(600_000);
    lab.network.resume(0);
    lab.runFor(20_000);
    assert.equal(near.open, true);
    undo();
    lab.runFor(15_000);
    assert.deepEqual([lab.received(1), near.open], [['x'], true]);
  });

  it('hears nothing of a reset that came while it slept, until it sends', () => {
    const lab = new Lab();
    const [, far] = lab.connect(0, 1);
    lab.network.suspend(1);
    lab.network.detach(0, 'reset');
    lab.runFor(10_000);
    lab.network.resume(1);
    lab.runFor(10_000);
    assert.deepEqual([lab.closed(1), far.open], [[], true]);
    lab.send(far, 'anybody there?');
    lab.runFor(1_000);
    assert.deepEqual(lab.closed(1), ['reset by the other end']);
  });

  for (const [afterMs, expected] of [
    [37_000, []],
    [39_000, ['waits']],
  ] as const)
    it(`has got ${expected.length} messages after ${afterMs} ms when the sender tries ever less often`, () => {
      const lab = new Lab();
      const [near] = lab.connect(0, 1);
      lab.network.suspend(1);
      lab.send(near, 'waits');
      lab.runFor(20_000);
      lab.network.resume(1);
      lab.runFor(afterMs - 20_000);
      assert.deepEqual(lab.received(1), expected);
    });

  it('gets what waited soon after it is heard again, not when the doubled timer fires', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    lab.network.suspend(1);
    lab.send(near, 'waits');
    // Retries after 0.35, 0.95, 2.15, 4.55, 9.35 and 18.95 s; the next would be after 38 s.
    lab.runFor(20_000);
    lab.network.resume(1);
    lab.send(far, 'back again');
    lab.runFor(1_000);
    assert.deepEqual(lab.received(1), ['waits']);
  });
});
