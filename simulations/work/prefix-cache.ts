/**
 * What a machine still has in memory of earlier conversations: its key-value cache. One entry is the prompt and answer
 * of one sequence; a further turn of the conversation, or an answer that goes on after a failover, finds the longest
 * beginning that it shares, takes the entry over, and leaves a longer one behind when it ends. While a run has it nobody
 * else can. Running sequences and entries share the room; entries untouched longest make room first.
 * Limits: one machine's memory; running sequences are never thrown out, however many there are.
 */

/** A sequence as the cache knows it. */
export interface Sequence {
  /** `prefixHashes` of the messages. */
  readonly hashes: readonly number[];
  /** Tokens of each message. */
  readonly tokens: readonly number[];
  /** Index of the model: two models share no entry. */
  readonly model: number;
  /** Tokens of an answer that came before and goes on. */
  readonly resumedTokens: number;
}

const MODELS_MAX = 1_024;

export class PrefixCache {
  readonly #tokensMax: number;
  /** Tokens by key, untouched longest first. */
  readonly #entries = new Map<number, number>();
  #idleTokens = 0;
  #runningTokens = 0;

  constructor(tokensMax: number) {
    this.#tokensMax = tokensMax;
  }

  get tokens(): number {
    return this.#idleTokens + this.#runningTokens;
  }

  get entries(): number {
    return this.#entries.size;
  }

  /** A run begins and will take up to `reserveTokens`. Returns how many of its first tokens are there already. */
  begin(sequence: Sequence, reserveTokens: number): number {
    const cached = this.#take(sequence);
    this.#runningTokens += reserveTokens;
    this.#makeRoom();
    return cached;
  }

  /** The run is over: `keptTokens` of prompt and answer stay for whoever comes back. */
  end(sequence: Sequence, reserveTokens: number, keptTokens: number): void {
    this.#runningTokens -= reserveTokens;
    const key = keyOf(sequence, sequence.hashes.length - 1);
    if (key !== undefined && keptTokens > 0) {
      this.#idleTokens += keptTokens - (this.#entries.get(key) ?? 0);
      this.#entries.delete(key);
      this.#entries.set(key, keptTokens);
    }
    this.#makeRoom();
  }

  #take(sequence: Sequence): number {
    const { tokens, resumedTokens } = sequence;
    let before = tokens.reduce((sum, count) => sum + count, 0);
    let after = resumedTokens;
    for (let index = tokens.length - 1; index >= 0; index -= 1) {
      const key = keyOf(sequence, index);
      const kept = key === undefined ? undefined : this.#entries.get(key);
      if (key !== undefined && kept !== undefined) {
        this.#entries.delete(key);
        this.#idleTokens -= kept;
        // The answer that was given then is the next message now.
        return Math.min(kept, before + after);
      }
      after = tokens[index] ?? 0;
      before -= after;
    }
    return 0;
  }

  #makeRoom(): void {
    for (const [key, kept] of this.#entries) {
      if (this.tokens <= this.#tokensMax) return;
      this.#entries.delete(key);
      this.#idleTokens -= kept;
    }
  }
}

function keyOf({ hashes, model }: Sequence, index: number): number | undefined {
  const hash = hashes[index];
  return hash === undefined ? undefined : hash * MODELS_MAX + model;
}
