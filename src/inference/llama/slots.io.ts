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

  get free(): readonly LlamaContextSequence[] {
    return this.#order.filter((sequence) => this.#free.has(sequence));
  }

  /** Undefined when none is free. `keptTokens` of the prompt are in a file. */
  take(prompt: readonly Token[], keptTokens = 0): LlamaContextSequence | undefined {
    const index = chooseSlot(
      this.#order.map((sequence) => ({
        isFree: this.#free.has(sequence),
        cachedTokens: sequence.nextTokenIndex,
        sharedTokens: this.#free.has(sequence) ? sharedBeginning(sequence, prompt) : 0,
        usedAt: this.#usedAt.get(sequence) ?? 0,
      })),
      keptTokens,
    );
    const chosen = index === undefined ? undefined : this.#order[index];
    if (chosen !== undefined) this.#free.delete(chosen);
    return chosen;
  }

  release(sequence: LlamaContextSequence): void {
    this.#uses += 1;
    this.#usedAt.set(sequence, this.#uses);
    this.#free.add(sequence);
  }
}

function sharedBeginning(sequence: LlamaContextSequence, prompt: readonly Token[]): number {
  return sequence.compareContextTokens([...prompt]).firstDifferentIndex;
}
