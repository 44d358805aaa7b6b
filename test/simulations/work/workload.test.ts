import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Arrival } from '../../../simulations/work/conversations.ts';
import { TimingWheel } from '../../../simulations/kernel/event-queue.ts';
import { SeededRandom } from '../../../simulations/kernel/keyed-random.ts';
import { capacityOf, type Machine } from '../../../simulations/work/machines.ts';
import { answerTokensOf, tokensOf } from '../../../simulations/work/numbered-text.ts';
import type { ModelSpec, WorkloadSpec } from '../../../simulations/scenario.ts';
import { Workload, type WorkloadOptions } from '../../../simulations/work/workload.ts';
import { promptBytesOf, promptHeadOf } from '../../../src/inference/job-codec.ts';

const SPEC: WorkloadSpec = {
  arrivals: 'steady',
  load: 0.5,
  followUps: 0.5,
  promptTokens: 300,
  answerTokens: 120,
  answerTokensMax: 1_000,
};
const MODEL: ModelSpec = { name: 'goose:8b', holders: 1, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 1 };
const MACHINE: Machine = { kind: 'gaming', tokensPerSecond: 50, prefillFactor: 15, slots: 4, cacheTokens: 20_000 };

interface Came {
  readonly atMs: number;
  readonly arrival: Arrival;
}

interface SetUp {
  readonly spec?: Partial<WorkloadSpec>;
  readonly nodes?: number;
  readonly models?: readonly ModelSpec[];
  readonly options?: Partial<WorkloadOptions>;
}

function setUp({ spec = {}, nodes = 20, models = [MODEL], options = {} }: SetUp = {}) {
  const queue = new TimingWheel();
  const came: Came[] = [];
  const workload = new Workload({
    queue,
    random: new SeededRandom('workload'),
    scenario: { nodes, models, workload: { ...SPEC, ...spec } },
    machines: Array.from({ length: nodes }, () => MACHINE),
    holdings: Array.from({ length: nodes }, () => models.map((_, index) => index)),
    arrive: (arrival) => came.push({ atMs: queue.nowMs, arrival }),
    ...options,
  });
  return { queue, workload, came };
}

function runFor(seconds: number, more: SetUp = {}): readonly Came[] {
  const { queue, workload, came } = setUp(more);
  workload.start();
  queue.run(seconds * 1_000);
  workload.stop();
  queue.run(seconds * 1_000 + 60_000);
  return came;
}

const idsOf = (came: readonly Came[]): string[] => came.map(({ arrival }) => arrival.request.requestId);

const rate = (more: SetUp = {}): number => setUp(more).workload.requestsPerSecond;
const ratio = (left: number, right: number): string => (left / right).toFixed(6);
const spread = (came: readonly Came[], seconds: number): { mean: number; dispersion: number } => {
  const counts = Array.from({ length: seconds }, () => 0);
  for (const { atMs } of came) {
    const second = Math.min(seconds - 1, Math.floor(atMs / 1_000));
    counts[second] = (counts[second] ?? 0) + 1;
  }
  const mean = came.length / seconds;
  return { mean, dispersion: counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / seconds / mean };
};
const kinds = (came: readonly Came[]): string[] =>
  [...new Set(came.map(({ arrival }) => arrival.reader.type))].toSorted();

