import assert from 'node:assert/strict';
import { scenarioIntervalMs } from '../../../simulations/checkers/load-interval.ts';
import {
  DEAD_MS_MAX,
  NOTICED_MS_MAX,
  SETTLED_MS,
  stopsAreNoticed,
} from '../../../simulations/checkers/v1-detection.ts';
import { alarmsAreRare, CLEAN_MS, EPISODE_MS } from '../../../simulations/checkers/v2-false-alarms.ts';
import { BACK_MS, CONVERGED_MS, USABLE_MS, viewsConverge } from '../../../simulations/checkers/v3-convergence.ts';
import { EXCHANGE_MS } from '../../../simulations/checkers/v3-exchanges.ts';
import type { WorldEvent } from '../../../simulations/world-event.ts';
import { LIVENESS } from '../../../src/params.ts';
import { allAlive, check, sampled, SCENARIO, started, stopped, type Told, type Trace, verdict } from './trace.ts';

function after(atMs: number, said: 'suspect' | 'dead' | 'left' = 'suspect'): Trace {
  return [1, 2, 3].map((node) => [atMs, verdict(node, 0, said)] as const);
}

describe('V1, stops are noticed', () => {
  const stopMs = SETTLED_MS + 1_000;
  const before: Trace = [...started(4), ...allAlive(4, 500)];

  function late(trace: Trace, told: Told = {}): number {
    return check(stopsAreNoticed, [...before, ...trace], { untilMs: stopMs + DEAD_MS_MAX, ...told }).length;
  }

  it('and who stays away is dead to all, or has left', () => {
    const stop: Trace = [[stopMs, stopped(0)], ...after(stopMs + 100)];
    const untilMs = stopMs + DEAD_MS_MAX + 1;
    for (const { trace, count } of [
      { trace: stop, count: 1 },
      { trace: [...stop, ...after(stopMs + DEAD_MS_MAX, 'dead')], count: 0 },
      { trace: [...stop, ...after(stopMs + DEAD_MS_MAX, 'left')], count: 0 },
      { trace: [...stop, ...after(untilMs, 'dead')], count: 1 },
      { trace: [...stop, ...after(stopMs + 9_000, 'dead').slice(1)], count: 0 },
      { trace: [...stop, [stopMs + 9_000, { type: 'started', node: 0, incarnation: 9 }] as const], count: 0 },
    ])
      assert.equal(late(trace, { untilMs: untilMs + 1 }), count);
  });

  it('within 3 s, or 0.5 s where the kernel resets the connections', () => {
    for (const { how, limitMs } of [
      { how: 'powered-off', limitMs: NOTICED_MS_MAX.silent },
      { how: 'suspended', limitMs: NOTICED_MS_MAX.silent },
      { how: 'paused', limitMs: NOTICED_MS_MAX.silent },
      { how: 'crashed', limitMs: NOTICED_MS_MAX.killed },
    ] as const) {
      assert.equal(late([[stopMs, stopped(0, how)], ...after(stopMs + limitMs)]), 0, how);
      assert.equal(late([[stopMs, stopped(0, how)], ...after(stopMs + limitMs + 1)]), 1, how);
    }
    assert.equal(late([[stopMs, stopped(0, 'left')]]), 0);
  });

  it('by every observer, of which one in a hundred may be late', () => {
    const [first, second, third] = after(stopMs + 100);
    const stop = [stopMs, stopped(0)] as const;
    assert.ok(first && second && third);
    assert.equal(late([stop, first, second, third]), 0);
    const violations = check(stopsAreNoticed, [...before, stop], { untilMs: 60_000 });
    assert.match(
      violations[0]?.detail ?? '',
      /1.0 of 1 late, allowed 1 %; the worst is n0 at 16000 ms, missed by 3 of 3/,
    );
    assert.deepEqual(violations[0]?.nodes, [0, 1, 2, 3]);
  });

  it('not by those who are down, struck or new, nor of who is back at once or was never known', () => {
    const stop = [stopMs, stopped(0)] as const;
    const pause = { kind: 'pause', node: 0, atMs: stopMs - 100, durationMs: 1 } as const;
    const loss = [1, 2, 3].map((node) => ({ kind: 'loss', node, atMs: 0, durationMs: 1e6, loss: 0.5 }) as const);
    assert.equal(late([stop]), 1);
    assert.equal(late([stop, [stopMs + 500, { type: 'started', node: 0, incarnation: 9 }]]), 0);
    assert.equal(late([stop, ...[1, 2, 3].map((node) => [stopMs + 400, stopped(node)] as const)]), 0);
    assert.equal(late([stop], { plan: [pause] }), 0);
    assert.equal(late([stop], { plan: loss }), 0);
    assert.equal(late([...after(stopMs - 10), stop]), 0, 'taken for suspect before');
    assert.equal(late([[SETTLED_MS - 1, stopped(0)]]), 0, 'not a member for long');
    assert.equal(late([[SETTLED_MS, stopped(0)]], { untilMs: SETTLED_MS + DEAD_MS_MAX }), 1);
  });
});

