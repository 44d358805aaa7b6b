import type { CheckerKind, Truth, Violation } from '../../../simulations/checker.ts';
import type { Fault } from '../../../simulations/faults/fault.ts';
import type { Scenario } from '../../../simulations/scenario.ts';
import type { NodeSample, WorldEvent } from '../../../simulations/world-event.ts';
import type { ModelId, NodeId } from '../../../src/ids.ts';
import type { DispatchPlan } from '../../../src/node/events.ts';

export type Trace = readonly (readonly [number, WorldEvent])[];

export interface Told {
  readonly scenario?: Partial<Scenario>;
  readonly plan?: readonly Fault[];
  readonly truth?: Partial<Truth>;
  readonly untilMs?: number;
}

export const SCENARIO: Scenario = {
  name: 'told by hand',
  question: 'does the checker see it?',
  nodes: 4,
  machines: { mac: 1 },
  nat: { public: 1 },
  bootstraps: 1,
  models: [{ name: 'm', holders: 1, contextTokens: 8_192, loadMs: 0, speed: 1, demand: 1 }],
  workload: {
    arrivals: 'steady',
    load: 0.5,
    followUps: 0,
    promptTokens: 300,
    answerTokens: 120,
    answerTokensMax: 1_000,
  },
  network: { delayMsMin: 5, delayMsMax: 40, jitterMs: 2, loss: 0, lossBurstMs: 300, bytesPerSecond: 1e6, queueMs: 200 },
  gossip: 'hop',
  faults: { perNodeHour: {}, enable: 1 },
  startWithinMs: 1_000,
  faultsFromMs: 60_000,
  healAtMs: 300_000,
  durationMs: 600_000,
  drainMs: 60_000,
};

/** What a checker says about a trace. */
export function check(kind: CheckerKind, trace: Trace, told: Told = {}): Violation[] {
  const violations: Violation[] = [];
  const scenario = { ...SCENARIO, ...told.scenario };
  const truth: Truth = {
    nodes: scenario.nodes,
    isUp: () => true,
    sinceMs: () => 0,
    canTalk: () => true,
    isConnected: () => true,
    isCarried: () => true,
    relaysOf: () => [],
    isHonest: () => true,
    ...told.truth,
  };
  const report = (violation: Omit<Violation, 'id'>): void => void violations.push({ id: kind.id, ...violation });
  const checker = kind.create?.({ scenario, plan: told.plan ?? [], truth, report });
  if (checker === undefined) throw new Error(`${kind.id} does not exist`);
  let lastMs = 0;
  for (const [atMs, event] of trace.toSorted(([left], [right]) => left - right)) {
    checker.observe(event, atMs);
    lastMs = atMs;
  }
  checker.finish(told.untilMs ?? lastMs);
  return violations;
}

export function started(nodes: number): Trace {
  return Array.from({ length: nodes }, (_, node) => [0, { type: 'started', node, incarnation: 100 }] as const);
}

export function allAlive(nodes: number, atMs: number): Trace {
  const all = Array.from({ length: nodes }, (_, node) => node);
  return all.flatMap((node) =>
    all.filter((target) => target !== node).map((target) => [atMs, verdict(node, target, 'alive')] as const),
  );
}

type Said = 'alive' | 'suspect' | 'dead' | 'left';

export function verdict(node: number, target: number, ...[said, reason = 'silent']: [Said, string?]): WorldEvent {
  return { type: 'verdict', node, target, verdict: said, reason };
}

export function stopped(node: number, how: Extract<WorldEvent, { type: 'stopped' }>['how'] = 'crashed'): WorldEvent {
  return { type: 'stopped', node, how };
}

export function sampled(node: number, sample: Partial<NodeSample> = {}): WorldEvent {
  return {
    type: 'sampled',
    node,
    sample: {
      alive: 4,
      suspect: 0,
      viewAgeMs: 500,
      isStale: false,
      connections: 3,
      running: 0,
      queued: 0,
      asked: 0,
      slots: 2,
      bufferedBytes: 0,
      gossipBytes: 0,
      heartbeatBytes: 0,
      requestBytes: 0,
      viewHash: 7,
      ...sample,
    },
  };
}

export function arrived(requestId: string, node = 0, feasible = 3): WorldEvent {
  return { type: 'request-arrived', node, requestId, model: 0, promptTokens: 300, answerTokens: 100, feasible };
}

export function tryStarted(requestId: string, server: number, resumedAt = 0): WorldEvent {
  return { type: 'try-started', node: 0, requestId, server, resumedAt };
}

export function tryEnded(
  requestId: string,
  server: number,
  outcome: 'answered' | 'busy' | 'failed' | 'cancelled' = 'failed',
): WorldEvent {
  return { type: 'try-ended', node: 0, requestId, server, outcome, code: '' };
}

export function text(requestId: string, position: number, tokens = 1): WorldEvent {
  return { type: 'text', node: 0, requestId, position, tokens };
}

export function ended(
  requestId: string,
  tokens: number,
  more: Partial<Extract<WorldEvent, { type: 'request-ended' }>> = {},
): WorldEvent {
  const event = {
    node: 0,
    requestId,
    result: 'answered',
    failure: undefined,
    tokens,
    completionTokens: tokens,
  } as const;
  return { type: 'request-ended', ...event, ...more };
}

export function run(
  type: 'run-started' | 'run-ended',
  node: number,
  ...[requestId, resumedAt = 0]: [string, number?]
): WorldEvent {
  const of = { node, requestId, from: 0 };
  return type === 'run-started' ? { type, ...of, resumedAt } : { type, ...of };
}

export function nodeName(node: number): NodeId {
  return `node-${String(node).padStart(3, '0')}` as NodeId;
}

export interface Row {
  readonly node: number;
  readonly weight: number;
  readonly costMs?: number;
  readonly affinity?: boolean;
}

/** A placement of these rows, ranked in the order given unless said otherwise. */
export function planOf(rows: readonly Row[], ranked: readonly number[] = rows.map(({ node }) => node)): DispatchPlan {
  const total = rows.reduce((sum, { weight }) => sum + weight, 0);
  return {
    ranked: ranked.map(nodeName),
    levelMs: 1_000,
    explain: {
      model: 'm' as ModelId,
      promptTokens: 300,
      answerTokens: 1,
      result: 'placed',
      summary: '',
      levelMs: 1_000,
      ranked: ranked.map(nodeName),
      considered: rows.map(({ node, weight, costMs = 500, affinity = false }) => ({
        node: nodeName(node),
        expectedMs: costMs,
        costMs,
        weight,
        affinity,
        rank: ranked.indexOf(node) + 1,
        sharePerMille: total === 0 ? 0 : Math.floor((weight * 1_000) / total),
        why: '',
      })),
      refused: [],
      omitted: 0,
    },
  };
}

export function placed(requestId: string, plan: DispatchPlan): WorldEvent {
  return { type: 'placed', node: 0, requestId, plan };
}
