import assert from 'node:assert/strict';
import { SETTLE_MS } from '../../../simulations/checkers/calm.ts';
import { scenarioIntervalMs } from '../../../simulations/checkers/load-interval.ts';
import { answersCome, LOAD_MAX } from '../../../simulations/checkers/v5-answers.ts';
import { GAP_MS_MAX } from '../../../simulations/checkers/v5-failover.ts';
import { BLIND_SHARE_MAX, REQUESTS_MIN } from '../../../simulations/checkers/v7-bounces.ts';
import { BLOCK_WINDOWS, nobodyHerds } from '../../../simulations/checkers/v7-herd.ts';
import { crowdsPass, V8_LIMITS } from '../../../simulations/checkers/v8-crowds.ts';
import type { WorldEvent } from '../../../simulations/world-event.ts';
import { failure } from '../../../src/errors.ts';
import {
  arrived,
  check,
  ended,
  placed,
  planOf,
  run,
  sampled,
  SCENARIO,
  started,
  stopped,
  text,
  type Told,
  type Trace,
  tryEnded,
  tryStarted,
} from './trace.ts';

function failedWith(code: Parameters<typeof failure>[0]): WorldEvent {
  return ended('a', 0, { result: 'failed', failure: failure(code, 'no'), completionTokens: 0 });
}

function delayed(node: number): Told {
  return { plan: [{ kind: 'delay', node, atMs: 60_000, durationMs: 10, addedMs: 5 }] };
}

function late(trace: Trace, told: Told = {}): string[] {
  return check(answersCome, [...started(4), ...trace], told).map(({ detail }) => detail);
}

describe('V5, answers come', () => {
  const healedMs = 10_000;
  const askedMs = healedMs + SETTLE_MS;
  const asked: Trace = [
    [healedMs, { type: 'healed' }],
    [askedMs, arrived('a')],
  ];
  // Half loaded: 16 s / (1 - 0.5), and twice the 500 ms that placement expected.
  const deadlineMs = 33_000;
  const plan = [askedMs + 1, placed('a', planOf([{ node: 0, weight: 1 }]))] as const;

  it('with a first token by a deadline that depends on load and prompt', () => {
    const { workload } = SCENARIO;
    const told = (load: number): Told => ({ scenario: { workload: { ...workload, load } } });
    for (const { first, more, count } of [
      { first: deadlineMs, more: {}, count: 0 },
      { first: deadlineMs + 1, more: {}, count: 1 },
      { first: deadlineMs + 1, more: told(0.7), count: 0 },
      { first: 1_000_000, more: told(LOAD_MAX), count: 1 },
      { first: 1_000_000, more: told(LOAD_MAX + 0.01), count: 0 },
    ])
      assert.equal(late([...asked, plan, [askedMs + first, text('a', 0)]], more).length, count, `${first}`);
    assert.equal(late([...asked, plan], { untilMs: askedMs + deadlineMs }).length, 0);
    assert.equal(late([...asked, plan], { untilMs: askedMs + deadlineMs + 1 }).length, 1, 'still waits');
  });

  it('only for feasible requests, and once the world has settled', () => {
    const tooLate = [askedMs + 90_000, text('b', 0)] as const;
    const heal = [healedMs, { type: 'healed' }] as const;
    assert.equal(late([heal, [askedMs, arrived('b')], tooLate]).length, 1);
    assert.equal(late([heal, [askedMs, arrived('b', 0, 0)], tooLate]).length, 0);
    assert.equal(late([heal, [askedMs - 1, arrived('b')], tooLate]).length, 0);
    assert.equal(late([[askedMs, arrived('b')], tooLate]).length, 0);
  });

  it('and with no failure that is not the request its own', () => {
    for (const { code, expected } of [
      { code: 'stalled', expected: /failed with stalled/ },
      { code: 'model-not-found', expected: /failed with model-not-found/ },
      { code: 'context-length-exceeded', expected: undefined },
      { code: 'no-node-available', expected: /refused as full in a whole world: 1 of 1/ },
    ] as const) {
      const [first] = late([...asked, [askedMs + 100, failedWith(code)]]);
      if (expected === undefined) assert.equal(first, undefined);
      else assert.match(first ?? '', expected);
    }
    const others: Trace = [
      [askedMs, arrived('b')],
      [askedMs + 1, text('b', 0)],
    ];
    assert.deepEqual(late([...asked, ...others, [askedMs + 100, failedWith('busy')]]), [], 'one in two is chance');
    assert.deepEqual(late([...asked, [askedMs + 90_000, ended('a', 0)]]), [], 'an empty answer');
  });
});

