/**
 * Which of a model's sequences serves the next run? The free one whose cache shares the longest beginning with the prompt,
 * so that a conversation does not evaluate its past again; the lowest of equals, because neighbours make the best batches.
 */
import type { LlamaContextSequence, Token } from 'node-llama-cpp';

export class Slots {
  readonly #free: Set<LlamaContextSequence>;
  readonly #order: readonly LlamaContextSequence[];

  constructor(sequences: readonly LlamaContextSequence[]) {
    this.#order = sequences;
    this.#free = new Set(sequences);
  }

  /** Undefined when none is free. */
  take(prompt: readonly Token[]): LlamaContextSequence | undefined {
    let best: { readonly sequence: LlamaContextSequence; readonly shared: number } | undefined;
    for (const sequence of this.#order) {
      if (!this.#free.has(sequence)) continue;
      const shared = sequence.compareContextTokens([...prompt]).firstDifferentIndex;
      if (best === undefined || shared > best.shared) best = { sequence, shared };
    }
    if (best !== undefined) this.#free.delete(best.sequence);
    return best?.sequence;
  }

  release(sequence: LlamaContextSequence): void {
    this.#free.add(sequence);
  }
}
