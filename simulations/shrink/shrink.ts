/**
 * What is the least that still fails? Takes a run that broke a promise and tries smaller ones: fewer faults (ddmin), then
 * shorter ones, then fewer nodes, then less time and fewer requests, until nothing gets smaller or the budget is spent.
 * A candidate counts only if it breaks the same promise, which is for the runner to say; the runner is handed in, so
 * that this file knows no world. The search is a generator: it yields candidates and is told, so that a runner may take
 * its time. Limit: "least" means that no single step makes it smaller; another path might lead further down.
 */
import { ddmin } from './ddmin.ts';
import { checkPlan } from '../faults/fault-check.ts';
import type { RunFile } from '../run-file.ts';
import { checkScenario } from '../scenario-check.ts';
import { type ShrinkPass, fewerNodes, fewerRequests, shorterFaults } from './shrink-passes.ts';

type ShrinkPhase = 'faults' | 'durations' | 'nodes' | 'requests';

/** A candidate that failed too, and was gone on from. */
interface ShrinkStep {
  readonly phase: ShrinkPhase;
  /** Which of all runs it was, counted from 1. */
  readonly run: number;
  readonly faults: number;
  readonly nodes: number;
  readonly durationMs: number;
}

export interface Shrunk {
  /** Fails; `start` itself where nothing smaller did. */
  readonly smallest: RunFile;
  /** Runs that were made. */
  readonly runs: number;
  readonly steps: readonly ShrinkStep[];
  /** False: the budget ended before everything was tried. */
  readonly complete: boolean;
}

interface ShrinkOptions {
  /** A run that fails. */
  readonly start: RunFile;
  /** Most runs. */
  readonly budget: number;
}

/** `run` says whether a candidate still breaks the same promise. */
export function shrink({ run, ...options }: ShrinkOptions & { readonly run: (candidate: RunFile) => boolean }): Shrunk {
  const search = shrinking(options);
  let next = search.next();
  while (next.done !== true) next = search.next(run(next.value));
  return next.value;
}

/** The same for runners that take their time: yields a candidate, wants to be told whether it still fails. */
export function* shrinking(options: ShrinkOptions): Generator<RunFile, Shrunk, boolean> {
  const trial = new Trial(options);
  let before: RunFile;
  do {
    before = trial.smallest;
    yield* fewerFaults(trial);
    yield* repeat(trial, 'durations', shorterFaults);
    yield* repeat(trial, 'nodes', fewerNodes);
    yield* repeat(trial, 'requests', fewerRequests);
  } while (trial.smallest !== before && !trial.isSpent);
  return trial.result;
}

function* fewerFaults(trial: Trial): Generator<RunFile, void, boolean> {
  const { smallest } = trial;
  const search = ddmin(smallest.plan);
  let next = search.next();
  while (next.done !== true && !trial.isSpent) {
    next = search.next(yield* trial.fails({ ...smallest, plan: next.value }, 'faults'));
  }
}

/** Tries what the pass proposes; begins again from each that fails, until none does. */
function* repeat(trial: Trial, phase: ShrinkPhase, pass: ShrinkPass): Generator<RunFile, void, boolean> {
  let isSmaller = true;
  while (isSmaller && !trial.isSpent) {
    isSmaller = false;
    for (const candidate of pass(trial.smallest)) {
      if (trial.isSpent) break;
      isSmaller = yield* trial.fails(candidate, phase);
      if (isSmaller) break;
    }
  }
}

/** The smallest run so far, and what was tried already. */
class Trial {
  readonly #budget: number;
  readonly #tried = new Map<string, boolean>();
  readonly #steps: ShrinkStep[] = [];
  #smallest: RunFile;
  #runs = 0;
  #isSpent = false;

  constructor({ start, budget }: ShrinkOptions) {
    this.#smallest = start;
    this.#budget = budget;
    this.#tried.set(JSON.stringify(start), true);
  }

  get smallest(): RunFile {
    return this.#smallest;
  }

  /** Something was left untried for want of budget. */
  get isSpent(): boolean {
    return this.#isSpent;
  }

  get result(): Shrunk {
    return { smallest: this.#smallest, runs: this.#runs, steps: this.#steps, complete: !this.#isSpent };
  }

  /** What no scenario may be is not run, and nothing is run twice. */
  *fails(candidate: RunFile, phase: ShrinkPhase): Generator<RunFile, boolean, boolean> {
    const key = JSON.stringify(candidate);
    let failed = this.#tried.get(key);
    if (failed === undefined) {
      if (!isValid(candidate)) failed = false;
      else if (this.#runs >= this.#budget) {
        this.#isSpent = true;
        return false;
      } else {
        this.#runs += 1;
        failed = yield candidate;
      }
      this.#tried.set(key, failed);
    }
    if (failed) this.#goOnFrom(candidate, phase);
    return failed;
  }

  #goOnFrom(candidate: RunFile, phase: ShrinkPhase): void {
    this.#smallest = candidate;
    const { scenario, plan } = candidate;
    const { nodes, durationMs } = scenario;
    this.#steps.push({ phase, run: this.#runs, faults: plan.length, nodes, durationMs });
  }
}

function isValid({ scenario, plan }: RunFile): boolean {
  return checkScenario(scenario).type === 'valid' && checkPlan(plan, scenario).type === 'valid';
}