describe('V5, interrupted answers go on', () => {
  const atMs = 60_000;
  /** Node 3 ran the model before and is free; node 1 answers, 100 ms a token, and fails after its tenth. */
  const interrupted: Trace = [
    ...started(4),
    [20_000, arrived('old')],
    [20_001, run('run-started', 3, 'old')],
    [20_002, run('run-ended', 3, 'old')],
    [20_002, ended('old', 0)],
    [50_000, sampled(3)],
    [50_000, arrived('a')],
    [50_001, tryStarted('a', 1)],
    [50_002, run('run-started', 1, 'a')],
    ...Array.from({ length: 10 }, (_, index): Trace[number] => [atMs - 900 + index * 100, text('a', index)]),
    [atMs + 2_600, tryEnded('a', 1)],
  ];
  const onAt = (runMs: number): Trace => [
    [atMs + 2_610, tryStarted('a', 3, 10)],
    [atMs + runMs, run('run-started', 3, 'a')],
    [atMs + runMs + 9_000, text('a', 10)],
  ];
  const limitMs = GAP_MS_MAX + 100;

  /** Another request for the same model runs there. */
  const other = (node: number): Trace => [
    [atMs - 5_000, arrived('b')],
    [atMs - 4_999, run('run-started', node, 'b')],
  ];

  function gaps(trace: Trace, told: Told = {}): string[] {
    return check(answersCome, [...interrupted, ...trace], told).map(({ detail }) => detail);
  }

  it('within 3 s and the usual time of a token, reading the prompt not counted', () => {
    assert.deepEqual(gaps(onAt(limitMs)), []);
    assert.match(
      gaps(onAt(limitMs + 1))[0] ?? '',
      /n1 failed after token 10 and it went on at n3 after 3101 ms, promised within 3100 ms \(n3 was free\)/,
    );
  });

  it('and never give up while somebody is free', () => {
    const given = ended('a', 10, { result: 'failed', failure: failure('stream-lost', 'gone') });
    const tooLong = ended('a', 10, { result: 'failed', failure: failure('context-length-exceeded', 'long') });
    assert.match(gaps([[atMs + 3_000, given]])[0] ?? '', /it never went on/);
    assert.deepEqual(gaps([[atMs + 3_000, tooLong]]), []);
    assert.deepEqual(gaps([[atMs + 3_000, ended('a', 10)]]), [], 'it was complete');
  });

  it('where a feasible node existed and nothing else failed', () => {
    const on = onAt(limitMs + 1);
    for (const { more, told, count } of [
      { more: [], told: {}, count: 1 },
      { more: other(3), told: {}, count: 0 },
      { more: [...other(3), [atMs, run('run-ended', 3, 'b')]], told: {}, count: 1 },
      { more: [], told: { plan: [{ kind: 'slow', node: 3, atMs: 1_000, durationMs: 40_000, factor: 5 }] }, count: 0 },
      { more: [[atMs, sampled(3, { queued: 1 })]], told: {}, count: 0 },
      { more: [[atMs, stopped(3)]], told: {}, count: 0 },
      { more: [], told: delayed(3), count: 0 },
      { more: [], told: delayed(0), count: 0 },
      { more: [], told: delayed(1), count: 1 },
      { more: [], told: { truth: { canTalk: () => false } }, count: 0 },
      { more: [[atMs + 2_700, tryEnded('a', 2)]], told: {}, count: 0 },
      // What was read before is reported late.
      { more: [[atMs + 2_605, text('a', 9, 0)]], told: {}, count: 1 },
    ] as const)
      assert.equal(gaps([...more, ...on], told).length, count, JSON.stringify(more));
  });

  it('with the asking where the queue of a quick node brings the text no later than the slow one that is free', () => {
    const queued = { type: 'offered', node: 2, from: 0, requestId: 'a', answer: 'queued', code: '' } as const;
    for (const { slowMs, askedMs, count } of [
      { slowMs: 501, askedMs: 2_610, count: 0 },
      { slowMs: 500, askedMs: 2_610, count: 0 },
      { slowMs: 499, askedMs: 2_610, count: 1 },
      { slowMs: 501, askedMs: limitMs + 1, count: 1 },
    ]) {
      const names: Trace = [2, 3].flatMap((node): Trace => [
        [30_000, arrived(`name-${node}`)],
        [30_001, placed(`name-${node}`, planOf([{ node, weight: 1 }]))],
        [30_002, tryStarted(`name-${node}`, node)],
        [30_003, ended(`name-${node}`, 0)],
      ]);
      const plan = planOf([
        { node: 2, weight: 1, costMs: 500 },
        { node: 3, weight: 1, costMs: slowMs },
      ]);
      const found = gaps([
        ...names,
        [atMs + askedMs, placed('a', plan)],
        [atMs + askedMs, tryStarted('a', 2, 10)],
        [atMs + askedMs + 1, queued],
        [atMs + 8_000, run('run-started', 2, 'a')],
        [atMs + 9_000, text('a', 10)],
      ]);
      assert.equal(found.length, count, JSON.stringify([slowMs, askedMs]));
    }
  });

  it('one in a hundred may be late where packets are lost', () => {
    const lossy = { scenario: { network: { ...SCENARIO.network, loss: 0.05 } } };
    // A packet may be lost on the way, too.
    assert.deepEqual(gaps(onAt(limitMs + 500), lossy), []);
    assert.match(gaps(onAt(limitMs + 501), lossy)[0] ?? '', /1.0 of 1 late, allowed 1 %; the worst: n1 failed/);
  });
});

