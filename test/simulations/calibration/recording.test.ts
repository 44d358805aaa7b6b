import assert from 'node:assert/strict';
import {
  type Change,
  type Delivery,
  expectationsOf,
  measure,
  type Moment,
  type Recording,
} from '../../../simulations/calibration/recording.ts';
import type { Schedule, Strike } from '../../../simulations/calibration/schedule.ts';

const KILL: Strike = { kind: 'kill', node: 1, atMs: 1_000, durationMs: 16_000 };
const STOP: Strike = { kind: 'stop', node: 2, atMs: 30_000, durationMs: 5_000 };
const SCHEDULE: Schedule = { seed: 0, nodes: 3, strikes: [KILL, STOP], endMs: 50_000 };

/** On the clock of the machine, which began 100 s before the schedule. */
const MOMENTS: readonly Moment[] = [
  { strike: 0, what: 'begun', atMs: 101_000 },
  { strike: 0, what: 'ended', atMs: 118_000 },
  { strike: 1, what: 'begun', atMs: 130_000 },
  { strike: 1, what: 'ended', atMs: 135_000 },
];

function change(atMs: number, who: string, verdict: Change['verdict']): Change {
  const [observer = 0, target = 0] = who.split('>').map(Number);
  return { atMs, observer, target, verdict, reason: 'a reason' };
}

function recording(parts: Partial<Recording>): Recording {
  return { moments: MOMENTS, changes: [], deliveries: [], ...parts };
}

describe('what a strike has to cause', () => {
  const cases: readonly { readonly strike: Strike; readonly verdicts: readonly string[] }[] = [
    { strike: KILL, verdicts: ['suspect', 'dead', 'alive'] },
    { strike: { kind: 'stop', node: 1, atMs: 0, durationMs: 14_600 }, verdicts: ['suspect', 'alive'] },
    { strike: { kind: 'stop', node: 1, atMs: 0, durationMs: 14_601 }, verdicts: ['suspect', 'dead', 'alive'] },
    { strike: { kind: 'leave', node: 1, atMs: 0 }, verdicts: ['left'] },
  ];
  for (const { strike, verdicts } of cases) {
    it(`${strike.kind}${'durationMs' in strike ? ` for ${strike.durationMs} ms` : ''}: ${verdicts.join(', ')}`, () => {
      assert.deepEqual(
        expectationsOf(strike).map(({ verdict }) => verdict),
        verdicts,
      );
    });
  }
});

describe('a recording', () => {
  it('gives the delay from the strike, and from its end for the return', () => {
    const changes = [
      change(101_005, '0>1', 'suspect'),
      change(113_006, '0>1', 'dead'),
      change(118_500, '0>1', 'alive'),
      change(132_500, '1>2', 'suspect'),
      change(135_003, '1>2', 'alive'),
    ];
    const { transitions, strays } = measure(SCHEDULE, recording({ changes }));
    assert.deepEqual(
      transitions.map(({ strike, observer, verdict, afterMs }) => ({ strike, observer, verdict, afterMs })),
      [
        { strike: 0, observer: 0, verdict: 'suspect', afterMs: 5 },
        { strike: 0, observer: 0, verdict: 'dead', afterMs: 12_006 },
        { strike: 0, observer: 0, verdict: 'alive', afterMs: 500 },
        { strike: 1, observer: 1, verdict: 'suspect', afterMs: 2_500 },
        { strike: 1, observer: 1, verdict: 'alive', afterMs: 3 },
      ],
    );
    assert.deepEqual(strays, []);
  });

  it('counts the first change of each kind, whatever the order in which they were written down', () => {
    const changes = [change(101_900, '0>1', 'suspect'), change(101_005, '0>1', 'suspect')];
    const { transitions, strays } = measure(SCHEDULE, recording({ changes }));
    assert.deepEqual(
      transitions.map(({ afterMs }) => afterMs),
      [5],
    );
    assert.deepEqual(strays, changes.slice(0, 1));
  });

  const strays: readonly { readonly what: string; readonly change: Change; readonly isStray: boolean }[] = [
    { what: 'about somebody else', change: change(101_500, '0>2', 'suspect'), isStray: true },
    { what: 'about the victim of the strike before', change: change(130_000, '0>1', 'suspect'), isStray: true },
    { what: 'by the victim, who doubts others', change: change(135_500, '2>0', 'suspect'), isStray: true },
    { what: 'by the victim, who finds others', change: change(118_500, '1>0', 'alive'), isStray: false },
    { what: 'before anything happened', change: change(100_999, '0>2', 'suspect'), isStray: false },
    { what: 'of a return before it returned', change: change(117_999, '0>1', 'alive'), isStray: true },
  ];
  for (const { what, change: one, isStray } of strays) {
    it(`${isStray ? 'notes' : 'has no use for'} a change ${what}`, () => {
      const measured = measure(SCHEDULE, recording({ changes: [one] }));
      assert.deepEqual(measured.transitions, []);
      assert.deepEqual(measured.strays, isStray ? [one] : []);
    });
  }

  it('leaves out strikes that never happened', () => {
    const measured = measure(
      SCHEDULE,
      recording({ moments: MOMENTS.slice(0, 1), changes: [change(132_500, '0>2', 'suspect')] }),
    );
    assert.deepEqual(measured.transitions, []);
    assert.equal(measured.strays.length, 1);
  });

  it('refuses strikes that overlap', () => {
    const moments = MOMENTS.map((moment) =>
      moment.strike === 1 && moment.what === 'begun' ? { ...moment, atMs: 100_000 } : moment,
    );
    assert.throws(() => measure(SCHEDULE, recording({ moments })), /one after the other/);
  });
});

describe('gossip of a recording', () => {
  const load = { author: 0, receiver: 2, body: 'load', madeAtMs: 110_000, afterMs: 3 };
  const cases: readonly { readonly what: string; readonly delivery: Delivery; readonly counts: boolean }[] = [
    { what: 'between two that nothing happened to', delivery: load, counts: true },
    { what: 'to the victim', delivery: { ...load, receiver: 1 }, counts: false },
    { what: 'from the victim', delivery: { ...load, author: 1 }, counts: false },
    { what: 'to the next victim, before its time', delivery: { ...load, madeAtMs: 129_990 }, counts: true },
    { what: 'that travelled when its receiver was struck', delivery: { ...load, madeAtMs: 129_998 }, counts: false },
    { what: 'before anything happened', delivery: { ...load, madeAtMs: 100_999 }, counts: false },
  ];
  for (const { what, delivery, counts } of cases) {
    it(`${counts ? 'counts' : 'does not count'} a message ${what}`, () => {
      assert.deepEqual(measure(SCHEDULE, recording({ deliveries: [delivery] })).deliveries, counts ? [delivery] : []);
    });
  }

  it('counts the goodbye of a victim that leaves', () => {
    const schedule: Schedule = { ...SCHEDULE, strikes: [{ kind: 'leave', node: 1, atMs: 0 }] };
    const moments: readonly Moment[] = [{ strike: 0, what: 'begun', atMs: 101_000 }];
    const goodbye = { ...load, author: 1, body: 'goodbye' };
    const deliveries = [goodbye, { ...goodbye, body: 'load' }];
    assert.deepEqual(measure(schedule, { moments, changes: [], deliveries }).deliveries, [goodbye]);
  });
});
