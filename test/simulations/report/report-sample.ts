/**
 * A world that never was, for the tests of the report: nodes that fall and come back, others that notice with a delay,
 * requests that are placed, answered, fail and go on elsewhere. Everything is drawn from a seed, and nothing of the core
 * runs; what it feeds is the trace, as the simulator writes it.
 */
import { failure } from '../../../src/errors.ts';
import { parseModelId, parseNodeId, type NodeId } from '../../../src/ids.ts';
import { Prng } from '../../../src/prng.ts';
import { invariant } from '../../../src/assert.ts';
import { CausalMemory } from '../../../simulations/report/causal-slice.ts';
import type { CheckerKind, Violation } from '../../../simulations/checker.ts';
import type { Fault } from '../../../simulations/faults/fault.ts';
import { Metrics } from '../../../simulations/report/metrics.ts';
import { buildReport, type NodeFacts, type RunReport } from '../../../simulations/report/report.ts';
import type { MachineKind, Scenario } from '../../../simulations/scenario.ts';
import type { NodeSample, WorldEvent } from '../../../simulations/world-event.ts';

export interface SampleOptions {
  readonly nodes: number;
  readonly durationMs: number;
  readonly requestsPerSecond: number;
  readonly fallsPerNodeHour: number;
  readonly broken?: boolean;
  readonly name?: string;
  readonly model?: string;
}

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

export function nodeId(node: number): NodeId {
  const digits = [...Array(6).keys()].map((place) => ALPHABET[Math.floor(node / 58 ** place) % 58]).join('');
  const id = parseNodeId(`12D3KooW${digits.padEnd(44, 'x')}`);
  invariant(id !== undefined, 'the digits are base 58');
  return id;
}

export function nodeNumber(id: NodeId): number | undefined {
  return id
    .slice(8, 14)
    .split('')
    .reduceRight((sum, digit) => sum * 58 + ALPHABET.indexOf(digit), 0);
}

export function sampleScenario({ nodes, durationMs, name = 'sample', model = 'llama-8b' }: SampleOptions): Scenario {
  return {
    name,
    question: 'Do people in front of the chat notice when machines at home come and go?',
    nodes,
    machines: { server: 1, gaming: 3, mac: 2, laptop: 4 },
    nat: { public: 1, punchable: 2 },
    bootstraps: 1,
    models: [{ name: model, holders: 1, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 1 }],
    workload: {
      arrivals: 'steady',
      load: 0.5,
      followUps: 0,
      promptTokens: 300,
      answerTokens: 120,
      answerTokensMax: 500,
    },
    network: {
      delayMsMin: 5,
      delayMsMax: 45,
      jitterMs: 2,
      loss: 0.01,
      lossBurstMs: 300,
      bytesPerSecond: 2_000_000,
      queueMs: 200,
    },
    gossip: 'aggregated',
    faults: { perNodeHour: { crash: 1 }, enable: 1 },
    startWithinMs: 2_000,
    faultsFromMs: 10_000,
    healAtMs: durationMs * 0.85,
    durationMs,
    drainMs: 20_000,
  };
}

type Timed = readonly [atMs: number, event: WorldEvent];

class World {
  readonly events: (readonly [number, WorldEvent])[] = [];
  readonly plan: Fault[] = [];
  readonly random = new Prng('sample');
  readonly options: SampleOptions;
  /** [from, to) of each node's falls. */
  readonly down: (readonly [number, number])[][];

  constructor(options: SampleOptions) {
    this.options = options;
    this.down = Array.from({ length: options.nodes }, () => []);
  }

  isUp(node: number, atMs: number): boolean {
    return (this.down[node] ?? []).every(([from, to]) => atMs < from || atMs >= to);
  }

  add(atMs: number, event: WorldEvent): void {
    this.events.push([Math.round(atMs), event]);
  }

  between(low: number, high: number): number {
    return low + this.random.nextRatio() * (high - low);
  }
}

