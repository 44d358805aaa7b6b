/**
 * What a run was, what came of it and what it broke, as one piece of JSON: the report that is saved, compared, drawn
 * (`report-html/`) and told in a screen of text (`report-text.ts`). Promises that were not judged, because the machine
 * that they speak of does not exist yet, are listed as such. Limits: 200 violations are kept, all are counted; the
 * bounds of the metrics are their own. Source: MESH invariants' names; the shape is ours.
 */
import type { CausalSlice } from './causal-slice.ts';
import type { CheckerKind, Violation } from '../checker.ts';
import type { FaultPlan } from '../faults/fault.ts';
import type { MetricsReport } from './metrics.ts';
import type { MachineKind, NatClass, Scenario } from '../scenario.ts';

const VIOLATIONS_MAX = 200;

export interface NodeFacts {
  readonly kind: MachineKind;
  readonly nat: NatClass;
}

export interface ReportedViolation extends Violation {
  readonly promise: string;
  /** Absent for those beyond the first ones. */
  readonly slice?: CausalSlice;
}

export interface PromiseReport {
  readonly id: string;
  readonly promise: string;
  readonly when: CheckerKind['when'];
  /** How often it was broken. */
  readonly broken: number;
}

export interface RunReport {
  /** Of this shape; a reader refuses another. */
  readonly version: 1;
  readonly scenario: Scenario;
  readonly seed: number;
  readonly commit: string;
  /** Seals every event of the run: equal hashes, equal runs. */
  readonly traceHash: string;
  /** The hash at whole times, so that the first difference of two runs can be found. */
  readonly checkpoints: readonly { readonly atMs: number; readonly hash: string }[];
  /** Simulated time that was run: less than the scenario asks for when it was ended early. */
  readonly durationMs: number;
  readonly endedEarly: boolean;
  /** Time of the machine that simulated it, where it was measured. */
  readonly tookMs?: number;
  readonly nodeHours: number;
  readonly nodes: readonly NodeFacts[];
  readonly metrics: MetricsReport;
  readonly promises: readonly PromiseReport[];
  readonly violations: readonly ReportedViolation[];
  /** Found beyond those that are listed. */
  readonly violationsLeftOut: number;
  readonly plan: FaultPlan;
  /** Promises that nobody judged yet. */
  readonly notYet: readonly { readonly id: string; readonly promise: string }[];
  /** The one command that runs it again. */
  readonly reproduce: string;
}

export interface ReportParts {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly commit: string;
  readonly traceHash: string;
  readonly checkpoints: RunReport['checkpoints'];
  readonly durationMs: number;
  readonly tookMs?: number;
  readonly nodes: readonly NodeFacts[];
  readonly metrics: MetricsReport;
  /** All kinds, also those without a machine. */
  readonly checkers: readonly CheckerKind[];
  readonly violations: readonly { readonly violation: Violation; readonly slice: CausalSlice | undefined }[];
  readonly plan: FaultPlan;
  readonly reproduce: string;
}

export function buildReport(parts: ReportParts): RunReport {
  const { scenario, seed, commit, traceHash, checkpoints, durationMs, nodes, metrics, checkers, plan, reproduce } =
    parts;
  const promiseOf = new Map(checkers.map(({ id, promise }) => [id, promise]));
  const judged = checkers.filter(({ create }) => create !== undefined);
  const violations = parts.violations.slice(0, VIOLATIONS_MAX).map(({ violation, slice }) => ({
    ...violation,
    promise: promiseOf.get(violation.id) ?? '',
    ...(slice === undefined ? {} : { slice }),
  }));
  return {
    version: 1,
    scenario,
    seed,
    commit,
    traceHash,
    checkpoints,
    durationMs,
    endedEarly: durationMs < scenario.durationMs,
    ...(parts.tookMs === undefined ? {} : { tookMs: parts.tookMs }),
    nodeHours: metrics.summary.membership.nodeHours,
    nodes,
    metrics,
    promises: judged.map(({ id, promise, when }) => ({
      id,
      promise,
      when,
      broken: parts.violations.filter(({ violation }) => violation.id === id).length,
    })),
    violations,
    violationsLeftOut: Math.max(0, parts.violations.length - VIOLATIONS_MAX),
    plan,
    notYet: checkers.filter(({ create }) => create === undefined).map(({ id, promise }) => ({ id, promise })),
    reproduce,
  };
}

/** All that were found, listed or not. */
export function violationCount(report: RunReport): number {
  return report.violations.length + report.violationsLeftOut;
}
