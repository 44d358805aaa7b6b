/**
 * Has a key used up what it may use? One meter for each key: buckets of requests and tokens that fill up evenly over a minute,
 * tokens of a day that begins with the first request, and the number of requests under way. Requests are paid when they come,
 * tokens when an answer is over, because nobody knows before how many there will be: a key can overdraw by the answers
 * that run at once, and then waits until the bucket holds something again.
 * Limits: counts are this node's own, and begin anew when it starts. As many meters as keys.
 */
import { type Failure, failure } from '../errors.ts';
import type { KeyLimits } from './key-record.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** When a request may end is not known. Source: guess. */
const CONCURRENT_RETRY_MS = 1_000;

class Bucket {
  #level: number;
  #atMs: number;
  readonly #perMinute: number;

  constructor(perMinute: number, nowMs: number) {
    this.#perMinute = perMinute;
    this.#level = perMinute;
    this.#atMs = nowMs;
  }

  /** 0 = now; else until there is at least `wanted`. */
  waitMs(wanted: number, nowMs: number): number {
    this.#fill(nowMs);
    return this.#level >= wanted ? 0 : Math.ceil(((wanted - this.#level) * MINUTE_MS) / this.#perMinute);
  }

  take(amount: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#level -= amount;
  }

  #fill(nowMs: number): void {
    this.#level = Math.min(this.#perMinute, this.#level + ((nowMs - this.#atMs) * this.#perMinute) / MINUTE_MS);
    this.#atMs = nowMs;
  }
}

export class KeyMeter {
  readonly #limits: KeyLimits;
  readonly #requests: Bucket | undefined;
  readonly #tokens: Bucket | undefined;
  #dayStartedAtMs: number | undefined;
  #dayTokens = 0;
  #running = 0;

  constructor(limits: KeyLimits, nowMs: number) {
    this.#limits = limits;
    const { requestsPerMinute, tokensPerMinute } = limits;
    this.#requests = requestsPerMinute === undefined ? undefined : new Bucket(requestsPerMinute, nowMs);
    this.#tokens = tokensPerMinute === undefined ? undefined : new Bucket(tokensPerMinute, nowMs);
  }

  /** Takes a request in, or says why not and when to try again. */
  begin(nowMs: number): Failure | undefined {
    const { requestsPerMinute, tokensPerMinute, tokensPerDay = Infinity, concurrentMax = Infinity } = this.#limits;
    const dayEndsInMs = this.#dayStart(nowMs) + DAY_MS - nowMs;
    const waits: readonly (readonly [what: string, waitMs: number])[] = [
      [`${concurrentMax} requests at once`, this.#running >= concurrentMax ? CONCURRENT_RETRY_MS : 0],
      [`${tokensPerDay} tokens a day`, this.#dayTokens >= tokensPerDay ? dayEndsInMs : 0],
      [`${tokensPerMinute} tokens a minute`, this.#tokens?.waitMs(1, nowMs) ?? 0],
      [`${requestsPerMinute} requests a minute`, this.#requests?.waitMs(1, nowMs) ?? 0],
    ];
    const wait = waits.find(([, waitMs]) => waitMs > 0);
    if (wait !== undefined) return limited(...wait);
    this.#requests?.take(1, nowMs);
    this.#running += 1;
    return undefined;
  }

  #dayStart(nowMs: number): number {
    if (this.#dayStartedAtMs === undefined || nowMs >= this.#dayStartedAtMs + DAY_MS) {
      this.#dayStartedAtMs = nowMs;
      this.#dayTokens = 0;
    }
    return this.#dayStartedAtMs;
  }

  /** The request that began is over; `tokens` = of its prompt and its answer. */
  end(tokens: number, nowMs: number): void {
    this.#running -= 1;
    this.#tokens?.take(tokens, nowMs);
    this.#dayTokens += tokens;
  }
}

function limited(what: string, retryAfterMs: number): Failure {
  return failure('rate-limited', `this API key may use ${what}: wait, or ask the owner for more`, { retryAfterMs });
}
