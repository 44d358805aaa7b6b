import { deepEqual, equal, ok } from 'node:assert/strict';
import { failure } from '../../../src/errors.ts';
import { Metrics, type MetricsOptions } from '../../../simulations/report/metrics.ts';
import { NodeStrips } from '../../../simulations/report/node-strips.ts';
import type { WorldEvent } from '../../../simulations/world-event.ts';
import { nodeId, nodeNumber, sampleTrace } from './report-sample.ts';

type Timed = readonly [atMs: number, event: WorldEvent];

function run(
  events: readonly Timed[],
  { nodes = 5, endMs = 60_000, ...more }: { nodes?: number; endMs?: number } & Partial<MetricsOptions> = {},
): Metrics {
  const metrics = new Metrics({ nodes, nodeOf: nodeNumber, ...more });
  for (let node = 0; node < nodes; node += 1) metrics.observe({ type: 'started', node, incarnation: 1 }, 0);
  for (const [atMs, event] of events) metrics.observe(event, atMs);
  metrics.finish(endMs);
  return metrics;
}

const REQUEST = { node: 0, requestId: 'r1' } as const;
const arrived = (feasible = 3): WorldEvent => ({
  type: 'request-arrived',
  ...REQUEST,
  model: 0,
  promptTokens: 1,
  answerTokens: 9,
  feasible,
});
const tried = (server: number, resumedAt = 0): WorldEvent => ({ type: 'try-started', ...REQUEST, server, resumedAt });
const text = (position: number, tokens = 1): WorldEvent => ({ type: 'text', ...REQUEST, position, tokens });
const lost = (server: number): WorldEvent => ({
  type: 'try-ended',
  ...REQUEST,
  server,
  outcome: 'failed',
  code: 'stream-lost',
});
const ended = (
  result: 'answered' | 'failed' | 'client-gone' | 'node-lost',
  code?: 'busy' | 'stream-lost',
): WorldEvent => ({
  type: 'request-ended',
  ...REQUEST,
  result,
  failure: code === undefined ? undefined : failure(code, 'because'),
  tokens: 2,
  completionTokens: 2,
});
const verdict = (
  node: number,
  target: number,
  said: 'alive' | 'suspect' | 'dead' | 'left' = 'suspect',
): WorldEvent => ({ type: 'verdict', node, target, verdict: said, reason: '' });
const stopped = (node: number, how: 'crashed' | 'paused' | 'left' | 'suspended' = 'crashed'): WorldEvent => ({
  type: 'stopped',
  node,
  how,
});

