/**
 * What has this node seen of others that their beacons do not say? Per (node, model): how much longer the first token
 * took than predicted (`correction`), how often tries failed (`reliability`), what is under way there since its last
 * load figures (`own`), and the load that a busy answer told, until a newer one is known.
 * Moving averages of integers that go a part of the way to each sample; what is wrong with a node halves every
 * `FORGIVE_HALF_MS`, so that a node nobody asks any more gets another chance. Busy is capacity and no failure.
 * Limits: `PAIRS_MAX` pairs and `TRIES_MAX` tries, the one untouched longest makes room. Source: the placement study.
 */
import type { ModelLoad } from '../gossip/message.ts';
import type { ModelId, NodeId, RequestId } from '../ids.ts';
import { bounded, type PlacementParams } from './cost.ts';

/** Source: ours: a full view of two models each. */
export const PAIRS_MAX = 4_096;
/** Source: ours: twice what one link may carry. */
export const TRIES_MAX = 4_096;
/** One part in this many of the way to each sample. */
const EASE = {
  /** Times to the first token vary widely where nobody lies, and following them is noise; a liar of 20 times still counts
   *  as twice as slow after one. Source: the placement study (half its cells, one seed): p50 1.19, p99 1.15 with 4; 1.16, 1.14. */
  time: 16,
  /** Failures are rare, and one says much. Source: guess. */
  reliability: 4,
} as const;
/**
 * A first token that is so many times later than predicted counts before it comes: a node that takes everything and
 * answers late would otherwise get request after request until the first of them is answered. Source: the placement
 * study: with the two slowest of 50 lying, p90 falls from over an hour to 3 s; 8 costs nothing where nobody lies, 2 does.
 */
const OVERDUE_FACTOR = 8;
/** Source: guess: a node that failed once is nearly as good as new after ten minutes. */
export const FORGIVE_HALF_MS = 120_000;
/** Halvings after which nothing is left of a correction of 50. Source: computed: 2^16 > 50,000. */
const HALVINGS_MAX = 16;
const PERFECT = 1_000;

export interface Dispatch {
  readonly requestId: RequestId;
  readonly node: NodeId;
  readonly model: ModelId;
  /** What placement expected, correction included. */
  readonly expectedMs: number;
}

/** `cancelled`: by the client or by ourselves; it tells something only if the wait was already longer than predicted. */
export type TryResult = 'answered' | 'failed' | 'busy' | 'cancelled';

/** What placement reads of one pair. */
export interface Observed {
  readonly correctionPerMille: number;
  readonly reliabilityPerMille: number;
  readonly ownInFlight: number;
  /** A load newer than the beacon's; figures and time replace the beacon's. */
  readonly freshLoad?: { readonly load: ModelLoad; readonly atMs: number };
}

interface Pair {
  correctionPerMille: number;
  reliabilityPerMille: number;
  /** Since when nothing was forgiven. */
  forgivenAtMs: number;
  loadAtMs: number;
  freshLoad: { readonly load: ModelLoad; readonly atMs: number } | undefined;
  /** Tries under way there. */
  readonly open: Set<Try>;
}

interface Try {
  readonly dispatch: Dispatch;
  readonly startedAtMs: number;
  /** The correction that `expectedMs` contains. */
  readonly correctionPerMille: number;
  measured: boolean;
}

export class Observations {
  readonly #params: Pick<PlacementParams, 'correctionPerMilleMin' | 'correctionPerMilleMax'>;
  /** Least recently touched first. */
  readonly #pairs = new Map<string, Pair>();
  /** Oldest first. */
  readonly #tries = new Map<string, Try>();

  constructor(params: Pick<PlacementParams, 'correctionPerMilleMin' | 'correctionPerMilleMax'>) {
    this.#params = params;
  }

