import assert from 'node:assert/strict';
import { requestsEndOnce } from '../../../simulations/checkers/s6-requests.ts';
import { TRIES } from '../../../src/inference/tries.ts';
import {
  arrived,
  check,
  ended,
  placed,
  planOf,
  run,
  started,
  stopped,
  text,
  type Told,
  type Trace,
  tryEnded,
  tryStarted,
} from './trace.ts';

function details(trace: Trace, told: Told = {}): string[] {
  return check(requestsEndOnce, [...started(4), ...trace], told).map(({ detail }) => detail);
}

const WHOLE: Trace = [
  [100, arrived('a')],
  [200, text('a', 0, 5)],
  [300, text('a', 5, 1)],
];

describe('S6, requests end once', () => {
  it('is content with one gap-free answer and one end', () => {
    assert.deepEqual(details([...WHOLE, [400, ended('a', 6)]]), []);
  });

  it('sees gaps, repeats, nonsense and text after the end', () => {
    for (const { next, expected } of [
      { next: [350, text('a', 7)], expected: /gap: token 6 was due, 7 came/ },
      { next: [350, text('a', 5)], expected: /repeat: token 6 was due, 5 came/ },
      { next: [350, text('a', -1)], expected: /nonsense/ },
      { next: [500, text('a', 6)], expected: /after the end/ },
    ] as const) {
      const [first] = details([...WHOLE, next, [400, ended('a', 6)]]);
      assert.match(first ?? '', expected);
    }
  });

  it('sees wrong counts', () => {
    for (const { end, count } of [
      { end: ended('a', 6), count: 0 },
      { end: ended('a', 5, { completionTokens: 6 }), count: 1 },
      { end: ended('a', 6, { completionTokens: 7 }), count: 1 },
      { end: ended('a', 6, { completionTokens: 0, result: 'failed' }), count: 0 },
      { end: ended('a', 0, { completionTokens: 0, result: 'node-lost' }), count: 0 },
    ])
      assert.equal(details([...WHOLE, [400, end]]).length, count);
  });

  it('sees a second end, an end of nothing and a second arrival', () => {
    assert.match(details([...WHOLE, [400, ended('a', 6)], [500, ended('a', 6)]])[0] ?? '', /had ended as answered/);
    assert.match(details([[500, ended('b', 0)]])[0] ?? '', /without having arrived/);
    assert.match(details([...WHOLE, [400, ended('a', 6)], [500, arrived('a')]])[0] ?? '', /arrived before/);
  });

  it('wants an end within the drain time of a whole world', () => {
    const healed = [1_000, { type: 'healed' }] as const;
    const died = [20_000, stopped(0)] as const;
    const late = [95_001, text('a', 6)] as const;
    for (const { trace, untilMs, count } of [
      { trace: [...WHOLE, healed], untilMs: 60_999, count: 0 },
      { trace: [...WHOLE, healed], untilMs: 61_000, count: 1 },
      { trace: WHOLE, untilMs: 1e6, count: 0 },
      { trace: [...WHOLE, healed, died], untilMs: 1e6, count: 0 },
      { trace: [...WHOLE, healed, [20_000, stopped(0, 'paused')] as const], untilMs: 1e6, count: 1 },
      { trace: [...WHOLE, healed, late], untilMs: 155_000, count: 0 },
      { trace: [...WHOLE, healed, late], untilMs: 155_001, count: 1 },
    ])
      assert.equal(details(trace, { untilMs }).length, count, `${untilMs}`);
  });
});

describe('S6, a request that waits its turn', () => {
  const offer = { type: 'offered', node: 3, from: 0, requestId: 'w', code: '' } as const;
  const trace: Trace = [
    ...started(4),
    [1_000, { type: 'healed' }],
    [2_000, arrived('w')],
    [2_001, tryStarted('w', 3)],
    [2_002, { ...offer, answer: 'queued' }],
  ];

  it('is under way while the queue moves or its run is young, and for no other reason', () => {
    const moved = [100_000, run('run-ended', 3, 'other')] as const;
    const elsewhere = [100_000, run('run-ended', 2, 'other')] as const;
    const begun = [100_000, run('run-started', 3, 'w')] as const;
    for (const { more, untilMs, count } of [
      { more: [], untilMs: 100_000, count: 1 },
      { more: [moved], untilMs: 159_999, count: 0 },
      { more: [moved], untilMs: 160_000, count: 1 },
      { more: [elsewhere], untilMs: 159_999, count: 1 },
      { more: [begun], untilMs: 159_999, count: 0 },
      { more: [begun], untilMs: 160_000, count: 1 },
      // It is not in that queue any more.
      { more: [[50_000, tryStarted('w', 2)] as const, moved], untilMs: 159_999, count: 1 },
    ] as const)
      assert.equal(details([...trace, ...more], { untilMs }).length, count, JSON.stringify([more, untilMs]));
  });
});

