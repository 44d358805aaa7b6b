/**
 * What came out of one run? Counts what happens while it runs and sums it up at the end.
 *   TTFT: from a message's arrival at its entrance to the first token there; only messages that came after the warm-up.
 *   Herd index: time is cut into windows of one staleness (beacon interval + 150 ms). In each, the node that was offered
 *   most for its size: offers / (1 + all offers * its share of the mesh's throughput); the 1 because one request is no
 *   herd. Of the windows with at least `WINDOW_OFFERS_MIN` offers, the 99th percentile.
 *   Utilisation: work done while messages came / what all machines could have done.
 */
import { type Demand, type Message, throughput } from './demand.ts';
import type { Span } from './cells.ts';

const WINDOW_OFFERS_MIN = 2;
const GOSSIP_MEAN_MS = 150;

export interface Result {
  readonly messages: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  /** Tokens of prompts that caches spared. */
  readonly cacheShare: number;
  readonly bouncesPerMessage: number;
  /** Messages that heard "nobody can" at least once, and came again. */
  readonly refusedShare: number;
  readonly utilisation: number;
  readonly herdIndex: number;
}

export class Tally {
  readonly #span: Span;
  readonly #shares: readonly number[];
  readonly #capacityPerMs: number;
  readonly #windowMs: number;
  readonly #ttftMs: number[] = [];
  readonly #herd: number[] = [];
  #window = 0;
  #offers: Int32Array;
  #promptTokens = 0;
  #cachedTokens = 0;
  #bounces = 0;
  #refusals = 0;

  constructor(demand: Demand, span: Span, beaconMs: number) {
    this.#span = span;
    const each = demand.machines.map((machine) => throughput(machine, machine.slots) / 1_000);
    this.#capacityPerMs = each.reduce((sum, one) => sum + one, 0);
    this.#shares = each.map((one) => one / this.#capacityPerMs);
    this.#windowMs = beaconMs + GOSSIP_MEAN_MS;
    this.#offers = new Int32Array(each.length);
  }

  /** A request reached a node's door. */
  offered(node: number, atMs: number): void {
    const { warmUpMs, measuredMs } = this.#span;
    if (atMs < warmUpMs || atMs >= warmUpMs + measuredMs) return;
    const window = Math.floor(atMs / this.#windowMs);
    if (window !== this.#window) this.#closeWindow();
    this.#window = window;
    this.#offers[node] = (this.#offers[node] ?? 0) + 1;
  }

  bounced(message: Message): void {
    if (this.#counts(message)) this.#bounces += 1;
  }

  refused(message: Message): void {
    if (this.#counts(message)) this.#refusals += 1;
  }

  firstToken(message: Message, atMs: number, cachedTokens: number): void {
    if (!this.#counts(message)) return;
    this.#ttftMs.push(atMs - message.atMs);
    this.#promptTokens += message.promptTokens;
    this.#cachedTokens += cachedTokens;
  }

  /** `workTokens`: done within the span that is measured. */
  result(workTokens: number): Result {
    this.#closeWindow();
    const sorted = Float64Array.from(this.#ttftMs).toSorted();
    const messages = sorted.length;
    return {
      messages,
      p50Ms: quantile(sorted, 0.5),
      p90Ms: quantile(sorted, 0.9),
      p99Ms: quantile(sorted, 0.99),
      cacheShare: this.#cachedTokens / Math.max(1, this.#promptTokens),
      bouncesPerMessage: this.#bounces / Math.max(1, messages),
      refusedShare: this.#refusals / Math.max(1, messages),
      utilisation: workTokens / (this.#capacityPerMs * this.#span.measuredMs),
      herdIndex: quantile(Float64Array.from(this.#herd).toSorted(), 0.99),
    };
  }

  #counts({ atMs }: Message): boolean {
    return atMs >= this.#span.warmUpMs;
  }

  #closeWindow(): void {
    let all = 0;
    for (const offers of this.#offers) all += offers;
    let worst = 0;
    for (const [node, offers] of this.#offers.entries())
      worst = Math.max(worst, offers / (1 + all * (this.#shares[node] ?? 0)));
    if (all >= WINDOW_OFFERS_MIN) this.#herd.push(worst);
    this.#offers.fill(0);
  }
}

/** Nearest rank; 0 where there is nothing. */
function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
