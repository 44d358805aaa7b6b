/**
 * Which seed is next, and what came of the others? First those that once found something (`seeds.json`), then the range,
 * each seed with the scenario that the rotation gives it or with the one that was asked for. Whatever ends, in whatever
 * order, is entered once; what was handed out and never ended is still known, so that no seed is lost. Limits: all ends
 * are counted, the first 1,000 failures are listed.
 */
import { invariant } from '../../src/assert.ts';
import { moment } from '../report/report-words.ts';
import { swarmScenario } from '../scenarios/index.ts';
import type { SeedEntry } from '../seeds.ts';
import type { SeedRange } from './amounts.ts';

const FAILURES_MAX = 1_000;

export interface SwarmTask {
  /** In the order in which they are handed out, from 0. */
  readonly number: number;
  readonly scenario: string;
  readonly seed: number;
}

export type SwarmOutcome =
  | { readonly type: 'passed'; readonly nodeHours: number }
  | {
      readonly type: 'failed';
      readonly nodeHours: number;
      readonly violations: number;
      readonly first: { readonly id: string; readonly atMs: number; readonly detail: string };
    }
  /** The run threw, or the process that ran it is gone. */
  | { readonly type: 'crashed'; readonly reason: string };

export interface SwarmFailure extends SwarmTask {
  readonly outcome: Exclude<SwarmOutcome, { readonly type: 'passed' }>;
}

export interface SwarmSummary {
  readonly total: number;
  readonly passed: number;
  readonly failed: number;
  readonly crashed: number;
  /** Handed out and not ended. */
  readonly unfinished: readonly SwarmTask[];
  /** Never handed out. */
  readonly notRun: number;
  readonly nodeHours: number;
  readonly failures: readonly SwarmFailure[];
  readonly scenarios: readonly { readonly scenario: string; readonly ended: number; readonly broken: number }[];
}

export interface SwarmOrder {
  readonly known: readonly SeedEntry[];
  readonly range: SeedRange;
  /** undefined = what the rotation says. */
  readonly scenario?: string | undefined;
}

export class SwarmLedger {
  readonly #order: SwarmOrder;
  readonly #underWay = new Map<number, SwarmTask>();
  readonly #failures: SwarmFailure[] = [];
  readonly #scenarios = new Map<string, { ended: number; broken: number }>();
  readonly #counts = { passed: 0, failed: 0, crashed: 0 };
  #handedOut = 0;
  #nodeHours = 0;

  constructor(order: SwarmOrder) {
    this.#order = order;
  }

  get total(): number {
    const { known, range } = this.#order;
    return known.length + range.last - range.first + 1;
  }

  get ended(): number {
    const { passed, failed, crashed } = this.#counts;
    return passed + failed + crashed;
  }

  get broken(): number {
    return this.#counts.failed + this.#counts.crashed;
  }

  /** undefined = all are handed out. A known seed that is also in the range runs twice, which is cheaper than to explain. */
  next(): SwarmTask | undefined {
    if (this.#handedOut >= this.total) return undefined;
    const { known, range, scenario } = this.#order;
    const number = this.#handedOut;
    this.#handedOut += 1;
    const entry = known[number];
    const seed = entry?.seed ?? range.first + number - known.length;
    const task = { number, scenario: entry?.scenario ?? scenario ?? swarmScenario(seed).name, seed };
    this.#underWay.set(number, task);
    return task;
  }

  enter(task: SwarmTask, outcome: SwarmOutcome): void {
    invariant(this.#underWay.delete(task.number), 'what ends was begun');
    this.#counts[outcome.type] += 1;
    const counts = this.#scenarios.get(task.scenario) ?? { ended: 0, broken: 0 };
    this.#scenarios.set(task.scenario, counts);
    counts.ended += 1;
    if (outcome.type !== 'crashed') this.#nodeHours += outcome.nodeHours;
    if (outcome.type === 'passed') return;
    counts.broken += 1;
    if (this.#failures.length < FAILURES_MAX) this.#failures.push({ ...task, outcome });
  }

  summary(): SwarmSummary {
    return {
      total: this.total,
      ...this.#counts,
      unfinished: [...this.#underWay.values()],
      notRun: this.total - this.#handedOut,
      nodeHours: this.#nodeHours,
      failures: this.#failures,
      scenarios: [...this.#scenarios]
        .map(([scenario, counts]) => ({ scenario, ...counts }))
        .toSorted((left, right) => (left.scenario < right.scenario ? -1 : 1)),
    };
  }
}

/** What broke, in one line. */
export function outcomeText({ scenario, seed, outcome }: SwarmFailure): string {
  const what = `${scenario} ${seed}`;
  if (outcome.type === 'crashed') return `CRASH ${what}: ${outcome.reason}`;
  const { first, violations } = outcome;
  const more = violations > 1 ? ` (and ${violations - 1} more)` : '';
  return `FAIL ${what}: ${first.id} at ${moment(first.atMs)}: ${first.detail}${more}`;
}