function herds(trace: Trace, told: Told = {}): string[] {
  return check(nobodyHerds, [...started(4), ...trace], told).map(({ detail }) => detail);
}

describe('V7, nobody herds', () => {
  const windowMs = scenarioIntervalMs(SCENARIO);
  const rows = [0, 1, 2, 3].map((node) => ({ node, weight: 1 }));

  /** In each window `tries` requests, to all four in turn, but of window `herdAt` the first `herd` to node 1. */
  function work(options: { tries: number; herdAt: number; herd: number; affinity?: boolean }): Trace {
    const { tries, herdAt, herd, affinity = false } = options;
    return Array.from({ length: 3 * BLOCK_WINDOWS * tries }, (_, index): Trace => {
      const window = Math.floor(index / tries);
      const isHerd = window === herdAt && index % tries < herd;
      const server = isHerd ? 1 : index % 4;
      const weights = isHerd ? [{ node: 1, weight: 9, affinity }] : rows;
      const atMs = window * windowMs + Math.floor(((index % tries) * windowMs) / tries);
      const requestId = `r${index}`;
      return [
        [atMs, placed(requestId, planOf(weights, [server]))],
        [atMs, tryStarted(requestId, server)],
        [atMs, ended(requestId, 0)],
      ];
    }).flat();
  }

  it('in a steady mesh', () => {
    assert.deepEqual(herds(work({ tries: 100, herdAt: -1, herd: 0 })), []);
  });

  it('sees a window in which one node got more than three times its share', () => {
    const [first] = herds(work({ tries: 100, herdAt: 15, herd: 100 }));
    assert.match(first ?? '', /100 of 100 first tries for m in 1000 ms, its share is 2\d\.\d+: a herd index of 3\.\d/);
    assert.deepEqual(herds(work({ tries: 100, herdAt: 15, herd: 60 })), [], 'less than three times');
    assert.deepEqual(herds(work({ tries: 8, herdAt: 15, herd: 8 })), [], 'chance');
  });

  it('says nothing before it knows the shares, of tries that follow a session, and of nodes that changed', () => {
    assert.deepEqual(herds(work({ tries: 100, herdAt: BLOCK_WINDOWS - 1, herd: 100 })), []);
    assert.equal(herds(work({ tries: 100, herdAt: BLOCK_WINDOWS, herd: 100 })).length, 1);
    assert.deepEqual(herds(work({ tries: 100, herdAt: 15, herd: 100, affinity: true })), []);
    const slow = { kind: 'slow', node: 1, atMs: 14_000, durationMs: 10, factor: 6 } as const;
    assert.deepEqual(herds(work({ tries: 100, herdAt: 15, herd: 100 }), { plan: [slow] }), []);
    const others = [0, 2, 3].map((node) => [14_500, stopped(node)] as const);
    assert.deepEqual(herds([...work({ tries: 100, herdAt: 15, herd: 100 }), ...others]), [], 'it was alone');
  });
});

