/**
 * The sequences of a model: which are free, when each was used, and which one serves the next run (`slot-choice.ts`), so
 * that a conversation does not evaluate its past again.
 */
import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import { chooseSlot } from './slot-choice.ts';

export class Slots {
  readonly #order: readonly LlamaContextSequence[];
  readonly #free: Set<LlamaContextSequence>;
  readonly #usedAt = new Map<LlamaContextSequence, number>();
  #uses = 0;

  constructor(sequences: readonly LlamaContextSequence[]) {
    this.#order = sequences;
    this.#free = new Set(sequences);
  }

  /** Undefined when none is free. */
  take(prompt: readonly Token[]): LlamaContextSequence | undefined {
    const free = this.#order.filter((sequence) => this.#free.has(sequence));
    const index = chooseSlot(
      free.map((sequence) => ({
        cachedTokens: sequence.nextTokenIndex,
        sharedTokens: sequence.compareContextTokens([...prompt]).firstDifferentIndex,
        usedAt: this.#usedAt.get(sequence) ?? 0,
      })),
    );
    const chosen = index === undefined ? undefined : free[index];
    if (chosen !== undefined) this.#free.delete(chosen);
    return chosen;
  }

  release(sequence: LlamaContextSequence): void {
    this.#uses += 1;
    this.#usedAt.set(sequence, this.#uses);
    this.#free.add(sequence);
  }
}