export function sampleTrace(options: SampleOptions): {
  readonly events: readonly Timed[];
  readonly plan: readonly Fault[];
} {
  const world = new World(options);
  for (let node = 0; node < options.nodes; node += 1)
    world.add(world.between(0, 2_000), { type: 'started', node, incarnation: 1 });
  addFalls(world);
  addWrongSuspicions(world);
  addSamples(world);
  addRequests(world);
  world.events.sort(([left], [right]) => left - right);
  return { events: world.events, plan: world.plan.toSorted((left, right) => left.atMs - right.atMs) };
}

function addFalls(world: World): void {
  const { nodes, durationMs, fallsPerNodeHour } = world.options;
  const count = Math.round((nodes * durationMs * fallsPerNodeHour) / 3_600_000);
  const kinds = ['crash', 'power-loss', 'leave', 'pause', 'suspend'] as const;
  for (let index = 0; index < count; index += 1) {
    const node = world.random.nextBelow(nodes);
    const kind = kinds[world.random.nextBelow(kinds.length)] ?? 'crash';
    const atMs = Math.round(world.between(10_000, durationMs * 0.8));
    const lastsMs = Math.round(kind === 'pause' ? world.between(800, 20_000) : world.between(5_000, durationMs / 6));
    const fallsAlready = (world.down[node] ?? []).some(
      ([from, to]) => atMs < to + 9_000 && atMs + lastsMs + 9_000 > from,
    );
    if (fallsAlready) continue;
    world.down[node]?.push([atMs, atMs + lastsMs]);
    addFall(world, { node, kind, atMs, lastsMs });
  }
  if (nodes >= 4) {
    const groups = [[0, 1], [...Array(nodes - 2).keys()].map((node) => node + 2)];
    world.plan.push({ kind: 'partition', atMs: durationMs * 0.3, durationMs: 15_000, groups, direction: 'both' });
    world.plan.push({ kind: 'slow', atMs: durationMs * 0.5, durationMs: durationMs * 0.2, node: 3, factor: 4 });
    world.plan.push({ kind: 'nat-rebinding', atMs: durationMs * 0.6, node: 2 });
    world.plan.push({ kind: 'flash-crowd', atMs: durationMs * 0.65, durationMs: durationMs * 0.1, factor: 5 });
  }
}

interface Fall {
  readonly node: number;
  readonly kind: 'crash' | 'power-loss' | 'leave' | 'pause' | 'suspend';
  readonly atMs: number;
  readonly lastsMs: number;
}

function addFall(world: World, { node, kind, atMs, lastsMs }: Fall): void {
  const how = (
    { crash: 'crashed', 'power-loss': 'powered-off', leave: 'left', pause: 'paused', suspend: 'suspended' } as const
  )[kind];
  const struck = { node, atMs, durationMs: lastsMs };
  if (kind === 'crash') world.plan.push({ ...struck, kind, state: 'kept' });
  else if (kind === 'suspend') world.plan.push({ ...struck, kind, clock: 'halts' });
  else world.plan.push({ ...struck, kind });
  world.add(atMs, { type: 'stopped', node, how });
  addNoticing(world, { node, kind, atMs, lastsMs });
  if (kind === 'pause' || kind === 'suspend') world.add(atMs + lastsMs, { type: 'resumed', node });
  else world.add(atMs + lastsMs, { type: 'started', node, incarnation: 2 });
}

function addNoticing(world: World, { node, kind, atMs, lastsMs }: Fall): void {
  const afterMs = { crash: 250, 'power-loss': 2_500, leave: 90, pause: 2_500, suspend: 2_500 }[kind];
  for (let observer = 0; observer < world.options.nodes; observer += 1) {
    if (observer === node || !world.isUp(observer, atMs)) continue;
    const reason = 'silent on every path';
    const verdict = kind === 'leave' ? 'left' : 'suspect';
    const noticedMs = afterMs + world.between(0, 600);
    if (noticedMs >= lastsMs || !world.isUp(observer, atMs + noticedMs)) continue;
    world.add(atMs + noticedMs, { type: 'verdict', node: observer, target: node, verdict, reason });
    if (noticedMs + 12_000 < lastsMs && verdict !== 'left' && world.isUp(observer, atMs + noticedMs + 12_000))
      world.add(atMs + noticedMs + 12_000, {
        type: 'verdict',
        node: observer,
        target: node,
        verdict: 'dead',
        reason: 'suspect for too long',
      });
    world.add(atMs + lastsMs + world.between(100, 900), {
      type: 'verdict',
      node: observer,
      target: node,
      verdict: 'alive',
      reason: 'joined',
    });
  }
}

