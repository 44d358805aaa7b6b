import assert from 'node:assert/strict';
import { RelayChoice } from '../../src/discovery/relay-choice.ts';
import { RelayMeter } from '../../src/discovery/relay-rate.ts';
import { type NodeId, parseNodeId } from '../../src/ids.ts';

function idOf(letter: string): NodeId {
  return parseNodeId(`12D3KooW${letter.repeat(44)}`) ?? assert.fail('not an id');
}

const [A, B, C] = [idOf('A'), idOf('B'), idOf('C')];

describe('the choice of relays', () => {
  it('asks the two nearest', () => {
    const choice = new RelayChoice();
    const candidates = [
      { node: A, rttMs: 30 },
      { node: B, rttMs: 10 },
      { node: C, rttMs: 20 },
    ];
    assert.deepEqual(choice.next(candidates, new Set(), 0), { ask: [B, C], againAtMs: Infinity });
    assert.deepEqual(choice.next(candidates, new Set([A]), 0).ask, [B]);
    assert.deepEqual(
      choice.next(candidates, new Set([A, C]), 0).ask,
      [],
      'a nearer one does not push out those we have',
    );
  });

  it('is the same for equal distances, in whatever order they come', () => {
    const candidates = [A, B, C].map((node) => ({ node, rttMs: 10 }));
    assert.deepEqual(new RelayChoice().next(candidates, new Set(), 0).ask, [A, B]);
    assert.deepEqual(new RelayChoice().next(candidates.toReversed(), new Set(), 0).ask, [A, B]);
  });

  it('asks one that refused again after 2 s, doubling to 2 minutes, and takes others meanwhile', () => {
    const choice = new RelayChoice(1);
    const candidates = [{ node: A, rttMs: 1 }];
    for (const [failures, pauseMs] of [
      [1, 2_000],
      [2, 4_000],
      [3, 8_000],
    ] as const) {
      choice.failed(A, 1_000);
      assert.deepEqual(
        choice.next(candidates, new Set(), 1_000),
        { ask: [], againAtMs: 1_000 + pauseMs },
        `${failures}`,
      );
      assert.deepEqual(choice.next(candidates, new Set(), 999 + pauseMs).ask, []);
      assert.deepEqual(choice.next(candidates, new Set(), 1_000 + pauseMs).ask, [A]);
    }
    assert.deepEqual(choice.next([...candidates, { node: B, rttMs: 9 }], new Set(), 1_000).ask, [B]);
    for (let more = 0; more < 20; more += 1) choice.failed(A, 0);
    assert.equal(choice.next(candidates, new Set(), 0).againAtMs, 120_000);
    choice.succeeded(A);
    assert.deepEqual(choice.next(candidates, new Set(), 0).ask, [A]);
  });
});

describe('the rate of a member at a relay', () => {
  const rate = { bytesPerSecond: 1_000, burstBytes: 2_000, membersMax: 2 };

  it('lets a burst through, then the rate, and nobody waits for somebody else', () => {
    const meter = new RelayMeter(rate);
    assert.equal(meter.take(A, 2_000, 0), 0);
    assert.equal(meter.take(A, 1, 0), 1);
    assert.equal(meter.take(A, 499, 0), 500);
    assert.equal(meter.take(B, 2_000, 0), 0);
    // 500 below nothing at 0 ms; even again at 500 ms.
    assert.equal(meter.take(A, 0, 500), 0);
    assert.equal(meter.take(A, 100, 500), 100);
  });

  it('fills to the burst and no further, and time that goes back fills nothing', () => {
    const meter = new RelayMeter(rate);
    meter.take(A, 2_000, 10_000);
    assert.equal(meter.take(A, 1_000, 5_000), 1_000);
    assert.equal(meter.take(A, 2_001, 1_000_000), 1);
  });

  it('keeps a long sender at its rate, whatever the size of its pieces', () => {
    for (const piece of [1, 10, 333, 5_000]) {
      const meter = new RelayMeter(rate);
      let nowMs = 0;
      let sent = 0;
      while (nowMs < 60_000) {
        sent += piece;
        nowMs += meter.take(A, piece, nowMs);
      }
      assert.ok(sent >= 60_000 && sent <= 62_000 + 2 * piece, `${piece}: ${sent} bytes`);
    }
  });

  it('remembers a bounded number of members, those heard last', () => {
    const meter = new RelayMeter(rate);
    meter.take(A, 3_000, 0);
    meter.take(B, 3_000, 0);
    assert.ok(meter.take(A, 0, 0) > 0);
    meter.take(C, 3_000, 0);
    assert.equal(meter.take(B, 0, 0), 0, 'forgotten: full again');
    assert.throws(() => new RelayMeter({ ...rate, bytesPerSecond: 0 }));
  });
});
