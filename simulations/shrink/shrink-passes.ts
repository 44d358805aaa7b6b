/**
 * How can a run be made smaller by one step? Each pass proposes smaller runs, the boldest first; whether one still fails is
 * for `shrink.ts` to find out. Nodes that a fault strikes stay; members of groups may go as long as each group keeps one.
 * Nodes are left out from the end, and those that stay may move to lower numbers, because numbers are all that a fault
 * knows of them; the machine behind a number may then be another one, so that many such steps do not fail any more.
 */
import type { Fault, FaultPlan } from '../faults/fault.ts';
import { endOf, nodeOf } from '../faults/fault-kinds.ts';
import type { RunFile } from '../run-file.ts';
import { publicNodes } from '../scenario-check.ts';
import type { FaultMix, Scenario, WorkloadSpec } from '../scenario.ts';

/** The plan is made; what a seed might draw must not keep a scenario from having fewer nodes or no work. */
const NO_MIX: FaultMix = { perNodeHour: {}, enable: 1 };

/** Smaller runs than this one, each of which may or may not fail. */
export type ShrinkPass = (run: RunFile) => Generator<RunFile, void, void>;

/** Durations are not halved below this: shorter says nothing more. Source: guess: a heartbeat interval. */
const DURATION_MS_MIN = 500;
/** Least load, and how little of a run or of its tail is worth cutting. Source: guess. */
const LOAD_MIN = 0.01;
const TIME_MS_MIN = 1_000;

/** Each fault half as long. */
export function* shorterFaults(run: RunFile): Generator<RunFile, void, void> {
  for (const [index, fault] of run.plan.entries()) {
    if (!('durationMs' in fault) || fault.durationMs <= DURATION_MS_MIN) continue;
    const shorter: Fault = { ...fault, durationMs: Math.max(DURATION_MS_MIN, Math.floor(fault.durationMs / 2)) };
    yield { ...run, plan: run.plan.with(index, shorter) };
  }
}

/** As few as the faults leave, half of the way there, a quarter, ... , one less; then the same with nodes moved up. */
export function* fewerNodes(run: RunFile): Generator<RunFile, void, void> {
  const { nodes } = run.scenario;
  const least = Math.max(1, ...keptNodes(run.plan).map((node) => node + 1));
  for (let drop = nodes - least; drop > 0; drop = Math.floor(drop / 2)) {
    const smaller = withoutLast(run, nodes - drop);
    if (smaller !== undefined) yield smaller;
  }
  const moved = movedUp(run);
  if (moved !== undefined) yield moved;
}

/** 1. nobody asks; 2. an early end; 3. a short tail; 4. late faults sooner; 5. less load; 6. one entrance. */
export function* fewerRequests(run: RunFile): Generator<RunFile, void, void> {
  const { scenario, plan } = run;
  const { workload, healAtMs, durationMs, drainMs, faultsFromMs } = scenario;
  const change = (changed: Partial<Scenario>): RunFile => ({ ...run, scenario: { ...scenario, ...changed } });
  const work = (changed: Partial<WorkloadSpec>): RunFile => change({ workload: { ...workload, ...changed } });
  // 1.
  if (workload.arrivals !== 'none') yield change({ workload: { ...workload, arrivals: 'none' }, faults: NO_MIX });
  // 2. Healing right after the last fault; all that comes later comes that much sooner.
  const lastEndMs = Math.max(faultsFromMs, ...plan.map(endOf));
  for (const idleMs of steps(healAtMs - lastEndMs))
    yield change({ healAtMs: healAtMs - idleMs, durationMs: durationMs - idleMs });
  // 3.
  for (const tailMs of steps(durationMs - healAtMs)) {
    const shorterMs = durationMs - tailMs;
    yield change({ durationMs: shorterMs, drainMs: Math.min(drainMs, shorterMs) });
  }
  // 4.
  yield* soonerFaults(run);
  if (workload.arrivals === 'none') return;
  // 5.
  if (workload.load / 2 >= LOAD_MIN) yield work({ load: workload.load / 2 });
  // 6.
  if ((workload.ingressNodes ?? scenario.nodes) > 1) yield work({ ingressNodes: 1 });
}

