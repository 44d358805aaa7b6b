import assert from 'node:assert/strict';
import { readTap, recordingOf, type TapLine, writeTapLine } from '../../../simulations/calibration/tap-lines.ts';

const PUBLISHED: TapLine = { type: 'published', atMs: 10, message: 'm', body: 'load' };
const JUDGED: TapLine = { type: 'judged', atMs: 14.5, message: 'm' };
const CHANGED: TapLine = { type: 'changed', atMs: 20, target: 'b', verdict: 'suspect', reason: 'silent' };

const nodeOf = (id: string): number => ['a', 'b'].indexOf(id);

describe('a tap', () => {
  it('is read as it was written', () => {
    const lines = [PUBLISHED, JUDGED, CHANGED];
    assert.deepEqual(readTap(lines.map(writeTapLine).join('')), lines);
  });

  it("is read without the half line that a killed process leaves, and without other people's lines", () => {
    const text = `${writeTapLine(JUDGED)}{"type":"something else"}\n${writeTapLine(CHANGED).slice(0, 20)}`;
    assert.deepEqual(readTap(text), [JUDGED]);
  });

  it('becomes changes by node number', () => {
    const { changes } = recordingOf([{ node: 0, lines: [CHANGED] }], [], nodeOf);
    assert.deepEqual(changes, [{ atMs: 20, observer: 0, target: 1, verdict: 'suspect', reason: 'silent' }]);
  });

  it('becomes a delivery for each receiver, counted once, from the author that another tap knows', () => {
    const taps = [
      { node: 1, lines: [JUDGED, { ...JUDGED, atMs: 99 }] },
      { node: 0, lines: [PUBLISHED, JUDGED] },
      { node: 2, lines: [{ ...JUDGED, message: 'of nobody' }] },
    ];
    assert.deepEqual(recordingOf(taps, [], nodeOf).deliveries, [
      { madeAtMs: 10, afterMs: 4.5, author: 0, receiver: 1, body: 'load' },
    ]);
  });
});
