import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { Cuts } from '../../../simulations/network/cuts.ts';
import { CONNECTION_TIMEOUT_MS } from '../../../simulations/network/flow.ts';
import { Lab } from './lab.ts';

describe('cuts', () => {
  it('may overlap and end in any order', () => {
    const nodes = fc.uniqueArray(fc.nat(5), { maxLength: 4 });
    fc.assert(
      fc.property(fc.array(fc.tuple(nodes, nodes, fc.boolean()), { maxLength: 8 }), (plan) => {
        const cuts = new Cuts(6);
        const undos = plan.map(([from, to]) => cuts.cut(from, to));
        for (const [index, [, , ends]] of plan.entries())
          if (ends) {
            undos[index]?.();
            undos[index]?.();
          }
        for (let from = 0; from < 6; from += 1)
          for (let to = 0; to < 6; to += 1) {
            const isCut = plan.some(
              ([sources, targets, ends]) => !ends && sources.includes(from) && targets.includes(to),
            );
            assert.equal(cuts.passes(from, to), !isCut);
          }
      }),
    );
  });

  it('refuse nodes that are none', () => {
    assert.throws(() => new Cuts(3).cut([1], [9]), /nodes of this network/);
  });
});

describe('a cut network', () => {
  it('holds up both directions, and delivers everything in order when it is whole again', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    const undos = [lab.network.cut([0], [1]), lab.network.cut([1], [0])];
    lab.stream(near, 300, 10);
    lab.stream(far, 300, 10);
    lab.runFor(10_000);
    assert.deepEqual([lab.received(0), lab.received(1), lab.network.canTalk(0, 1)], [[], [], false]);
    for (const undo of undos) undo();
    lab.runFor(20_000);
    assert.equal(lab.received(0).length, 10);
    assert.deepEqual(lab.received(1), lab.received(0));
    assert.equal(lab.network.canTalk(0, 1), true);
  });

  it('times out at both ends when both send for a minute', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    lab.network.cut([0], [1]);
    lab.network.cut([1], [0]);
    lab.stream(near, 500, 100);
    lab.stream(far, 500, 100);
    lab.runFor(CONNECTION_TIMEOUT_MS + 1_000);
    assert.deepEqual([lab.closed(0), lab.closed(1)], [['timed out'], ['timed out']]);
  });

  it('that lets nothing back passes data for about one timer, and then stalls both directions', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    const startMs = lab.queue.nowMs;
    const undo = lab.network.cut([1], [0]);
    lab.stream(near, 100, 50);
    lab.stream(far, 100, 50);
    lab.runFor(10_000);
    const through = lab.of(1, 'received');
    assert.ok(through.length >= 3 && through.length <= 5, `${through.length} messages passed`);
    assert.ok((through.at(-1)?.atMs ?? 0) - startMs < 600);
    assert.deepEqual(lab.received(0), []);
    assert.ok(lab.network.bufferedBytes(0) === 5_000, 'nothing was acknowledged');
    assert.equal(lab.network.canTalk(0, 1), false);
    undo();
    lab.runFor(20_000);
    assert.equal(lab.received(0).length, 50);
    assert.deepEqual(lab.received(1), lab.received(0));
    assert.deepEqual([lab.closed(0), lab.closed(1), lab.network.bufferedBytes(0)], [[], [], 0]);
  });

  it('that let nothing back for a moment is forgotten when it is over', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    const undo = lab.network.cut([1], [0]);
    lab.send(near, 'a');
    lab.runFor(100);
    undo();
    lab.send(near, 'b');
    lab.runFor(100);
    assert.equal(lab.network.bufferedBytes(0), 0);
    lab.runFor(3 * CONNECTION_TIMEOUT_MS);
    assert.equal(near.open, true);
  });

  it('that let nothing back for longer than a timer is forgotten too, though nothing more is sent', () => {
    const lab = new Lab();
    const [near] = lab.connect(0, 1);
    const undo = lab.network.cut([1], [0]);
    lab.send(near, 'a');
    lab.runFor(5_000);
    undo();
    lab.runFor(3 * CONNECTION_TIMEOUT_MS);
    assert.deepEqual([lab.received(1), near.open, lab.network.bufferedBytes(0)], [['a'], true, 0]);
  });

  it('that lets nothing back leaves nothing in the buffer of one whose other end closed', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    lab.network.cut([1], [0]);
    lab.send(far, 'stuck');
    lab.network.close(near);
    lab.runFor(100);
    assert.deepEqual([lab.closed(1), lab.network.bufferedBytes(1)], [['closed by the other end'], 0]);
  });

  it('that lets nothing back times out at both ends', () => {
    const lab = new Lab();
    const [near, far] = lab.connect(0, 1);
    lab.network.cut([1], [0]);
    lab.send(near, 'arrives');
    lab.send(far, 'does not');
    lab.runFor(CONNECTION_TIMEOUT_MS + 1_000);
    assert.deepEqual([lab.received(1), lab.received(0)], [['arrives'], []]);
    assert.deepEqual([lab.closed(0), lab.closed(1)], [['timed out'], ['timed out']]);
  });

  it('is whole after a rebinding, but no old connection carries anything', () => {
    const lab = new Lab({ nodes: 3 });
    const [near, far] = lab.connect(0, 1);
    const [other] = lab.connect(2, 1);
    lab.network.rebind(0);
    lab.send(near, 'x');
    lab.send(far, 'y');
    lab.send(other, 'z');
    lab.runFor(CONNECTION_TIMEOUT_MS - 1_000);
    assert.deepEqual([lab.received(0), lab.received(1), lab.closed(0), lab.closed(1)], [[], ['z'], [], []]);
    const [again] = lab.connect(0, 1);
    lab.send(again, 'new');
    lab.runFor(5_000);
    assert.deepEqual([lab.received(1), lab.closed(0), lab.closed(1)], [['z', 'new'], ['timed out'], ['timed out']]);
    assert.equal(lab.network.isConnected(0, 1), true);
  });
});

describe('datagrams', () => {
  it('overtake each other, while a connection keeps its order', () => {
    const lab = new Lab({ spec: { jitterMs: 30 } });
    const order: number[] = [];
    for (let index = 0; index < 50; index += 1)
      lab.network.sendDatagram(0, 1, { bytes: 100, deliver: () => void order.push(index) });
    lab.runFor(5_000);
    assert.equal(order.length, 50);
    assert.notDeepEqual(
      order,
      order.toSorted((left, right) => left - right),
    );
  });

  it('arrive twice while either node doubles them, never over a cut, and later at a paused process', () => {
    const lab = new Lab({ nodes: 3 });
    const count = (from: number, to: number): number => {
      let arrived = 0;
      lab.network.sendDatagram(from, to, { bytes: 100, deliver: () => void (arrived += 1) });
      lab.runFor(100);
      if (arrived === 0) lab.network.resume(to);
      lab.runFor(100);
      return arrived;
    };
    const undo = lab.network.duplicate(1);
    assert.deepEqual([count(0, 1), count(1, 2), count(0, 2)], [2, 2, 1]);
    undo();
    undo();
    assert.equal(count(0, 1), 1);
    lab.network.pause(2);
    assert.equal(count(0, 2), 1);
    lab.network.suspend(2);
    assert.equal(count(0, 2), 0);
    lab.network.cut([0], [1]);
    assert.deepEqual([count(0, 1), count(1, 0)], [0, 1]);
  });
});