describe('metrics of requests', () => {
  it('measure the time to the first text that holds a token', () => {
    const { requests } = run([
      [1_000, arrived()],
      [1_001, tried(1)],
      [1_020, text(0, 0)],
      [1_050, text(0)],
      [1_500, text(1)],
      [1_600, ended('answered')],
    ]).summary();
    equal(requests.timeToFirstTokenMs?.p50, 50);
    equal(requests.timeToFirstTokenMs?.count, 1);
    equal(requests.omniscientMs, undefined);
    equal(requests.triesPerRequest?.max, 1);
    equal(requests.unfinished, 0);
  });

  it('put the estimate of an omniscient scheduler beside it only where somebody gives one', () => {
    const trace: readonly Timed[] = [
      [0, arrived()],
      [40, text(0)],
    ];
    equal(run(trace, { omniscientMs: () => 30 }).summary().requests.omniscientMs?.p50, 30);
    equal(run(trace, { omniscientMs: () => undefined }).summary().requests.omniscientMs, undefined);
    deepEqual(run(trace, { omniscientMs: () => 30 }).series().columns.omniscientMsP50[0], 30);
  });

  it('tell what was refused without having run from what failed', () => {
    for (const { end, counts } of [
      { end: ended('failed', 'busy'), counts: { refused: 1, failed: 0 } },
      { end: ended('failed', 'stream-lost'), counts: { refused: 0, failed: 1 } },
      { end: ended('failed'), counts: { refused: 0, failed: 1 } },
      { end: ended('client-gone'), counts: { refused: 0, failed: 0 } },
      { end: ended('answered'), counts: { refused: 0, failed: 0 } },
    ]) {
      const { requests } = run([
        [0, arrived()],
        [9, end],
      ]).summary();
      deepEqual({ refused: requests.refused, failed: requests.failed }, counts);
    }
    const { requests } = run([
      [0, arrived(0)],
      [9, ended('failed', 'busy')],
    ]).summary();
    deepEqual(requests.refusedByCode, { busy: 1 });
    equal(requests.infeasible, 1);
  });

  it('measure the pause of a failover from the last text before to the first text after', () => {
    const metrics = run([
      [0, arrived()],
      [1, tried(1)],
      [100, text(0)],
      [700, lost(1)],
      [705, tried(2, 1)],
      [1_400, text(1)],
      [1_500, ended('answered')],
    ]);
    const { requests } = metrics.summary();
    equal(requests.failoverGapMs?.max, 1_300);
    deepEqual([requests.failovers, requests.failoversMidAnswer], [1, 1]);
    const [row] = metrics.report().failovers;
    deepEqual([row?.from, row?.to, row?.gapMs, row?.code], [1, 2, 1_300, 'stream-lost']);
  });

  it('leave out the time in which the machine of the client slept, not that in which its process stood still', () => {
    for (const { how, firstTokenMs, gapMs } of [
      { how: 'suspended', firstTokenMs: 100, gapMs: 400 },
      { how: 'paused', firstTokenMs: 1_100, gapMs: 3_400 },
    ] as const) {
      const back: WorldEvent = { type: 'resumed', node: 0 };
      const { requests } = run([
        [0, arrived()],
        [50, stopped(0, how)],
        [1_050, back],
        [1_100, text(0)],
        [1_200, stopped(0, how)],
        [4_200, back],
        [4_300, lost(1)],
        [4_300, tried(2, 1)],
        [4_500, text(1)],
      ]).summary();
      equal(requests.timeToFirstTokenMs?.max, firstTokenMs);
      equal(requests.failoverGapMs?.max, gapMs);
    }
  });

  it('take a try after a busy answer for no failover, and one before any text for none of an answer', () => {
    const busy: WorldEvent = { type: 'try-ended', ...REQUEST, server: 1, outcome: 'busy', code: 'busy' };
    const { requests } = run([
      [0, arrived()],
      [1, tried(1)],
      [2, busy],
      [3, tried(2)],
      [9, lost(2)],
      [10, tried(3)],
      [50, text(0)],
    ]).summary();
    deepEqual([requests.busyAnswers, requests.failovers, requests.failoversMidAnswer], [1, 1, 0]);
    equal(requests.failoverGapMs, undefined);
    equal(requests.unfinished, 1);
  });

  it('compare what reached a node with what the placements meant for it', () => {
    const { events } = sampleTrace({
      nodes: 4,
      durationMs: 60_000,
      requestsPerSecond: 0,
      fallsPerNodeHour: 0,
    });
    const herd: Timed[] = events.filter(([, { type }]) => type === 'started').map(([, event]) => [0, event]);
    for (let index = 0; index < 12; index += 1) {
      const at = { node: 0, requestId: `r${index}` };
      const considered = [1, 2].map((node) => ({ node: nodeId(node), sharePerMille: 500 }));
      herd.push(
        [2_000, { ...arrived(), ...at }],
        [2_000, { type: 'placed', ...at, plan: { explain: { considered } } } as unknown as WorldEvent],
        [2_000, { type: 'try-started', ...at, server: 1, resumedAt: 0 }],
      );
    }
    const metrics = run(herd, { nodes: 4 });
    // Twelve came, six were meant.
    equal(metrics.summary().requests.crowding?.max, 2);
    deepEqual(metrics.series().columns.crowding.slice(0, 4), [null, null, 2, null]);
  });
});

/** Node 0 falls and so many others doubt it, one after the other. */
const doubtedBy = (count: number): readonly Timed[] => [
  [1_000, stopped(0)],
  ...[1, 2, 3, 4].slice(0, count).map((node): Timed => [1_000 + node * 100, verdict(node, 0)]),
];