function addWrongSuspicions(world: World): void {
  const { nodes, durationMs } = world.options;
  if (nodes < 8) return;
  for (let time = 0; time < 2; time += 1) {
    const target = 5 + time;
    const atMs = durationMs * (0.42 + 0.25 * time);
    for (let node = 0; node < nodes; node += 1) {
      if (node === target) continue;
      world.add(atMs + world.between(0, 200), {
        type: 'verdict',
        node,
        target,
        verdict: 'suspect',
        reason: 'silent on every path',
      });
      world.add(atMs + durationMs / 60, { type: 'verdict', node, target, verdict: 'alive', reason: 'refuted' });
    }
  }
}

function addSamples(world: World): void {
  const { nodes, durationMs } = world.options;
  const stepMs = Math.max(1_000, Math.floor(durationMs / 300 / 1_000) * 1_000);
  for (let atMs = 3_000; atMs <= durationMs; atMs += stepMs)
    for (let node = 0; node < nodes; node += 1)
      if (world.isUp(node, atMs)) world.add(atMs, { type: 'sampled', node, sample: sampleOf(world, atMs) });
}

export function sampleOf(world: Pick<World, 'between'>, atMs: number): NodeSample {
  return {
    alive: 18,
    suspect: 1,
    viewAgeMs: 700 + world.between(0, 900) + (atMs % 300_000 < 20_000 ? 4_000 : 0),
    isStale: false,
    connections: 12,
    running: Math.round(world.between(0, 3)),
    queued: 0,
    asked: 1,
    slots: 4,
    bufferedBytes: 900,
    gossipBytes: Math.round(world.between(6_000, 9_000)),
    heartbeatBytes: 2_000,
    requestBytes: Math.round(world.between(500, 4_000)),
    viewHash: 7,
  };
}

function addRequests(world: World): void {
  const { nodes, durationMs, requestsPerSecond } = world.options;
  const count = Math.round((durationMs / 1_000) * requestsPerSecond);
  for (let index = 0; index < count; index += 1) {
    const atMs = world.between(4_000, Math.max(4_001, durationMs - 20_000));
    const node = world.random.nextBelow(nodes);
    if (!world.isUp(node, atMs)) continue;
    addRequest(world, { requestId: index.toString(16).padStart(32, '0'), node, atMs });
  }
}

function addRequest(
  world: World,
  { requestId, node, atMs }: { readonly requestId: string; readonly node: number; readonly atMs: number },
): void {
  const { nodes, model = 'llama-8b' } = world.options;
  const at = { node, requestId };
  world.add(atMs, {
    type: 'request-arrived',
    ...at,
    model: 0,
    promptTokens: 300,
    answerTokens: 120,
    feasible: nodes - 1,
  });
  const server = world.random.nextBelow(nodes);
  const modelId = parseModelId(model);
  invariant(modelId !== undefined, 'the name of the model is allowed');
  const shares = [server, (server + 1) % nodes].map((chosen, index) => ({
    node: nodeId(chosen),
    expectedMs: 200,
    costMs: 220,
    weight: 1,
    affinity: false,
    rank: index + 1,
    sharePerMille: 500,
    why: 'about half of such requests',
  }));
  const explain = {
    model: modelId,
    promptTokens: 300,
    answerTokens: 120,
    result: 'placed' as const,
    summary: `2 nodes share requests for ${model}`,
    levelMs: 400,
    ranked: [],
    considered: shares,
    refused: [],
    omitted: 0,
  };
  world.add(atMs + 1, { type: 'placed', ...at, plan: { ranked: [nodeId(server)], levelMs: 400, explain } });
  if (world.random.nextBelow(150) === 0) {
    world.add(atMs + 2, {
      type: 'request-ended',
      ...at,
      result: 'failed',
      failure: failure('no-node-available', 'no node offers this model now'),
      tokens: 0,
      completionTokens: 0,
    });
    return;
  }
  world.add(atMs + 2, { type: 'try-started', ...at, server, resumedAt: 0 });
  const firstMs = atMs + 200 * Math.exp(world.between(-0.8, 2.2));
  world.add(firstMs, { type: 'text', ...at, position: 0, tokens: 1 });
  const endMs = firstMs + world.between(1_000, 9_000);
  const dies = (world.down[server] ?? []).find(([from]) => from > firstMs && from < endMs);
  if (dies === undefined) world.add(endMs, { type: 'text', ...at, position: 1, tokens: 119 });
  else addFailover(world, { ...at, server, atMs: dies[0] });
  const isLost = dies !== undefined && world.random.nextBelow(5) === 0;
  world.add(endMs + 4_000, {
    type: 'request-ended',
    ...at,
    result: isLost ? 'failed' : 'answered',
    failure: isLost ? failure('stream-lost', 'the serving node went away <b>mid-answer</b>') : undefined,
    tokens: 120,
    completionTokens: 120,
  });
}