/** Node 1 is asked twice for the same, and begins when nobody waits for it any more. */
const again = (firstEndMs: number, lastEndMs: number): Trace => [
  [100, arrived('a')],
  [110, tryStarted('a', 1)],
  [firstEndMs, tryEnded('a', 1, 'busy')],
  [9_000, tryStarted('a', 1)],
  [lastEndMs, tryEnded('a', 1)],
  [11_011, run('run-started', 1, 'a')],
  [11_012, run('run-ended', 1, 'a')],
];

describe('S6, what is given up ends elsewhere within 2 s', () => {
  const trying: Trace = [
    [100, arrived('a')],
    [110, tryStarted('a', 1)],
    [120, run('run-started', 1, 'a')],
    [5_000, tryEnded('a', 1)],
  ];

  it('sees a run that goes on for longer', () => {
    for (const { endMs, count } of [
      { endMs: 7_000, count: 0 },
      { endMs: 7_001, count: 1 },
    ])
      assert.equal(details([...trying, [endMs, run('run-ended', 1, 'a')]], { untilMs: 9_000 }).length, count);
  });

  it('sees a run that begins when nobody waits for it any more', () => {
    const [arrival, attempt, , over] = trying;
    const begun = (atMs: number): Trace => [
      ...[arrival, attempt, over].flatMap((one) => (one === undefined ? [] : [one])),
      [atMs, run('run-started', 1, 'a')],
      [atMs + 1, run('run-ended', 1, 'a')],
    ];
    assert.equal(details(begun(6_000)).length, 0);
    assert.equal(details(begun(7_001)).length, 1);
  });

  it('lets a new try at the same node take the run over', () => {
    assert.deepEqual(details([...trying, [6_000, tryStarted('a', 1)]], { untilMs: 9_000 }), []);
  });

  it('counts from the last try where the same was asked for there before', () => {
    assert.deepEqual(details(again(1_000, 10_000)), [], 'long after the first one');
    assert.deepEqual(details(again(8_900, 9_100)), [], 'soon after the first one');
    assert.match(
      details(again(1_000, 9_010), { untilMs: 20_000 })[0] ?? '',
      /begins to run at n1 2001 ms after n0 gave it up/,
    );
  });

  it('says nothing about pairs that could not talk', () => {
    const pause = { kind: 'pause', node: 1, atMs: 4_000, durationMs: 10 } as const;
    for (const told of [
      { truth: { canTalk: () => false } },
      { truth: { isConnected: () => false } },
      { truth: { isCarried: () => false } },
      { truth: { isHonest: () => false } },
      { plan: [pause] },
    ])
      assert.deepEqual(details(trying, { ...told, untilMs: 9_000 }), []);
    const relays = { truth: { relaysOf: () => [2] }, untilMs: 9_000 };
    assert.equal(details(trying, relays).length, 1);
    assert.deepEqual(
      details(trying, { ...relays, plan: [{ ...pause, node: 2 }] }),
      [],
      'the line of their relay is struck',
    );
    assert.deepEqual(details([...trying, [6_000, stopped(1)]], { untilMs: 9_000 }), []);
    assert.deepEqual(details([...trying, [6_000, stopped(1, 'paused')]], { untilMs: 9_000 }), []);
  });
});

const nobody = planOf([]);

const moved = (...starts: readonly number[]): Trace => [
  [100, arrived('a')],
  ...starts.map((resumedAt, index) => [110 + index, tryStarted('a', 1, resumedAt)] as const),
];

const twice = (gapMs: number, ...between: Trace): Trace => [
  [100, arrived('a')],
  [110, placed('a', nobody)],
  ...between,
  [110 + gapMs, placed('a', nobody)],
];

describe('S6, the tries of a request', () => {
  const pauseMs = Math.ceil(0.9 * TRIES.pauseMsMin);

  it('go on at the token at which they were asked to', () => {
    for (const { trace, resumedAt, count } of [
      { trace: moved(7), resumedAt: 7, count: 0 },
      { trace: moved(7), resumedAt: 0, count: 1 },
      { trace: moved(0, 7), resumedAt: 0, count: 0 },
      { trace: moved(), resumedAt: 3, count: 0 },
    ])
      assert.equal(details([...trace, [120, run('run-started', 1, 'a', resumedAt)]]).length, count);
  });

  it('pause when there is nobody to ask', () => {
    assert.equal(details(twice(pauseMs)).length, 0);
    assert.equal(details(twice(pauseMs - 1)).length, 1);
    assert.equal(details(twice(20, [115, tryStarted('a', 1)], [120, tryEnded('a', 1, 'busy')])).length, 0);
    assert.equal(details(twice(20, [115, tryStarted('a', 1)])).length, 0, 'a try is under way');
  });
});