describe('metrics of membership', () => {
  it('call a fall noticed when more than half of those that can tell doubt the node', () => {
    for (const { doubting, noticedAtMs } of [
      { doubting: 2, noticedAtMs: undefined },
      { doubting: 3, noticedAtMs: 1_300 },
    ]) {
      const [fall] = run(doubtedBy(doubting)).report().falls;
      equal(fall?.noticedAtMs, noticedAtMs);
      equal(fall?.firstNoticedAtMs, 1_100);
      equal(fall?.observers, 4);
    }
  });

  it('give those no voice that started after a node had gone', () => {
    const events: readonly Timed[] = [
      [1_000, stopped(0)],
      [1_100, stopped(3)],
      [1_100, stopped(4)],
      [1_200, { type: 'started', node: 3, incarnation: 2 }],
      [1_200, { type: 'started', node: 4, incarnation: 2 }],
      [2_000, verdict(1, 0)],
      [2_100, verdict(2, 0)],
    ];
    equal(run(events).report().falls[0]?.noticedAtMs, 2_100);
    equal(run(events).summary().membership.restarts, 2);
  });

  it('count who was back before anybody noticed, and how long trust takes after that', () => {
    const back: WorldEvent = { type: 'resumed', node: 0 };
    const unseen = run([
      [1_000, stopped(0, 'paused')],
      [2_000, back],
    ]).summary().membership;
    deepEqual(
      unseen.detection.map(({ how, falls, noticed, backFirst }) => [how, falls, noticed, backFirst]),
      [['paused', 1, 0, 1]],
    );
    const seen = run([
      [1_000, stopped(0, 'paused')],
      ...[1, 2, 3].map((node): Timed => [3_000, verdict(node, 0)]),
      [9_000, back],
      ...[1, 2, 3].map((node): Timed => [9_400, verdict(node, 0, 'alive')]),
    ]).summary().membership;
    equal(seen.trustedAgainAfterMs?.max, 400);
    equal(seen.detection[0]?.noticedAfterMs?.max, 2_000);
    equal(seen.falseSuspicions.episodes, 0);
  });

  it('tell false verdicts from late and excused ones', () => {
    const fell: readonly Timed[] = [
      [1_000, stopped(0)],
      [2_000, { type: 'started', node: 0, incarnation: 2 }],
    ];
    const connection = { isConnected: () => true, isCarried: () => true };
    const asleep = { canTalk: () => true, isConnected: () => true, isCarried: () => false };
    const suspected: readonly Timed[] = [[30_000, verdict(1, 0)]];
    equal(run(suspected, { truth: asleep }).summary().membership.excusedVerdicts, 1, 'the relay sleeps');
    const apart = run(suspected, { truth: { ...asleep, isConnected: () => false } }).summary().membership;
    equal(apart.falseSuspicions.episodes, 1);
    for (const { events, canTalk, counts } of [
      { events: [[30_000, verdict(1, 0)]], canTalk: true, counts: { wrong: 1, late: 0, excused: 0 } },
      { events: [[30_000, verdict(1, 0)]], canTalk: false, counts: { wrong: 0, late: 0, excused: 1 } },
      { events: [...fell, [6_999, verdict(1, 0)]], canTalk: true, counts: { wrong: 0, late: 1, excused: 0 } },
      { events: [...fell, [7_000, verdict(1, 0)]], canTalk: true, counts: { wrong: 1, late: 0, excused: 0 } },
    ] as readonly { events: readonly Timed[]; canTalk: boolean; counts: object }[]) {
      const { membership } = run(events, { truth: { ...connection, canTalk: () => canTalk } }).summary();
      const { falseSuspicions, lateVerdicts, excusedVerdicts } = membership;
      deepEqual({ wrong: falseSuspicions.episodes, late: lateVerdicts, excused: excusedVerdicts }, counts);
    }
  });

  it('count a node that many wrong at once as one episode', () => {
    const { membership } = run([
      [1_000, verdict(1, 0)],
      [1_100, verdict(2, 0)],
      [1_200, verdict(1, 0, 'alive')],
      [1_300, verdict(3, 0)],
      [1_400, verdict(2, 0, 'alive')],
      [1_400, verdict(3, 0, 'alive')],
      [2_000, verdict(1, 0)],
      [8_000, verdict(1, 0, 'dead')],
    ]).summary();
    deepEqual([membership.falseSuspicions.episodes, membership.falseSuspicions.verdicts], [2, 4]);
    deepEqual([membership.falseDeaths.episodes, membership.falseDeaths.verdicts], [1, 1]);
  });

  it('draw each node as intervals of truth and belief that cover the run', () => {
    const [strip] = run([
      [1_000, stopped(0)],
      ...[1, 2, 3].map((node): Timed => [3_000, verdict(node, 0)]),
      ...[1, 2, 3].map((node): Timed => [15_000, verdict(node, 0, 'dead')]),
      [20_000, { type: 'started', node: 0, incarnation: 2 }],
      ...[1, 2, 3].map((node): Timed => [21_000, verdict(node, 0, 'alive')]),
    ]).report().strips;
    deepEqual(
      strip?.intervals.map(({ fromMs, toMs, truth, belief }) => [fromMs, toMs, truth, belief]),
      [
        [0, 1_000, 'up', 'trusted'],
        [1_000, 3_000, 'stopped', 'trusted'],
        [3_000, 15_000, 'stopped', 'suspect'],
        [15_000, 20_000, 'stopped', 'dead'],
        [20_000, 21_000, 'up', 'dead'],
        [21_000, 60_000, 'up', 'trusted'],
      ],
    );
  });

  it('sum the time that nodes were up', () => {
    const hour = 3_600_000;
    equal(run([[hour / 2, stopped(0)]], { nodes: 2, endMs: hour }).summary().membership.nodeHours, 1.5);
  });
});