  /** A try starts. The same request to the same node again replaces the first. */
  dispatched(dispatch: Dispatch, nowMs: number): void {
    const pair = this.#touch(dispatch.node, dispatch.model, nowMs);
    this.#close(tryKey(dispatch));
    if (this.#tries.size >= TRIES_MAX) for (const [key] of firstOf(this.#tries)) this.#close(key);
    const entry = { dispatch, startedAtMs: nowMs, correctionPerMille: pair.correctionPerMille, measured: false };
    this.#tries.set(tryKey(dispatch), entry);
    pair.open.add(entry);
  }

  /** The first token of a try came `elapsedMs` after it started. */
  firstToken(attempt: Pick<Dispatch, 'requestId' | 'node'>, elapsedMs: number, nowMs: number): void {
    const entry = this.#tries.get(tryKey(attempt));
    if (entry === undefined || entry.measured) return;
    entry.measured = true;
    this.#learnTime(entry, elapsedMs, nowMs);
  }

  ended(attempt: Pick<Dispatch, 'requestId' | 'node'>, result: TryResult, nowMs: number): void {
    const entry = this.#tries.get(tryKey(attempt));
    if (entry === undefined) return;
    this.#close(tryKey(attempt));
    const pair = this.#touch(entry.dispatch.node, entry.dispatch.model, nowMs);
    if (result === 'answered' || result === 'failed')
      pair.reliabilityPerMille = Math.max(
        1,
        eased(pair.reliabilityPerMille, result === 'answered' ? PERFECT : 0, EASE.reliability),
      );
    // Nobody waits for ever: a wait that was given up is a lower bound of the time it would have taken.
    const waitedMs = nowMs - entry.startedAtMs;
    if (result === 'cancelled' && !entry.measured && waitedMs > entry.dispatch.expectedMs)
      this.#learnTime(entry, waitedMs, nowMs);
  }

  /** A busy answer told its load. */
  loadAnswered(node: NodeId, told: { readonly model: ModelId; readonly load: ModelLoad }, nowMs: number): void {
    const pair = this.#touch(node, told.model, nowMs);
    if (nowMs < pair.loadAtMs) return;
    pair.loadAtMs = nowMs;
    pair.freshLoad = { load: told.load, atMs: nowMs };
  }

  /** What is known of a pair whose newest beacon shows its load of `loadAtMs` (on this node's clock). */
  observed(
    pairOf: { readonly node: NodeId; readonly model: ModelId; readonly loadAtMs: number },
    nowMs: number,
  ): Observed {
    const pair = this.#pairs.get(pairKey(pairOf.node, pairOf.model));
    if (pair === undefined) return { correctionPerMille: PERFECT, reliabilityPerMille: PERFECT, ownInFlight: 0 };
    forgive(pair, nowMs);
    if (pairOf.loadAtMs > pair.loadAtMs) {
      pair.loadAtMs = pairOf.loadAtMs;
      pair.freshLoad = undefined;
    }
    let ownInFlight = 0;
    let { correctionPerMille } = pair;
    for (const entry of pair.open) {
      if (entry.startedAtMs > pair.loadAtMs) ownInFlight += 1;
      if (!entry.measured) correctionPerMille = Math.max(correctionPerMille, this.#overdue(entry, nowMs));
    }
    const { reliabilityPerMille, freshLoad } = pair;
    return { correctionPerMille, reliabilityPerMille, ownInFlight, ...(freshLoad && { freshLoad }) };
  }

  get size(): { readonly pairs: number; readonly tries: number } {
    return { pairs: this.#pairs.size, tries: this.#tries.size };
  }

  /** The correction that a wait which is not over yet proves at least. */
  #overdue(entry: Try, nowMs: number): number {
    const sample = Math.floor(sampleOf(entry, nowMs - entry.startedAtMs) / OVERDUE_FACTOR);
    return Math.min(sample, this.#params.correctionPerMilleMax);
  }

  #learnTime(entry: Try, elapsedMs: number, nowMs: number): void {
    const pair = this.#touch(entry.dispatch.node, entry.dispatch.model, nowMs);
    const sample = sampleOf(entry, elapsedMs);
    const range = { min: this.#params.correctionPerMilleMin, max: this.#params.correctionPerMilleMax };
    pair.correctionPerMille = bounded(eased(pair.correctionPerMille, bounded(sample, range), EASE.time), range);
  }

  #touch(node: NodeId, model: ModelId, nowMs: number): Pair {
    const key = pairKey(node, model);
    let pair = this.#pairs.get(key);
    if (pair === undefined) {
      if (this.#pairs.size >= PAIRS_MAX) this.#dropOldestPair();
      pair = {
        correctionPerMille: PERFECT,
        reliabilityPerMille: PERFECT,
        forgivenAtMs: nowMs,
        loadAtMs: Number.MIN_SAFE_INTEGER,
        freshLoad: undefined,
        open: new Set(),
      };
    }
    this.#pairs.delete(key);
    this.#pairs.set(key, pair);
    forgive(pair, nowMs);
    return pair;
  }

  #dropOldestPair(): void {
    for (const [key, pair] of firstOf(this.#pairs)) {
      for (const entry of pair.open) this.#tries.delete(tryKey(entry.dispatch));
      this.#pairs.delete(key);
    }
  }

  #close(key: string): void {
    const entry = this.#tries.get(key);
    if (entry === undefined) return;
    this.#tries.delete(key);
    this.#pairs.get(pairKey(entry.dispatch.node, entry.dispatch.model))?.open.delete(entry);
  }
}

/** Actual / predicted without correction, in per-mille. */
function sampleOf({ dispatch, correctionPerMille }: Try, elapsedMs: number): number {
  const predictedMs = Math.max(1, Math.floor((dispatch.expectedMs * PERFECT) / correctionPerMille));
  return Math.floor((bounded(elapsedMs, { min: 0, max: 2_147_483_648 }) * PERFECT) / predictedMs);
}

/** Halves what is wrong for every whole half-life that passed. */
function forgive(pair: Pair, nowMs: number): void {
  const halvings = Math.floor((nowMs - pair.forgivenAtMs) / FORGIVE_HALF_MS);
  if (halvings <= 0) return;
  pair.forgivenAtMs += halvings * FORGIVE_HALF_MS;
  const divisor = 1 << Math.min(halvings, HALVINGS_MAX);
  pair.correctionPerMille = PERFECT + Math.trunc((pair.correctionPerMille - PERFECT) / divisor);
  pair.reliabilityPerMille = PERFECT - Math.floor((PERFECT - pair.reliabilityPerMille) / divisor);
}

/** A step towards `sample`, rounded towards it, so that the average can arrive. */
function eased(average: number, sample: number, ease: number): number {
  const step = (sample - average) / ease;
  return average + (step > 0 ? Math.ceil(step) : Math.floor(step));
}

function firstOf<Value>(map: ReadonlyMap<string, Value>): readonly [string, Value][] {
  for (const entry of map) return [entry];
  return [];
}

function pairKey(node: NodeId, model: ModelId): string {
  return `${node} ${model}`;
}

function tryKey({ requestId, node }: Pick<Dispatch, 'requestId' | 'node'>): string {
  return `${requestId} ${node}`;
}
