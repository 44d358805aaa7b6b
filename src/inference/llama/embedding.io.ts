/**
 * The vector of a text, of length 1, so that the product of two is their similarity. Any model that writes has one too, though
 * those made for it are better. Limits: a text must fit into one batch; what has no direction (a vector of zeros) is a failure.
 */
import type { LlamaEmbeddingContext, Token } from 'node-llama-cpp';
import { encodeVector } from '../answer-lines.ts';
import type { ListReader } from './list-run.io.ts';

export function embeddingReader(
  context: LlamaEmbeddingContext,
  contextTokens: number,
  inputs: readonly string[],
): ListReader {
  const tokensOf = (index: number): Token[] => context.model.tokenize(inputs[index] ?? '');
  const count = (tokens: readonly Token[]): number => context.calculateInputLength([...tokens]);
  return {
    contextTokens,
    texts: inputs,
    count: (index) => count(tokensOf(index)),
    line: async (index) => {
      const tokens = tokensOf(index);
      const { vector } = await context.getEmbeddingFor(tokens);
      return encodeVector(normalised(vector), count(tokens));
    },
  };
}

function normalised(vector: readonly number[]): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  if (!(length > 0 && Number.isFinite(length))) throw new Error('the model made no vector of it');
  return Float32Array.from(vector, (value) => value / length);
}