describe('metrics of a run', () => {
  it('stay bounded however long it is, and tell the same whenever they are asked', () => {
    const options = { nodes: 3, durationMs: 7_200_000, requestsPerSecond: 0.1, fallsPerNodeHour: 30 };
    const { events } = sampleTrace(options);
    const metrics = run(
      events.filter(([, { type }]) => type !== 'started'),
      { nodes: 3, endMs: options.durationMs },
    );
    for (const values of Object.values(metrics.series().columns)) ok(values.length > 100 && values.length <= 600);
    deepEqual(metrics.report(), metrics.report());
  });

  it('say nothing of what was not seen', () => {
    const metrics = new Metrics({ nodes: 0, nodeOf: nodeNumber });
    metrics.finish(0);
    const { summary, series, strips, falls } = metrics.report();
    equal(summary.requests.timeToFirstTokenMs, undefined);
    equal(summary.membership.falseSuspicions.episodesPerNodeDay, undefined);
    equal(summary.load.utilisation, undefined);
    equal(series.columns.firstTokenMsP50[0], null);
    deepEqual([strips, falls], [[], []]);
  });

  it('give bytes per node and second whatever the number of nodes', () => {
    const { events } = sampleTrace({ nodes: 3, durationMs: 30_000, requestsPerSecond: 0, fallsPerNodeHour: 0 });
    const metrics = run(
      events.filter(([, { type }]) => type === 'sampled'),
      { nodes: 3, endMs: 30_000 },
    );
    equal(metrics.summary().load.bytesPerNodeSecond.heartbeats, 2_000);
    equal(metrics.series().columns.heartbeatBytesPerSecond[10], 2_000);
    equal(metrics.series().columns.nodesUp[10], 3);
  });
});

describe('strips of nodes', () => {
  it('keep a bounded number of intervals that still cover the whole run', () => {
    const strips = new NodeStrips(1);
    for (let index = 0; index < 5_000; index += 1) strips.setTruth(0, index % 2 === 0 ? 'up' : 'stopped', index * 10);
    strips.finish(60_000);
    const [strip] = strips.all();
    equal(strip?.intervals.length, 1_000);
    ok((strip?.leftOut ?? 0) > 0);
    equal(strip?.intervals.at(-1)?.toMs, 60_000);
  });
});