function suspicions(count: number, apartMs = EPISODE_MS + 1): Trace {
  return Array.from({ length: count }, (_, index) => [100_000 + index * apartMs, verdict(0, 1, 'suspect')] as const);
}

const away = (durationMs: number, how: 'paused' | 'suspended' = 'paused'): Trace => [
  [100_000 - durationMs, stopped(0, how)],
  [100_000, { type: 'resumed', node: 0 }],
];

const pause = (durationMs: number): Told => ({
  plan: [{ kind: 'pause', node: 0, atMs: 100_000 - durationMs, durationMs }],
});

describe('V2, false alarms are rare', () => {
  const hours = 6;
  const endMs = hours * 3_600_000;
  /** 24 nodes for six hours: nearly six node-days, whole minutes without samples left out. */
  const calm: Trace = [
    ...started(24),
    ...Array.from({ length: 24 * (endMs / 60_000) }, (_, index): Trace[number] => [
      Math.floor(index / 24) * 60_000,
      sampled(index % 24),
    ]),
  ];
  const sampledOften = { scenario: { nodes: 24 } };

  function alarms(trace: Trace, told: Told = {}): string[] {
    return check(alarmsAreRare, [...calm, ...trace], { ...sampledOften, ...told }).map(({ detail }) => detail);
  }
  // A sample a minute stands for one second: 24 * 6 h / 60 = 0.1 node-days less the first minutes.

  it('counts episodes against the node-days that were seen', () => {
    assert.deepEqual(alarms(suspicions(1)), [], 'one in a tenth of a node-day is chance');
    assert.match(alarms(suspicions(2))[0] ?? '', /2 false verdicts of suspect in 0.100 node-days/);
    assert.deepEqual(alarms(suspicions(2, EPISODE_MS)), [], 'one episode');
    assert.deepEqual(alarms(suspicions(1).concat([[100_001, verdict(2, 1, 'suspect')]])), [], 'shared by two');
  });

  it('allows a twentieth of it for deaths', () => {
    const death = [100_000, verdict(0, 1, 'dead')] as const;
    assert.match(alarms([death])[0] ?? '', /false verdicts of dead/);
    assert.deepEqual(alarms([[100_000, verdict(0, 1, 'dead', 'made room in a full view')]]), []);
  });

  it('says nothing about nodes that were down or struck in the last minute, heavy loss and many accusers', () => {
    const struck = { kind: 'delay', node: 1, atMs: 99_000, durationMs: 100_000, addedMs: 9 } as const;
    const liar = { kind: 'liar', lie: 'accuse', atMs: 0, durationMs: 200_000 } as const;
    const { network } = SCENARIO;
    const two = suspicions(2);
    for (const { told, count } of [
      { told: {}, count: 1 },
      { told: { plan: [struck] }, count: 0 },
      { told: { scenario: { nodes: 24, network: { ...network, loss: 0.1 } } }, count: 1 },
      { told: { scenario: { nodes: 24, network: { ...network, loss: 0.11 } } }, count: 0 },
      { told: { scenario: { nodes: 24, network: { ...network, lossBurstMs: 301 } } }, count: 0 },
      { told: { plan: [{ ...liar, node: 8 }] }, count: 1 },
      {
        told: {
          plan: [
            { ...liar, node: 8 },
            { ...liar, node: 9 },
          ],
        },
        count: 0,
      },
    ])
      assert.equal(alarms(two, told).length, count, JSON.stringify(told));
    const back: Trace = [
      [30_000, stopped(1, 'paused')],
      [100_000 - CLEAN_MS, { type: 'resumed', node: 1 }],
    ];
    assert.equal(alarms([...back, ...two]).length, 1);
    assert.equal(alarms([...back, [100_001 - CLEAN_MS, { type: 'resumed', node: 1 }], ...two]).length, 0);
  });

  it('counts what a process says that only stood still, and not what one says that slept', () => {
    const two = suspicions(2, EPISODE_MS + 1);
    const { sleptAfterMs } = LIVENESS;
    assert.equal(alarms([...away(sleptAfterMs), ...two], pause(sleptAfterMs)).length, 1);
    assert.equal(alarms([...away(sleptAfterMs + 1), ...two], pause(sleptAfterMs + 1)).length, 0);
    assert.equal(alarms([...away(sleptAfterMs, 'suspended'), ...two]).length, 0);
  });

  it('forgives a node whose relay stopped', () => {
    const lost: Trace = [
      [99_000, stopped(5)],
      [99_100, { type: 'disconnected', node: 1, peer: 3 }],
    ];
    const two = suspicions(2);
    const relayed = { scenario: { nodes: 24, nat: { 'relay-only': 1 } } };
    assert.equal(alarms([...lost, ...two], relayed).length, 0);
    assert.equal(alarms([...lost, ...two]).length, 1);
    assert.equal(
      alarms([[99_000, stopped(5)], [99_100, { type: 'disconnected', node: 1, peer: 5 }], ...two], relayed).length,
      1,
    );
  });
});

