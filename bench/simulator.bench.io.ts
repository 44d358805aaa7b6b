/**
 * How many hours of nodes does the simulator run in a second of processor time, against the goals of 10 at 100 nodes with
 * aggregated gossip, 5 per hop, and 0.5 at 1,000? Meshes of 12 and 100 nodes live side by side in this process and take turns:
 * a round lets each go on for some seconds of its own time. Then a thousand nodes join (told apart) and go on. Nothing is
 * left out: the production core, requests at 0.15 of what the machines can do, every checker, metrics, trace hash.
 * Processor time is what `process.cpuUsage` says, garbage collection and compiling included, so on a shared machine it
 * carries the neighbours' noise; a loop of known work says how fast the processor is now. Bounded: about four minutes.
 */
import { CHECKERS } from '../simulations/checkers/index.ts';
import { Run } from '../simulations/run.ts';
import { BASE } from '../simulations/scenarios/base.ts';
import type { Scenario } from '../simulations/scenario.ts';
import { interleaved, summarize } from './stats.ts';

const LOAD = 0.15;
const STARTS_MS = 5_000;
const SETTLED_MS = 12_000;
const ROUNDS = 5;
/** For the small ones, and for all. */
const SMALL_MS_MAX = 100_000;
const TIME_MS_MAX = 225_000;
const MS_PER_HOUR = 3_600_000;
/** Source: measured: a processor of 3 GHz that is alone takes about 0.13 s. */
const LOOP_TURNS = 1e8;

interface Case {
  readonly label: string;
  readonly nodes: number;
  readonly gossip: Scenario['gossip'];
  readonly goal: number | undefined;
  /** Virtual time of one round. */
  readonly sliceMs: number;
}

interface Sample {
  readonly nodeHours: number;
  readonly cpuSeconds: number;
  readonly events: number;
}

interface Live extends Case {
  readonly run: Run;
  readonly samples: Sample[];
}

const SMALL: readonly Case[] = [
  { label: '12 nodes, per hop', nodes: 12, gossip: 'hop', goal: undefined, sliceMs: 40_000 },
  { label: '100 nodes, per hop', nodes: 100, gossip: 'hop', goal: 5, sliceMs: 3_000 },
  { label: '100 nodes, aggregated', nodes: 100, gossip: 'aggregated', goal: 10, sliceMs: 6_000 },
];
const LARGE: Case = { label: '1,000 nodes, aggregated', nodes: 1_000, gossip: 'aggregated', goal: 0.5, sliceMs: 1_000 };

const startedAtMs = performance.now();
const loop = [loopSeconds()];
const small = SMALL.map((one) => live(one, STARTS_MS));
for (const { run } of small) run.advance(SETTLED_MS);
for (const one of interleaved(small, ROUNDS))
  if (performance.now() - startedAtMs < SMALL_MS_MAX) one.samples.push(sampled(one));
loop.push(loopSeconds());
print(
  `core, requests (load ${LOAD}), ${CHECKERS.length} kinds of checkers, metrics and trace hash are on; nothing fails\n`,
);
for (const { label, goal, samples } of small) print(row(label, goal, samples));

const large = live(LARGE, 15_000);
const joining: Sample[] = [];
const isInTime = (): boolean => performance.now() - startedAtMs < TIME_MS_MAX;
while (large.run.nowMs < 20_000 && isInTime()) joining.push(sampled(large));
while (large.samples.length < ROUNDS && isInTime()) large.samples.push(sampled(large));
print(row(`${LARGE.label}, joining`, undefined, joining));
print(row(LARGE.label, LARGE.goal, large.samples));
loop.push(loopSeconds());
const peakMb = process.resourceUsage().maxRSS / 1_024;
print(`peak memory of this process, with all of these meshes: ${peakMb.toFixed(0)} MB (goal for 1,000 nodes: 1500)`);
print(
  `a loop of ${LOOP_TURNS} turns took ${loop.map((seconds) => seconds.toFixed(2)).join(', ')} s (about 0.13 undisturbed)`,
);

function live(one: Case, startWithinMs: number): Live {
  const scenario: Scenario = {
    ...BASE,
    name: 'bench',
    question: 'How fast is the simulator?',
    nodes: one.nodes,
    bootstraps: Math.min(8, one.nodes),
    workload: { ...BASE.workload, arrivals: 'steady', load: LOAD },
    gossip: one.gossip,
    startWithinMs,
    healAtMs: startWithinMs,
    durationMs: MS_PER_HOUR,
  };
  const run = new Run({ scenario, seed: 1, plan: [], checkers: CHECKERS, commit: '', reproduce: '' });
  return { ...one, run, samples: [] };
}

function sampled({ run, nodes, sliceMs }: Live): Sample {
  const ranBefore = run.ran;
  const before = process.cpuUsage();
  run.advance(run.nowMs + sliceMs);
  const { user, system } = process.cpuUsage(before);
  return {
    nodeHours: (nodes * sliceMs) / MS_PER_HOUR,
    cpuSeconds: (user + system) / 1e6,
    events: run.ran - ranBefore,
  };
}

function row(label: string, goal: number | undefined, samples: readonly Sample[]): string {
  if (samples.length === 0) return `${label}: the time was up before`;
  const rates = summarize(samples.map(({ nodeHours, cpuSeconds }) => nodeHours / cpuSeconds));
  const events = summarize(samples.map((sample) => sample.events / sample.cpuSeconds));
  const goalText = goal === undefined ? '' : ` (goal >= ${goal}: ${rates.median >= goal ? 'met' : 'missed'})`;
  const [min, median, max] = [rates.min, rates.median, rates.max].map((rate) => rate.toFixed(3));
  return `${label}: node-hours per CPU-second min ${min}, median ${median}, max ${max}${goalText}; ${Math.round(events.median)} events per CPU-second, ${samples.length} rounds`;
}

/** A chain of multiplications that no compiler takes apart. */
function loopSeconds(): number {
  const before = process.cpuUsage();
  let value = 1;
  for (let turn = 0; turn < LOOP_TURNS; turn += 1) value = (Math.imul(value, 31) + turn) | 0;
  const { user, system } = process.cpuUsage(before);
  // The value is used, or there would be no loop.
  return value === 0.5 ? 0 : (user + system) / 1e6;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