function refused(requestId: string): WorldEvent {
  return { type: 'offered', node: 1, from: 0, requestId, answer: 'refused', code: 'busy' };
}

describe('V7, full nodes are not asked while others stand idle', () => {
  const fromMs = BLOCK_WINDOWS * scenarioIntervalMs(SCENARIO);

  /** Nodes 1 to 3 ran the model, and `busy` of them run it now; then 400 requests come, and of the first ones `bounced` bounce off n1. */
  function bounces(bounced: number, { busy = 1, requests = 400, atMs = fromMs } = {}, told: Told = {}): string[] {
    const before = [1, 2, 3].flatMap((node): Trace => [
      [1, arrived(`old${node}`)],
      [2, run('run-started', node, `old${node}`)],
      ...(node <= busy ? [] : ([[3, run('run-ended', node, `old${node}`)]] as const)),
    ]);
    const now = Array.from({ length: requests }, (_, index): Trace => {
      const come = [atMs, arrived(`r${index}`)] as const;
      return index < bounced ? [come, [atMs, refused(`r${index}`)]] : [come];
    });
    return herds([...before, ...now.flat()], told);
  }

  it('but for a few', () => {
    // 20 of 400 are allowed; a mean of 20 shows 32 once in a hundred runs.
    assert.equal(BLIND_SHARE_MAX * 400, 20);
    assert.deepEqual(bounces(31), []);
    assert.match(bounces(32)[0] ?? '', /32 times a full node was asked .* at most 20\.0 of 400 requests promised/);
    assert.deepEqual(bounces(REQUESTS_MIN - 1, { requests: REQUESTS_MIN - 1 }), [], 'too few to tell');
    assert.equal(bounces(REQUESTS_MIN, { requests: REQUESTS_MIN }).length, 1);
  });

  it('where half of those that hold the model are free, speeds are known, and nothing is struck or lies', () => {
    assert.deepEqual(bounces(400, { busy: 2 }), [], 'one of three is free');
    assert.deepEqual(bounces(400, { atMs: fromMs - 1 }), []);
    const lasting = { atMs: fromMs - 1_000, durationMs: 2_000 };
    for (const fault of [
      { kind: 'slow', node: 1, factor: 6, ...lasting },
      { kind: 'delay', node: 0, addedMs: 100, ...lasting },
      { kind: 'liar', node: 3, lie: 'load', ...lasting },
    ] as const)
      assert.deepEqual(bounces(400, {}, { plan: [fault] }), [], fault.kind);
    assert.equal(
      bounces(400, {}, { plan: [{ kind: 'slow', node: 2, factor: 6, ...lasting }] }).length,
      0,
      'one is left',
    );
  });
});

/** So many runs end in each ten seconds. */
const working = (perBin: number): Trace =>
  Array.from({ length: 40 * perBin }, (_, index) => [
    Math.floor(index / perBin) * 10_000 + 1,
    run('run-ended', 1, 'a'),
  ]);

