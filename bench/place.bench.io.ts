/**
 * What does one placement cost at 100, 1,000 and 10,000 candidates once the view is prepared, against the goals of 10,
 * 20 and 150 us, and what does preparing cost? Two views each: `calm` (few arrivals, few nodes under the water level)
 * and `flood` (so many arrivals on an old view that every node is under it, the most work a request can make).
 * Rounds are interleaved over the cases; each sample is the mean of one round's batch. `prepare` includes the first
 * plan. Bounded: a batch runs about 10 ms, all rounds under 20 s.
 */
import { type Candidate, type PlacementRequest } from '../src/placement/placement.ts';
import { hash64, utf8 } from '../src/bytes.ts';
import { type ModelId, parseModelId, parseNodeId } from '../src/ids.ts';
import { PLACEMENT } from '../src/params.ts';
import { planLevel } from '../src/placement/level-plan.ts';
import { place, prepare, type PreparedModel } from '../src/placement/place.ts';
import { Prng } from '../src/prng.ts';
import { formatSummary, interleaved, summarize } from './stats.ts';

const SIZES = [
  { size: 100, goalUs: 10 },
  { size: 1_000, goalUs: 20 },
  { size: 10_000, goalUs: 150 },
] as const;
const ROUNDS = 15;
const BATCH_MS = 10;
const TIME_MS_MAX = 15_000;
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

interface Case {
  readonly label: string;
  readonly goalUs: number;
  readonly candidates: readonly Candidate[];
  readonly conditions: { readonly arrivalsPerKs: number; readonly viewAgeMs: number };
  readonly placeUs: number[];
  readonly prepareUs: number[];
  prepared: PreparedModel;
  batch: number;
}

const model = parseModelId('bench-model');
if (model === undefined) throw new Error('the model id does not parse');
const requests = Array.from({ length: 4_096 }, (_, number) => requestOf(number, model));
const cases = SIZES.flatMap(({ size, goalUs }) => [
  caseOf('calm', { size, goalUs, arrivalsPerKs: size * 20 }),
  caseOf('flood', { size, goalUs, arrivalsPerKs: size * 40_000 }),
]);

const startedAtMs = performance.now();
for (const item of interleaved(cases, 2)) measure(item);
for (const item of cases) {
  item.placeUs.length = 0;
  item.prepareUs.length = 0;
}
for (const item of interleaved(cases, ROUNDS)) if (performance.now() - startedAtMs < TIME_MS_MAX) measure(item);
report();

function caseOf(
  label: string,
  { size, goalUs, arrivalsPerKs }: { size: number; goalUs: number; arrivalsPerKs: number },
): Case {
  const candidates = viewOf(size);
  const conditions = { arrivalsPerKs, viewAgeMs: 1_000 };
  const prepared = prepare(candidates, conditions);
  return {
    label: `${label} ${size}`,
    goalUs,
    candidates,
    conditions,
    prepared,
    batch: 64,
    placeUs: [],
    prepareUs: [],
  };
}

function measure(item: Case): void {
  const first = requests[0];
  if (first === undefined) throw new Error('no requests');
  const preparingAtMs = performance.now();
  item.prepared = prepare(item.candidates, { ...item.conditions, previous: item.prepared });
  place(first, item.prepared, PLACEMENT);
  item.prepareUs.push((performance.now() - preparingAtMs) * 1_000);
  // Warm every size of prompt, so that only placing is measured.
  for (const request of requests.slice(0, 64)) place(request, item.prepared, PLACEMENT);
  const startMs = performance.now();
  for (let index = 0; index < item.batch; index += 1)
    place(requests[index % requests.length] ?? first, item.prepared, PLACEMENT);
  const elapsedMs = performance.now() - startMs;
  item.placeUs.push((elapsedMs * 1_000) / item.batch);
  item.batch = Math.max(16, Math.min(100_000, Math.floor((item.batch * BATCH_MS) / Math.max(elapsedMs, 0.01))));
}

function report(): void {
  for (const item of cases) {
    const summary = summarize(item.placeUs);
    const ratio = summary.median / item.goalUs;
    const under = Math.round(shareBelow(item) * 100);
    process.stdout.write(
      `${item.label.padEnd(12)} place ${formatSummary(summary, 'us')}, ${ratio.toFixed(2)}x of the goal of ${item.goalUs} us` +
        ` (${ratio <= 1 ? 'met' : 'MISSED'}); ${under} % of nodes under the level\n` +
        `${''.padEnd(12)} prepare and first plan ${formatSummary(summarize(item.prepareUs), 'us')}; ${item.placeUs.length} rounds\n`,
    );
    if (ratio > 1) process.exitCode = 1;
  }
}

function shareBelow(item: Case): number {
  const first = requests[0];
  if (first === undefined) return 0;
  // The rows of the record are bounded, so the plan itself is counted.
  const eligible = Int32Array.from(item.prepared.nodes.keys());
  const plan = planLevel(item.prepared, { promptTokens: first.promptTokens, eligible }, PLACEMENT);
  return plan.below.length / eligible.length;
}

function viewOf(size: number): readonly Candidate[] {
  const random = new Prng(`view-${size}`);
  return Array.from({ length: size }, () => {
    const node = parseNodeId(
      `12D3KooW${Array.from({ length: 44 }, () => BASE58[random.nextBelow(BASE58.length)]).join('')}`,
    );
    if (node === undefined || model === undefined) throw new Error('the node id does not parse');
    const slower = 1 + random.nextBelow(20);
    const slots = 1 + random.nextBelow(8);
    return {
      node,
      model,
      alive: true,
      usable: true,
      contextTokens: 8_192,
      slots,
      busy: random.nextBelow(slots + 1),
      queued: 0,
      ownInFlight: 0,
      slotMs: Math.ceil((400 * slower) / slots),
      prefillUsPerToken: 150 * slower,
      decodeMs: 6 * slower,
      loadMs: 0,
      rttMs: 1 + random.nextBelow(90),
      correctionPerMille: 700 + random.nextBelow(600),
      reliabilityPerMille: 1_000 - random.nextBelow(100),
      priceMs: 0,
      ageMs: random.nextBelow(1_000),
    };
  }).toSorted((left, right) => (left.node < right.node ? -1 : 1));
}

function requestOf(number: number, of: ModelId): PlacementRequest {
  return {
    keyHash: hash64(utf8(`request-${number}`)),
    model: of,
    promptTokens: 50 << (number % 6),
    answerTokens: 256,
    excluded: new Set(),
  };
}
