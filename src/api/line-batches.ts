/**
 * How does a long list of inputs become work for the mesh, and how does it come back in order? In jobs of at most
 * `BATCH_INPUTS_MAX` inputs, which run beside each other on whatever nodes are free, and whose lines are counted: line i of
 * job j belongs to one input. A line too many, or one too few at the end, is the engine's fault and a failure.
 */
import { type Failure, failure } from '../errors.ts';
import type { Job, Task } from '../inference/engine.ts';
import type { ModelId } from '../ids.ts';

/** Inputs of one job. More would not fit what is kept of one answer (`answer-so-far.ts`): 4.4 million characters, a vector of
 *  4,096 numbers having 22,000. Source: copied (batches of Ollama's and LiteLLM's clients), measured against that bound. */
export const BATCH_INPUTS_MAX = 64;

export function batchesOf<Input>(inputs: readonly Input[]): readonly (readonly Input[])[] {
  const batches: (readonly Input[])[] = [];
  for (let start = 0; start < inputs.length; start += BATCH_INPUTS_MAX)
    batches.push(inputs.slice(start, start + BATCH_INPUTS_MAX));
  return batches;
}

/** Nothing is sampled. */
export function listJob(model: ModelId, task: Task): Job {
  const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };
  return { model, messages: [], sampling, task };
}

/** Counts the lines of each job. */
export class LineCounter {
  readonly #total: number;
  readonly #counts: number[] = [];
  #lines = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** The input that the next line of this job is about; undefined when the job has had all of its lines. */
  next(job: number): number | undefined {
    const count = this.#counts[job] ?? 0;
    const index = job * BATCH_INPUTS_MAX + count;
    if (count >= BATCH_INPUTS_MAX || index >= this.#total) return undefined;
    this.#counts[job] = count + 1;
    this.#lines += 1;
    return index;
  }

  /** Whether every input has its line. */
  check(): Failure | undefined {
    if (this.#lines === this.#total) return undefined;
    return failure('engine-failed', `the engine gave ${this.#lines} results for ${this.#total} inputs`);
  }
}