function addFailover(
  world: World,
  {
    node,
    requestId,
    server,
    atMs,
  }: { readonly node: number; readonly requestId: string; readonly server: number; readonly atMs: number },
): void {
  const at = { node, requestId };
  const lostMs = atMs + world.between(200, 2_700);
  const next = (server + 1) % world.options.nodes;
  world.add(lostMs, { type: 'try-ended', ...at, server, outcome: 'failed', code: 'stream-lost' });
  world.add(lostMs + 5, { type: 'try-started', ...at, server: next, resumedAt: 40 });
  world.add(lostMs + 400, { type: 'text', ...at, position: 40, tokens: 80 });
}

const CHECKERS: readonly CheckerKind[] = [
  { id: 'S1', promise: 'At most one valid lease at any time.', when: 'always', create: undefined },
  {
    id: 'S6',
    promise: 'Every request ends once; its text has no gap and no repetition.',
    when: 'always',
    create: () => ({ observe: () => undefined, finish: () => undefined }),
  },
  {
    id: 'V1',
    promise: 'A silent death is suspected within 3 s by every connected node.',
    when: 'after-healing',
    create: () => ({ observe: () => undefined, finish: () => undefined }),
  },
];

export function sampleReport(options: SampleOptions): RunReport {
  const { events, plan } = sampleTrace(options);
  const metrics = new Metrics({ nodes: options.nodes, nodeOf: nodeNumber });
  const memory = new CausalMemory(options.nodes, plan);
  const violations: { violation: Violation; slice: ReturnType<CausalMemory['slice']> }[] = [];
  for (const [atMs, event] of events) {
    metrics.observe(event, atMs);
    memory.observe(event, atMs);
    if (options.broken === true && event.type === 'try-started' && event.resumedAt > 0 && violations.length < 3) {
      const { node, server, requestId } = event;
      const detail = 'promised: the text goes on at token 40; seen: token 39 <script>alert(1)</script> again';
      const violation = { id: 'S6', atMs, nodes: [node, server], requestId, detail };
      violations.push({ violation, slice: memory.slice(violation) });
    }
  }
  metrics.finish(options.durationMs);
  const kinds: readonly MachineKind[] = ['server', 'gaming', 'laptop', 'mac', 'laptop', 'mini', 'laptop', 'gaming'];
  const facts: readonly NodeFacts[] = Array.from({ length: options.nodes }, (_, node) => ({
    kind: kinds[(node * 7) % kinds.length] ?? 'laptop',
    nat: 'punchable',
  }));
  return buildReport({
    scenario: sampleScenario(options),
    seed: 8_812,
    commit: 'cbc9b06',
    traceHash: '00c0ffee00c0ffee',
    checkpoints: [{ atMs: 1_000, hash: '0123456789abcdef' }],
    durationMs: options.durationMs,
    tookMs: 4_210,
    nodes: facts,
    metrics: metrics.report(),
    checkers: CHECKERS,
    violations,
    plan,
    reproduce: `npm run sim -- run ${sampleScenario(options).name} --seed 8812`,
  });
}
