/**
 * How well does a document answer a query? Models made for it read both together and say one number, which becomes a share
 * between 0 and 1 (a logistic function of it). Limits: query and document together must fit into one batch.
 */
import type { LlamaRankingContext, Token } from 'node-llama-cpp';
import { encodeScore } from '../answer-lines.ts';
import type { ListReader } from './list-run.io.ts';

export interface RankingTask {
  readonly query: string;
  readonly documents: readonly string[];
}

export function rankingReader(context: LlamaRankingContext, { query, documents }: RankingTask): ListReader {
  const tokensOf = (text: string): Token[] => context.model.tokenize(text, false, 'trimLeadingSpace');
  const queryTokens = tokensOf(query);
  const count = (index: number): number => context.calculateInputLength(queryTokens, tokensOf(documents[index] ?? ''));
  return {
    contextTokens: context.contextSize,
    texts: documents.map((document) => query + document),
    count,
    line: async (index) => {
      const score = await context.rank(queryTokens, tokensOf(documents[index] ?? ''));
      if (!Number.isFinite(score)) throw new Error('the model made no score of it');
      return encodeScore(score, count(index));
    },
  };
}