/** Samples of all four every second; node 3 sees another view until `untilMs`. */
function rounds(untilMs: number, other: Parameters<typeof sampled>[1] = { viewHash: 9 }): Trace {
  return Array.from({ length: 4 * 140 }, (_, index): Trace[number] => {
    const atMs = Math.floor(index / 4) * 1_000 + (index % 4) * 100;
    return [atMs, index % 4 === 3 && atMs < untilMs ? sampled(3, other) : sampled(index % 4)];
  });
}

describe('V3, views converge', () => {
  const healedMs = 100_500;
  const limitMs = 2 * scenarioIntervalMs(SCENARIO) + CONVERGED_MS;
  const healed = [healedMs, { type: 'healed' }] as const;

  function unequal(trace: Trace, told: Told = {}): string[] {
    return check(viewsConverge, [...started(4), healed, ...trace], told).map(({ detail }) => detail);
  }

  it('within two beacons and five seconds of the healing', () => {
    assert.equal(limitMs, 7_000);
    assert.deepEqual(unequal(rounds(healedMs + limitMs)), []);
    assert.match(unequal(rounds(healedMs + limitMs + 1_500))[0] ?? '', /2 different views of 4 nodes 7000 ms after/);
  });

  it('and to the truth', () => {
    const corpse = rounds(0).map(([atMs, event]): Trace[number] =>
      event.type === 'sampled' ? [atMs, sampled(event.node, { alive: 5 })] : [atMs, event],
    );
    assert.match(unequal(corpse)[0] ?? '', /1 different views of 4 nodes/);
  });

  it('counted anew when somebody comes or goes, and not before the healing', () => {
    const split = rounds(healedMs + limitMs + 1_500);
    const event: WorldEvent = { type: 'resumed', node: 2 };
    assert.deepEqual(unequal([...split, [healedMs + 2_000, event]]), []);
    assert.deepEqual(check(viewsConverge, [...started(4), ...split]), []);
  });

  it('leaves out who can talk to few', () => {
    const alone = { truth: { canTalk: (left: number, right: number) => left !== 3 && right !== 3 } };
    assert.equal(unequal(rounds(1e9), alone).length, 1, 'the others still count it as alive');
    const three = rounds(1e9).map(([atMs, event]): Trace[number] =>
      event.type === 'sampled' && event.node !== 3 ? [atMs, sampled(event.node, { alive: 3 })] : [atMs, event],
    );
    assert.deepEqual(unequal(three, alone), []);
  });

  it('wants a joiner to hold the settled mesh after three seconds', () => {
    const joinMs = 50_000;
    const join = (sample: Parameters<typeof sampled>[1], atMs = joinMs + USABLE_MS): Trace => [
      ...started(3),
      [joinMs, { type: 'started', node: 3, incarnation: 7 }],
      [atMs, sampled(3, sample)],
      [atMs + 500, sampled(3)],
    ];
    const struck = { kind: 'loss', node: 0, atMs: joinMs, durationMs: 1, loss: 0.5 } as const;
    for (const { trace, told, count } of [
      { trace: join({ alive: 3, suspect: 1 }), count: 0 },
      { trace: join({ alive: 3 }), count: 1 },
      { trace: join({ isStale: true }), count: 1 },
      { trace: join({ alive: 1 }, joinMs + USABLE_MS - 1), count: 0 },
      { trace: join({ alive: 3 }), told: { plan: [struck] }, count: 0 },
      { trace: join({ alive: 3 }), told: { truth: { canTalk: () => false } }, count: 0 },
    ])
      assert.equal(check(viewsConverge, trace, told).length, count);
  });

  it('and the same of who comes back after a sleep', () => {
    const backMs = 60_000;
    const back = (awayMs: number, atMs: number, sample: Parameters<typeof sampled>[1]): Trace => [
      ...started(4),
      [backMs - awayMs, stopped(3, 'suspended')],
      [backMs, { type: 'resumed', node: 3 }],
      [atMs, sampled(3, sample)],
      [atMs + 500, sampled(3)],
    ];
    const { sleptAfterMs } = LIVENESS;
    for (const { trace, count } of [
      { trace: back(sleptAfterMs + 1, backMs + BACK_MS, { isStale: true }), count: 1 },
      { trace: back(sleptAfterMs + 1, backMs + BACK_MS - 1, { isStale: true }), count: 0 },
      { trace: back(sleptAfterMs + 1, backMs + BACK_MS, { alive: 3, suspect: 1 }), count: 0 },
      { trace: back(sleptAfterMs, backMs + BACK_MS, { isStale: true }), count: 0 },
    ])
      assert.equal(check(viewsConverge, trace).length, count);
  });
});

