/**
 * How fast is this node, really, and how many requests come in? Turns the outcomes of served requests into the figures
 * that a node gossips (`ModelLoad`). Rates are sums of time over sums of work in which old samples fade by an eighth
 * per new one, so that long prompts and answers count for more than short ones, whose time is mostly overhead.
 * A machine that is busy evaluates a prompt more slowly, so that rate is kept apart by how many ran (1, 2-3, 4-7, ...),
 * and the figure that is told is the one for the next request; a level without samples is derived from the nearest.
 * `slotMs` is the time between two departures when all slots are busy: mean time in a slot / slots. Where nothing was
 * measured yet the priors below stand, and `origins` says so. Arrivals: the average of one-second counts with a time
 * constant of 30 s. Limits: integers only, `ENTRIES_MAX` models, the one untouched longest makes room.
 */
import type { ModelLoad } from '../gossip/message.ts';
import type { ModelId } from '../ids.ts';

/** Source: copied from the models a node may announce (64), twice. */
export const ENTRIES_MAX = 128;

/**
 * Where nothing was measured: a fast machine. Too fast costs a slow node's first request, which tells how slow it is; too
 * slow, and nodes that were measured get everything: a faster one that never served is never asked, and never measured.
 */
export const PRIORS = {
  /** Source: guess: 300 prompt tokens and 120 of answer (medians of the placement study) at the rates below. */
  serviceMs: 2_300,
  /** Source: guess: 900 tokens per second, prefill 15 times as fast as decoding. */
  prefillUsPerToken: 1_111,
  /** Source: measured in the placement study: 60 tokens per second, a gaming GPU; with 20, the median time to the first
   *  token of a mesh that starts is 6 % longer, and with 200 no shorter. */
  decodeMs: 17,
} as const;

/** The share of an average that each new sample replaces, as its inverse. Source: guess: about the last eight requests. */
const FADE = 8;
/** Levels of how many run at once, each twice the last; the highest takes all above. Source: ours: 128 and more is one level. */
const LEVELS = 8;
/** From one level to the next, prompts take 4/3 of the time. Source: the placement study (2^0.4), where nothing else is known. */
const LEVEL_STEP = { up: 4, down: 3 } as const;
/** Time constant of the arrivals in seconds. Source: the placement study (30 s). */
export const ARRIVALS_SECONDS = 30;
/** Fraction bits of the arrivals, so that small rates do not round away. Source: ours. */
const ARRIVALS_ONE = 1_024;
/** Empty seconds after which nothing is left. Source: computed: (29/30)^1200 = 2^-58. */
const SECONDS_MAX = 1_200;
/** Bounds of the published figures. Source: ours, within those of placement. */
const SLOT_MS_MAX = 10_000_000;
const PREFILL_US_MAX = 10_000_000;
const DECODE_MS_MAX = 600_000;
const ARRIVALS_PER_KS_MAX = 1_000_000_000;
/** One sample's largest time (a day) and work. Source: ours: sums of eight stay under 2^53 in microseconds. */
const SAMPLE_MS_MAX = 86_400_000;
const SAMPLE_TOKENS_MAX = 16_777_216;

export type Origin = 'prior' | 'measured';

export interface Occupancy {
  readonly busy: number;
  readonly queued: number;
  readonly slots: number;
}

/** Fading sums: time in `timeUs` was spent on `work`. */
interface Ratio {
  timeUs: number;
  work: number;
}

interface Entry {
  readonly service: Ratio;
  /** By level of how many ran. */
  readonly prefill: readonly Ratio[];
  readonly decode: Ratio;
  /** Arrivals in the second that runs. */
  count: number;
  secondStartedAtMs: number;
  /** Arrivals per 1000 s, in units of 1 / `ARRIVALS_ONE`. */
  arrivals: number;
}

export class LoadMeter {
  /** Least recently touched first. */
  readonly #entries = new Map<ModelId, Entry>();

  /** A client's request for `model` entered the mesh at this node. */
  arrived(model: ModelId, nowMs: number): void {
    const entry = this.#touch(model, nowMs);
    advance(entry, nowMs);
    entry.count += 1;
  }

  /**
   * `elapsedMs`: from the start in a slot (not in the queue) to the first token; `newTokens`: prompt tokens evaluated;
   * `busy`: how many run now, this one included.
   */
  firstToken(
    model: ModelId,
    sample: { readonly newTokens: number; readonly elapsedMs: number; readonly busy: number },
    nowMs: number,
  ): void {
    const prefill = this.#touch(model, nowMs).prefill[levelOf(sample.busy)];
    if (prefill !== undefined) add(prefill, sample.elapsedMs, sample.newTokens);
  }

  /** A request left its slot. `serviceMs`: time in the slot; `decodeMs`: from the first token to the last. */
  ended(
    model: ModelId,
    sample: { readonly serviceMs: number; readonly decodeMs: number; readonly completionTokens: number },
    nowMs: number,
  ): void {
    const entry = this.#touch(model, nowMs);
    add(entry.service, sample.serviceMs, 1);
    // The first token belongs to the prefill.
    add(entry.decode, sample.decodeMs, sample.completionTokens - 1);
  }

