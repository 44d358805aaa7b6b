/**
 * How do texts become vectors in an answer, whatever its dialect? The texts are checked and become jobs; each vector becomes its piece
 * of the answer when it arrives, so that two thousand of them never stop the node for their numbers at the end.
 * `dimensions` must be what the model gives: a vector that was cut without the model being made for it would be wrong,
 * and nobody would notice. Vectors of two lengths cannot be of one model and are the engine's fault.
 * Limits: `LIMITS.inputs`.
 */
import { type Failure, failure } from '../errors.ts';
import type { ModelId } from '../ids.ts';
import { decodeVector } from '../inference/answer-lines.ts';
import type { Job } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import type { LineWriter, Times } from './dialect.ts';
import { batchesOf, LineCounter, listJob } from './line-batches.ts';
import { badField, unsupportedField } from './request-body.ts';

/** Largest that may be asked for. Source: guess: twice the largest vectors there are. */
export const DIMENSIONS_MAX = 16_384;

/** A text or a list of texts. */
export function readInputs(value: unknown): readonly string[] | Failure {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0 || list.length > LIMITS.inputs)
    return badField('input', `expected 1 to ${LIMITS.inputs} texts, got ${list.length}`);
  const inputs: string[] = [];
  for (const [index, item] of list.entries()) {
    if (typeof item === 'number' || Array.isArray(item))
      return unsupportedField('input', 'token ids mean something to one tokenizer only: send text');
    const param = Array.isArray(value) ? `input[${index}]` : 'input';
    if (typeof item !== 'string' || item === '') return badField(param, 'expected a text that is not empty');
    inputs.push(item.toWellFormed());
  }
  return inputs;
}

export function vectorJobs(model: ModelId, inputs: readonly string[]): readonly Job[] {
  return batchesOf(inputs).map((batch) => listJob(model, { type: 'embedding', inputs: batch }));
}

export interface VectorOptions {
  readonly total: number;
  /** Undefined = as many as the model gives. */
  readonly dimensions: number | undefined;
  /** A vector as JSON text. */
  readonly piece: (vector: {
    readonly index: number;
    readonly numbers: Float32Array;
    readonly base64: string;
  }) => string;
  /** All of them, in order; `tokens` is what all inputs had. */
  readonly whole: (pieces: readonly string[], tokens: number, times: Times) => string;
}

export class VectorWriter implements LineWriter {
  readonly #options: VectorOptions;
  readonly #counter: LineCounter;
  readonly #pieces: string[] = [];
  #dimensions: number | undefined;
  #tokens = 0;

  constructor(options: VectorOptions) {
    this.#options = options;
    this.#counter = new LineCounter(options.total);
  }

  line(job: number, line: string): boolean {
    const decoded = decodeVector(line);
    const index = this.#counter.next(job);
    if (decoded === undefined || index === undefined) return false;
    const { vector, base64, tokens } = decoded;
    this.#dimensions ??= vector.length;
    if (vector.length !== this.#dimensions) return false;
    this.#tokens += tokens;
    this.#pieces[index] = this.#options.piece({ index, numbers: vector, base64 });
    return true;
  }

  closed(times: Times): ReturnType<LineWriter['closed']> {
    const missing = this.#counter.check() ?? this.#checkDimensions();
    if (missing !== undefined) return { type: 'failed', failure: missing };
    return { type: 'body', json: this.#options.whole(this.#pieces, this.#tokens, times) };
  }

  #checkDimensions(): Failure | undefined {
    const { dimensions } = this.#options;
    if (dimensions === undefined || dimensions === this.#dimensions) return undefined;
    const text = `dimensions: this model gives ${this.#dimensions} numbers and no others: leave it out`;
    return failure('unsupported-feature', text, { param: 'dimensions' });
  }
}