describe('V8, crowds pass', () => {
  const crowd = { kind: 'flash-crowd', atMs: 100_000, durationMs: 30_000, factor: 5 } as const;
  const endMs = crowd.atMs + crowd.durationMs;
  const deadlineMs = endMs + V8_LIMITS.lengthFactor * crowd.durationMs;
  const usual = { queued: 10, busy: 20 };
  // 1.5 times 10, plus 2 and a tenth of four nodes with 10 slots; 1.5 times 20, plus 1 a second.
  const most = { queued: 21, busy: 40 };

  /** Four nodes; what waits in all, and busy answers in each ten seconds, until and from `backMs`. */
  function mesh(backMs: number, back = usual): Trace {
    const trace: [number, WorldEvent][] = [];
    for (let atMs = 0; atMs < 400_000; atMs += 1_000) {
      const { queued, busy } = atMs < crowd.atMs ? usual : atMs < backMs ? { queued: 200, busy: 500 } : back;
      for (let node = 0; node < 4; node += 1) trace.push([atMs, sampled(node, { queued: queued / 4, slots: 10 })]);
      if (atMs % 10_000 !== 0) continue;
      for (let count = 0; count < busy; count += 1)
        trace.push([atMs, { type: 'offered', node: 1, from: 0, requestId: 'a', answer: 'refused', code: 'busy' }]);
    }
    return trace;
  }

  function congested(trace: Trace, told: Told = {}): string[] {
    const light = { ...SCENARIO.workload, load: 0.2 };
    return check(crowdsPass, trace, { plan: [crowd], scenario: { workload: light }, ...told }).map(
      ({ detail }) => detail,
    );
  }

  it('or half as long again as what waits takes the mesh with what the usual load leaves free', () => {
    const light = { scenario: { workload: { ...SCENARIO.workload, load: 0.5 } } };
    // 200 wait, and 10 a second are done, of which the usual load takes half: 60 s instead of the 135 s that a crowd could bring.
    for (const { backMs, perBin, count } of [
      { backMs: deadlineMs - 10_000, perBin: 100, count: 0 },
      { backMs: deadlineMs, perBin: 100, count: 2 },
      { backMs: deadlineMs + 50_000, perBin: 50, count: 0 },
      { backMs: deadlineMs + 60_000, perBin: 50, count: 2 },
    ])
      assert.equal(congested([...mesh(backMs), ...working(perBin)], light).length, count, `${backMs}`);
    // With one slot a node no more than 32 count as a backlog.
    const narrow = mesh(deadlineMs + 50_000).map(([atMs, event]): Trace[number] =>
      event.type === 'sampled' ? [atMs, sampled(event.node, { ...event.sample, slots: 1 })] : [atMs, event],
    );
    assert.equal(congested([...narrow, ...working(50)], light).length, 2, 'a queue that is too long is no excuse');
  });

  it('within twice their length', () => {
    assert.deepEqual(congested(mesh(deadlineMs - 10_000)), []);
    const [queued, busy] = congested(mesh(deadlineMs));
    assert.match(
      queued ?? '',
      /200.0 requests wait in the mesh 60000 ms after a crowd of 30000 ms, 10.0 before it, at most 21.0/,
    );
    assert.match(busy ?? '', /500.0 busy answers/);
  });

  it('to half as much again and a little', () => {
    assert.deepEqual(congested(mesh(endMs, most)), []);
    assert.equal(congested(mesh(endMs, { ...most, queued: most.queued + 1 })).length, 1);
    assert.equal(congested(mesh(endMs, { ...most, busy: most.busy + 1 })).length, 1);
  });

  it('or within what the backlog takes that they leave', () => {
    const half = { scenario: { workload: { ...SCENARIO.workload, load: 0.5 } } };
    // Five times half of what it can do for 30 s leaves 45 s of work for the other half: 90 s, and half as much again.
    assert.deepEqual(congested(mesh(endMs + 120_000), half), []);
    assert.equal(congested(mesh(endMs + 140_000), half).length, 2);
  });

  it('says nothing when another crowd follows, or when too many slots are missing', () => {
    const next = { ...crowd, atMs: deadlineMs - 1_000 };
    assert.deepEqual(congested(mesh(1e6), { plan: [crowd, { ...next, durationMs: 1e6 }] }), []);
    const fewer = mesh(1e6).filter(
      ([atMs, event]) => !(event.type === 'sampled' && event.node === 3 && atMs > endMs - 1),
    );
    assert.deepEqual(congested(fewer), []);
    const slow = { kind: 'slow', node: 2, atMs: crowd.atMs - 1_000, durationMs: 20_000, factor: 3 } as const;
    assert.deepEqual(congested(mesh(1e6), { plan: [crowd, slow] }), []);
  });
});