  /** As the next request would find it. */
  load(model: ModelId, occupancy: Occupancy, nowMs: number): ModelLoad {
    const entry = this.#entries.get(model);
    if (entry !== undefined) advance(entry, nowMs);
    const serviceUs = rateUs(entry?.service) ?? PRIORS.serviceMs * 1_000;
    const slotMs = Math.ceil(serviceUs / 1_000 / Math.max(1, occupancy.slots));
    const level = levelOf(Math.min(occupancy.busy + 1, occupancy.slots));
    const decodeMs = Math.ceil((rateUs(entry?.decode) ?? PRIORS.decodeMs * 1_000) / 1_000);
    return {
      busy: occupancy.busy,
      queued: occupancy.queued,
      slotMs: within(slotMs, SLOT_MS_MAX),
      prefillUsPerToken: within(rateAtUs(entry?.prefill, level) ?? PRIORS.prefillUsPerToken, PREFILL_US_MAX),
      decodeMs: within(decodeMs, DECODE_MS_MAX),
      arrivalsPerKs: Math.min(Math.round((entry?.arrivals ?? 0) / ARRIVALS_ONE), ARRIVALS_PER_KS_MAX),
    };
  }

  /** Which of the figures were measured. */
  origins(model: ModelId): { readonly slotMs: Origin; readonly prefillUsPerToken: Origin; readonly decodeMs: Origin } {
    const entry = this.#entries.get(model);
    return {
      slotMs: originOf(entry?.service),
      prefillUsPerToken: originOf(entry?.prefill.find((one) => one.work > 0)),
      decodeMs: originOf(entry?.decode),
    };
  }

  get size(): number {
    return this.#entries.size;
  }

  #touch(model: ModelId, nowMs: number): Entry {
    let entry = this.#entries.get(model);
    if (entry === undefined) {
      if (this.#entries.size >= ENTRIES_MAX) this.#dropOldest();
      const prefill = Array.from({ length: LEVELS }, none);
      entry = { service: none(), prefill, decode: none(), count: 0, secondStartedAtMs: nowMs, arrivals: 0 };
    }
    this.#entries.delete(model);
    this.#entries.set(model, entry);
    return entry;
  }

  #dropOldest(): void {
    for (const model of this.#entries.keys()) {
      this.#entries.delete(model);
      return;
    }
  }
}

function none(): Ratio {
  return { timeUs: 0, work: 0 };
}

/** Samples without work or with a broken time teach nothing. */
function add(ratio: Ratio, elapsedMs: number, work: number): void {
  if (!(work >= 1) || !(elapsedMs >= 0)) return;
  const timeUs = Math.min(Math.round(elapsedMs * 1_000), SAMPLE_MS_MAX * 1_000);
  // Work is counted in thousandths, so that sums of few units fade without rounding to nothing.
  const thousandths = Math.min(Math.floor(work), SAMPLE_TOKENS_MAX) * 1_000;
  ratio.timeUs = ratio.timeUs - Math.floor(ratio.timeUs / FADE) + timeUs;
  ratio.work = ratio.work - Math.floor(ratio.work / FADE) + thousandths;
}

/** Microseconds per unit of work, or undefined when nothing was measured. */
function rateUs(ratio: Ratio | undefined): number | undefined {
  if (ratio === undefined || ratio.work === 0) return undefined;
  return Math.floor((ratio.timeUs * 1_000) / ratio.work);
}

/** 0 for 1, 1 for 2 and 3, 2 for 4 to 7 ... */
function levelOf(busy: number): number {
  return Math.min(LEVELS - 1, 31 - Math.clz32(Math.max(1, busy)));
}

/** At this level, or derived from the nearest that was measured, of two the one with fewer at once. */
function rateAtUs(levels: readonly Ratio[] | undefined, level: number): number | undefined {
  const { up, down } = LEVEL_STEP;
  for (let distance = 0; distance < LEVELS; distance += 1) {
    const below = rateUs(levels?.[level - distance]);
    if (below !== undefined) return scaled(below, up / down, distance);
    const above = rateUs(levels?.[level + distance]);
    if (above !== undefined) return scaled(above, down / up, distance);
  }
  return undefined;
}

function scaled(rate: number, factor: number, times: number): number {
  let result = rate;
  for (let time = 0; time < times; time += 1) result *= factor;
  return Math.round(result);
}

function originOf(ratio: Ratio | undefined): Origin {
  return rateUs(ratio) === undefined ? 'prior' : 'measured';
}

/** Closes every second that is over. */
function advance(entry: Entry, nowMs: number): void {
  const seconds = Math.floor((nowMs - entry.secondStartedAtMs) / 1_000);
  if (seconds <= 0) return;
  entry.secondStartedAtMs += seconds * 1_000;
  for (let second = 0; second < Math.min(seconds, SECONDS_MAX); second += 1) {
    const perKs = second === 0 ? entry.count * 1_000 * ARRIVALS_ONE : 0;
    const change = (perKs - entry.arrivals) / ARRIVALS_SECONDS;
    entry.arrivals += change > 0 ? Math.ceil(change) : Math.floor(change);
  }
  entry.count = 0;
}

function within(value: number, max: number): number {
  return Math.min(Math.max(1, value), max);
}