describe('a workload', () => {
  it('offers the wanted share of what the machines can do', () => {
    for (const load of [0.3, 1.5]) {
      const seconds = 400;
      let work = 0;
      for (const { arrival } of runFor(seconds, { spec: { load, followUps: 0 } }))
        work += arrival.promptTokens / 15 + arrival.answerTokens;
      const offered = work / seconds / (20 * capacityOf(MACHINE));
      assert.ok(Math.abs(offered / load - 1) < 0.1, `${offered} of ${load}`);
    }
  });

  it('counts machines that hold a model only, and slower models as more work', () => {
    const half = Array.from({ length: 20 }, (_, node) => (node < 10 ? [0] : []));
    assert.equal(ratio(rate({ options: { holdings: half } }), rate()), '0.500000');
    assert.equal(ratio(rate({ models: [{ ...MODEL, speed: 0.25 }] }), rate()), '0.250000');
    const two = [MODEL, { ...MODEL, name: 'swan:70b', speed: 0.1, demand: 3 }];
    assert.equal(ratio(rate({ models: two }), rate()), (1 / (0.25 + 7.5)).toFixed(6));
  });

  it('offers no more of a model than its own holders can do, however idle the others are', () => {
    const two = [MODEL, { ...MODEL, name: 'swan:70b', demand: 1 }];
    const all = Array.from({ length: 20 }, () => [0, 1]);
    const few = all.map((_, node) => (node < 2 ? [0, 1] : [0]));
    // Half of the work is for a model that a tenth of the machines hold: a fifth of what all could do.
    assert.equal(
      ratio(rate({ models: two, options: { holdings: few } }), rate({ models: two, options: { holdings: all } })),
      '0.200000',
    );
  });

  it('is steady as a Poisson process, or comes in bursts at the same mean', () => {
    const seconds = 3_000;
    const expected = setUp().workload.requestsPerSecond;
    const steady = spread(runFor(seconds), seconds);
    const bursts = spread(runFor(seconds, { spec: { arrivals: 'bursts' } }), seconds);
    assert.ok(Math.abs(steady.mean / expected - 1) < 0.05, `${steady.mean} of ${expected}`);
    assert.ok(Math.abs(bursts.mean / expected - 1) < 0.15, `${bursts.mean} of ${expected}`);
    assert.ok(steady.dispersion > 0.9 && steady.dispersion < 1.1, `${steady.dispersion}`);
    assert.ok(bursts.dispersion > 3, `${bursts.dispersion}`);
  });

  it('brings no request where there are none to come', () => {
    assert.deepEqual(runFor(100, { spec: { arrivals: 'none' } }), []);
    assert.deepEqual(runFor(100, { spec: { load: 0 } }), []);
  });

  it('ends with stop', () => {
    const { queue, workload, came } = setUp();
    workload.start();
    queue.run(10_000);
    workload.setFactor(3);
    queue.run(20_000);
    workload.stop();
    const before = came.length;
    workload.setFactor(5);
    queue.run(100_000);
    assert.equal(came.length, before);
    assert.equal(queue.pending, 0);
  });

  it('asks with real sizes', () => {
    for (const { arrival } of runFor(200)) {
      const { job } = arrival.request;
      assert.equal(
        job.messages.reduce((sum, message) => sum + tokensOf(message), 0),
        arrival.promptTokens,
      );
      assert.equal(answerTokensOf(job.messages), arrival.answerTokens);
      assert.ok(arrival.answerTokens >= 1 && arrival.answerTokens <= 1_000);
      assert.ok(arrival.promptTokens + 1_000 <= 8_192);
      const bytesPerToken = promptBytesOf(job) / arrival.promptTokens;
      assert.ok(bytesPerToken > 2.4 && bytesPerToken < 10, `${bytesPerToken}`);
    }
  });

  it('asks further with all that was said before, from the same node, about half a minute later', () => {
    const came = runFor(600);
    const turns = new Map<string, Came>();
    let further = 0;
    for (const one of came) {
      const { sessionKey, job } = one.arrival.request;
      const before = turns.get(sessionKey);
      turns.set(sessionKey, one);
      assert.equal(before === undefined, job.messages.length === 1);
      if (before === undefined) continue;
      further += 1;
      const former = before.arrival.request.job.messages;
      assert.deepEqual(job.messages.slice(0, former.length), former);
      assert.deepEqual(
        job.messages.slice(former.length).map(({ role }) => role),
        ['assistant', 'user'],
      );
      assert.equal(one.arrival.node, before.arrival.node);
      assert.equal(job.model, before.arrival.request.job.model);
      const gapMs = one.atMs - before.atMs;
      assert.ok(gapMs >= 15_000 && gapMs < 240_000, `${gapMs}`);
    }
    assert.ok(further / came.length > 0.35 && further / came.length < 0.55, `${further} of ${came.length}`);
    assert.deepEqual(
      runFor(100, { spec: { followUps: 0 } }).filter(({ arrival }) => arrival.request.job.messages.length > 1),
      [],
    );
  });

  it('uses each request id once, and begins every prompt in its own way', () => {
    const came = runFor(300);
    assert.equal(new Set(idsOf(came)).size, came.length);
    const first = came.filter(({ arrival }) => arrival.request.job.messages.length === 1);
    assert.equal(new Set(first.map(({ arrival }) => promptHeadOf(arrival.request.job))).size, first.length);
  });

  it('enters at the nodes that it may, at all of them', () => {
    for (const { ingressNodes, nodes } of [
      { ingressNodes: 1, nodes: 1 },
      { ingressNodes: 3, nodes: 3 },
      { ingressNodes: 20, nodes: 20 },
    ])
      assert.equal(new Set(runFor(100, { spec: { ingressNodes } }).map(({ arrival }) => arrival.node)).size, nodes);
    assert.equal(new Set(runFor(100).map(({ arrival }) => arrival.node)).size, 20);
  });

  it('asks for models by their demand', () => {
    const models = [
      { ...MODEL, demand: 3 },
      { ...MODEL, name: 'swan:1b', demand: 1 },
      { ...MODEL, name: 'none', demand: 0 },
    ];
    const came = runFor(600, { models });
    const share = came.filter(({ arrival }) => arrival.model === 0).length / came.length;
    assert.ok(Math.abs(share - 0.75) < 0.05, `${share}`);
    for (const { arrival } of came) assert.equal(arrival.request.job.model, models[arrival.model]?.name);
    assert.equal(came.filter(({ arrival }) => arrival.model === 2).length, 0);
  });

  it('lets a flash crowd come beside the usual requests, without changing any of them', () => {
    const usual = runFor(100);
    const { queue, workload, came } = setUp();
    workload.start();
    for (const { untilMs, factor } of [
      { untilMs: 20_000, factor: 1 },
      { untilMs: 40_000, factor: 4 },
      { untilMs: 100_000, factor: 1 },
    ]) {
      workload.setFactor(factor);
      queue.run(untilMs);
    }
    const known = new Set(idsOf(usual));
    assert.deepEqual(
      came.filter(({ arrival }) => known.has(arrival.request.requestId)),
      usual,
    );
    const extra = came.filter(({ arrival }) => !known.has(arrival.request.requestId));
    const expected = workload.requestsPerSecond * 20 * 3;
    assert.ok(Math.abs(extra.length / expected - 1) < 0.2, `${extra.length} of ${expected}`);
    assert.ok(extra.every(({ atMs }) => atMs >= 20_000 && atMs <= 40_000));
    assert.equal(new Set(idsOf(came)).size, came.length);
  });

  it('leaves requests out of a lull, and changes no other', () => {
    const usual = runFor(100);
    const { queue, workload, came } = setUp();
    workload.start();
    workload.setFactor(0.25);
    queue.run(100_000);
    const known = new Map(usual.map((one) => [one.arrival.request.requestId, one]));
    for (const one of came) assert.deepEqual(one, known.get(one.arrival.request.requestId));
    assert.ok(Math.abs(came.length / usual.length - 0.25) < 0.06, `${came.length} of ${usual.length}`);
  });

  it('never uses an id twice, however crowds come and go', () => {
    const change = fc.record({ waitMs: fc.constantFrom(0, 1, 700), factor: fc.constantFrom(1, 3, 5, 0.5) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        const { queue, workload, came } = setUp({ nodes: 200 });
        workload.start();
        for (const { waitMs, factor } of changes) {
          workload.setFactor(factor);
          queue.run(queue.nowMs + waitMs);
        }
        queue.run(queue.nowMs + 1_000);
        assert.equal(new Set(idsOf(came)).size, came.length);
      }),
      { numRuns: 30 },
    );
  });

  it('has readers of every kind, and only those that it is told', () => {
    assert.deepEqual(kinds(runFor(2_000)), ['leaves', 'prompt', 'slow', 'stops']);
    const none = {
      slowShare: 0,
      slowTokensPerSecondMin: 1,
      slowTokensPerSecondMax: 1,
      stopsShare: 0,
      leavesShare: 0,
      leavesMsMean: 1,
    };
    assert.deepEqual(kinds(runFor(200, { options: { readers: none } })), ['prompt']);
  });
});
