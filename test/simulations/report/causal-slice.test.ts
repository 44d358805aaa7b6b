import { deepEqual, equal, ok } from 'node:assert/strict';
import { CausalMemory } from '../../../simulations/report/causal-slice.ts';
import { describeEvent } from '../../../simulations/report/describe-event.ts';
import type { FaultPlan } from '../../../simulations/faults/fault.ts';
import type { WorldEvent } from '../../../simulations/world-event.ts';
import { sampleTrace } from './report-sample.ts';

const PLAN: FaultPlan = [
  { kind: 'crash', atMs: 50_000, durationMs: 5_000, node: 2, state: 'kept' },
  { kind: 'crash', atMs: 50_000, durationMs: 5_000, node: 3, state: 'lost' },
  { kind: 'flash-crowd', atMs: 51_000, durationMs: 5_000, factor: 5 },
];

const started = (node: number): WorldEvent => ({ type: 'started', node, incarnation: 1 });
const stopped = (node: number): WorldEvent => ({ type: 'stopped', node, how: 'crashed' });
const tried = (requestId: string, node: number, server: number): WorldEvent => ({
  type: 'try-started',
  node,
  requestId,
  server,
  resumedAt: 0,
});
const text = (requestId: string, position: number): WorldEvent => ({
  type: 'text',
  node: 1,
  requestId,
  position,
  tokens: 1,
});
const judged = (sequence: number): WorldEvent => ({
  type: 'judged',
  node: 1,
  way: 'gossip',
  author: 2,
  incarnation: 1,
  sequence,
  body: 'load',
  verdict: 'accept',
  reason: '',
  madeAtMs: 1,
  forged: false,
});
const violation = (
  nodes: readonly number[],
  requestId?: string,
): { atMs: number; nodes: readonly number[]; detail: string } => ({
  atMs: 60_000,
  nodes,
  ...(requestId === undefined ? {} : { requestId }),
  detail: '',
});

function remembered(events: readonly (readonly [number, WorldEvent])[]): CausalMemory {
  const memory = new CausalMemory(5, PLAN);
  for (const [atMs, event] of events) memory.observe(event, atMs);
  return memory;
}

function linesOf(memory: CausalMemory, about: Parameters<CausalMemory['slice']>[0]): readonly string[] {
  return memory.slice(about)?.lines.map((line) => line.text) ?? [];
}

describe('the causal slice of a violation', () => {
  it('holds the last ten seconds of its nodes, and the last of their processes however old', () => {
    const memory = remembered([
      [0, started(1)],
      [0, started(2)],
      [49_999, { type: 'connected', node: 1, peer: 2 }],
      [50_000, { type: 'disconnected', node: 1, peer: 2 }],
      [55_000, stopped(4)],
      [60_000, stopped(2)],
    ]);
    deepEqual(linesOf(memory, violation([1])), ['n1 starts, incarnation 1', 'n1 lost its connection to n2']);
    deepEqual(linesOf(memory, violation([2])), ['n1 lost its connection to n2', 'n2 is crashed']);
  });

  it('follows a request to whoever served it and leaves other requests and the gossip out', () => {
    const memory = remembered([
      [51_000, tried('mine', 1, 2)],
      [51_500, text('mine', 0)],
      [52_000, tried('other', 1, 3)],
      [53_000, text('other', 0)],
      [54_000, judged(1)],
      [55_000, stopped(2)],
      [56_000, { type: 'verdict', node: 1, target: 2, verdict: 'suspect', reason: 'silent' }],
      [56_000, { type: 'verdict', node: 1, target: 4, verdict: 'suspect', reason: 'silent' }],
    ]);
    deepEqual(linesOf(memory, violation([1], 'mine')), [
      'request ..mine at n1 is sent to n2',
      'request ..mine at n1: the client reads 1 token from position 0',
      'n2 is crashed',
      'n1 takes n2 for suspect: silent',
    ]);
  });

  it('names the faults of its nodes and those of everybody', () => {
    const memory = remembered([0, 1, 2].map((fault) => [51_000, { type: 'fault-began', fault }]));
    deepEqual(linesOf(memory, violation([2])), [
      'fault 0 (crash at n2) begins: the process dies and comes back with its state kept',
      'fault 2 (flash-crowd) begins: requests come 5 times as often',
    ]);
  });

  it('is not pushed out by text or gossip, and is bounded', () => {
    const memory = remembered([
      [50_500, stopped(1)],
      ...Array.from({ length: 5_000 }, (_, index) => [51_000, judged(index)] as const),
      ...Array.from({ length: 5_000 }, (_, index) => [52_000, text('mine', index)] as const),
    ]);
    const ofNode = memory.slice(violation([1]));
    equal(ofNode?.lines[0]?.text, 'n1 is crashed');
    equal(ofNode?.lines.length, 25);
    equal(memory.slice(violation([1], 'mine'))?.lines.length, 49);
    const crowded = remembered(
      Array.from({ length: 500 }, () => [55_000, { type: 'connected', node: 1, peer: 2 }] as const),
    ).slice(violation([1]));
    deepEqual([crowded?.lines.length, crowded?.leftOut], [60, 36]);
  });

  it('is made for the first fifty violations', () => {
    const memory = remembered([]);
    for (let index = 0; index < 50; index += 1) ok(memory.slice(violation([1])) !== undefined);
    equal(memory.slice(violation([1])), undefined);
  });
});

describe('an event in words', () => {
  it('says something of every kind of event', () => {
    const { events, plan } = sampleTrace({ nodes: 9, durationMs: 120_000, requestsPerSecond: 2, fallsPerNodeHour: 90 });
    const others: readonly WorldEvent[] = [
      judged(1),
      { type: 'healed' },
      { type: 'fault-began', fault: 0 },
      { type: 'fault-ended', fault: 99 },
      { type: 'offered', node: 1, from: 2, requestId: 'r', answer: 'refused', code: 'busy' },
      { type: 'run-started', node: 1, from: 2, requestId: 'r', resumedAt: 0 },
      { type: 'resumed', node: 1 },
    ];
    const said = new Map(
      [...events.map(([, event]) => event), ...others].map((event) => [event.type, describeEvent(event, plan)]),
    );
    ok(said.size >= 15);
    for (const [type, line] of said) ok(line.length > 8 && !line.includes('undefined'), `${type}: ${line}`);
  });
});
