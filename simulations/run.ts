/**
 * One run of the simulator from beginning to end: a world, and everything that looks at it. It goes forward in pieces, so
 * that a caller can show progress and end it early; what it found is a report, whenever it ends.
 */
import { CausalMemory, type CausalSlice } from './report/causal-slice.ts';
import type { Checker, CheckerKind, Violation } from './checker.ts';
import type { FaultPlan } from './faults/fault.ts';
import { Metrics } from './report/metrics.ts';
import { buildReport, type RunReport } from './report/report.ts';
import type { Scenario } from './scenario.ts';
import { worldSeed } from './seeded-run.ts';
import { TraceHash } from './kernel/trace-hash.ts';
import type { WorldEvent } from './world-event.ts';
import { World } from './world.ts';

export interface RunOptions {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly plan: FaultPlan;
  /** All kinds; those without a machine are listed as not yet judged. */
  readonly checkers: readonly CheckerKind[];
  /** What was run. */
  readonly commit: string;
  /** The command that runs it again. */
  readonly reproduce: string;
  /** Sees everything, in order; changes nothing. */
  watch?(event: WorldEvent, atMs: number): void;
}

export class Run {
  readonly #options: RunOptions;
  readonly #world: World;
  readonly #hash = new TraceHash();
  readonly #memory: CausalMemory;
  readonly #metrics: Metrics;
  readonly #checkers: readonly Checker[];
  readonly #gossipCheckers: readonly Checker[];
  readonly #violations: { readonly violation: Violation; readonly slice: CausalSlice | undefined }[] = [];

  constructor(options: RunOptions) {
    const { scenario, seed, plan, checkers } = options;
    this.#options = options;
    this.#memory = new CausalMemory(scenario.nodes, plan);
    this.#world = new World({
      scenario,
      seed: worldSeed(scenario, seed),
      plan,
      watch: (event, atMs) => this.#watch(event, atMs),
    });
    const { truth } = this.#world;
    this.#metrics = new Metrics({ nodes: scenario.nodes, nodeOf: (id) => this.#world.nodeOf(id), truth });
    this.#checkers = checkers.flatMap(({ id, create }) => {
      const context = {
        scenario,
        plan,
        truth,
        report: (found: Omit<Violation, 'id'>) => this.#found({ id, ...found }),
      };
      return create === undefined ? [] : [create(context)];
    });
    this.#gossipCheckers = this.#checkers.filter(({ ignoresGossip }) => ignoresGossip !== true);
  }

  get nowMs(): number {
    return this.#world.nowMs;
  }

  /** Events of the world's queue so far. */
  get ran(): number {
    return this.#world.ran;
  }

  get isOver(): boolean {
    return this.#world.nowMs >= this.#options.scenario.durationMs;
  }

  get violations(): readonly Violation[] {
    return this.#violations.map(({ violation }) => violation);
  }

  /** Runs up to there, or to the end. */
  advance(untilMs: number): void {
    this.#world.run(Math.min(untilMs, this.#options.scenario.durationMs));
  }

  /** Ends it. What was promised by the end is judged only when the end was reached. */
  finish(tookMs?: number): RunReport {
    const { scenario, seed, plan, checkers, commit, reproduce } = this.#options;
    const { nowMs } = this.#world;
    if (this.isOver) for (const checker of this.#checkers) checker.finish(nowMs);
    this.#metrics.finish(nowMs);
    return buildReport({
      scenario,
      seed,
      plan,
      checkers,
      commit,
      reproduce,
      traceHash: this.#hash.digest(),
      checkpoints: this.#hash.checkpoints(nowMs).map((hash, second) => ({ atMs: second * 1_000, hash })),
      durationMs: nowMs,
      nodes: this.#world.inhabitants.map(({ machine, nat }) => ({ kind: machine.kind, nat })),
      metrics: this.#metrics.report(),
      violations: this.#violations,
      ...(tookMs === undefined ? {} : { tookMs }),
    });
  }

  #watch(event: WorldEvent, atMs: number): void {
    this.#hash.fold(event, atMs);
    this.#memory.observe(event, atMs);
    this.#metrics.observe(event, atMs);
    const checkers = event.type === 'judged' ? this.#gossipCheckers : this.#checkers;
    for (const checker of checkers) checker.observe(event, atMs);
    this.#options.watch?.(event, atMs);
  }

  #found(violation: Violation): void {
    this.#violations.push({ violation, slice: this.#memory.slice(violation) });
  }
}