function asked(atMs: number): Trace[number] {
  return [atMs, { type: 'view-asked', node: 0, peer: 1, everything: false }];
}

function looked(atMs: number): Trace[number] {
  return [atMs, sampled(0)];
}

describe('V3, everybody exchanges views', () => {
  const linked: Trace = [[1_000, { type: 'connected', node: 0, peer: 1 }]];

  function silent(...trace: Trace): string[] {
    return check(viewsConverge, [...started(4), ...linked, ...trace]).map(({ detail }) => detail);
  }

  it('at the latest after two and a half intervals', () => {
    assert.deepEqual(silent(looked(1_000 + EXCHANGE_MS)), []);
    assert.match(silent(looked(1_001 + EXCHANGE_MS))[0] ?? '', /asked nobody for what it lacks for 75001 ms/);
    assert.deepEqual(silent(asked(2_000), looked(2_000 + EXCHANGE_MS)), []);
    assert.equal(silent(asked(2_000), looked(2_001 + EXCHANGE_MS), looked(9_000 + EXCHANGE_MS)).length, 1, 'told once');
  });

  it('while it is awake and has somebody to ask', () => {
    const late = looked(1_001 + EXCHANGE_MS);
    for (const { what, event, count } of [
      { what: 'stopped', event: stopped(0), count: 0 },
      { what: 'went on', event: { type: 'resumed', node: 0 }, count: 0 },
      { what: 'is alone', event: { type: 'disconnected', node: 0, peer: 1 }, count: 0 },
      { what: 'another one stopped', event: stopped(1), count: 1 },
      { what: 'has one more', event: { type: 'connected', node: 0, peer: 2 }, count: 1 },
    ] satisfies { what: string; event: WorldEvent; count: number }[])
      assert.equal(silent([2_000, event], late).length, count, what);
  });
});