/** The whole of the time, half of it, a quarter, ... */
function* steps(wholeMs: number): Generator<number, void, void> {
  for (let stepMs = wholeMs; stepMs >= TIME_MS_MIN; stepMs = Math.floor(stepMs / 2)) yield stepMs;
}

/** Everything from the first fault on, earlier by the time in which nothing strikes. */
function* soonerFaults(run: RunFile): Generator<RunFile, void, void> {
  const { scenario, plan } = run;
  const first = plan[0];
  if (first === undefined) return;
  for (const earlierMs of steps(first.atMs - scenario.faultsFromMs))
    yield {
      ...run,
      scenario: {
        ...scenario,
        healAtMs: scenario.healAtMs - earlierMs,
        durationMs: scenario.durationMs - earlierMs,
        drainMs: Math.min(scenario.drainMs, scenario.durationMs - earlierMs),
      },
      plan: plan.map((fault) => ({ ...fault, atMs: fault.atMs - earlierMs })),
    };
}

/** Those that a fault strikes by itself. */
function keptNodes(plan: FaultPlan): readonly number[] {
  return plan.flatMap((fault) => nodeOf(fault) ?? []);
}

function withoutLast(run: RunFile, nodes: number): RunFile | undefined {
  const plan: Fault[] = [];
  for (const fault of run.plan) {
    const smaller = renumbered(fault, (node) => (node < nodes ? node : undefined));
    if (smaller === undefined) return undefined;
    plan.push(smaller);
  }
  return { ...run, scenario: withNodes(run.scenario, nodes), plan };
}

/** The kept ones take the lowest numbers, in their order; the others follow. undefined = they have them already. */
function movedUp(run: RunFile): RunFile | undefined {
  const kept = [...new Set(keptNodes(run.plan))].toSorted((left, right) => left - right);
  if (kept.every((node, index) => node === index)) return undefined;
  const others = Array.from({ length: run.scenario.nodes }, (_, node) => node).filter((node) => !kept.includes(node));
  const numbers = new Map([...kept, ...others].map((node, index) => [node, index]));
  return { ...run, plan: run.plan.map((fault) => renumbered(fault, (node) => numbers.get(node)) ?? fault) };
}

/** undefined = a group has nobody left, or the node itself has gone. */
function renumbered(fault: Fault, numberOf: (node: number) => number | undefined): Fault | undefined {
  const all = (group: readonly number[]): readonly number[] =>
    group.flatMap((node) => numberOf(node) ?? []).toSorted((left, right) => left - right);
  if (fault.kind === 'partition') {
    const groups = fault.groups.map(all);
    return groups.some((group) => group.length === 0) ? undefined : { ...fault, groups };
  }
  if (fault.kind === 'swizzle') {
    // Their order is that in which they are cut off.
    const nodes = fault.nodes.flatMap((node) => numberOf(node) ?? []);
    return nodes.length === 0 ? undefined : { ...fault, nodes };
  }
  if (fault.kind === 'flash-crowd') return fault;
  const node = numberOf(fault.node);
  return node === undefined ? undefined : { ...fault, node };
}

function withNodes(scenario: Scenario, nodes: number): Scenario {
  const { workload, nat } = scenario;
  const bootstraps = Math.min(scenario.bootstraps, nodes, publicNodes({ nodes, nat }));
  const smaller: Scenario = { ...scenario, nodes, bootstraps, faults: NO_MIX };
  if (workload.ingressNodes === undefined || workload.ingressNodes <= nodes) return smaller;
  return { ...smaller, workload: { ...workload, ingressNodes: nodes } };
}
