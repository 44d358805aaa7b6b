/**
 * POST /v1/rerank as a dialect: how well does each document answer a query? In the shape that Jina, Cohere, vLLM and llama-server
 * share: documents as texts or objects with a text, results best first, with the document where it was asked for. Equal scores
 * keep the order of the documents. Scores are the model's own: they compare within one request.
 * Limits: `LIMITS.documents`. Source: copied (those four's documentation).
 */
import { z } from 'zod';
import type { Failure } from '../errors.ts';
import { parseModelId } from '../ids.ts';
import { decodeScore } from '../inference/answer-lines.ts';
import { LIMITS } from '../params.ts';
import type { AnswerHead, Dialect, LineWriter, Reading } from './dialect.ts';
import { errorBody } from './error-body.ts';
import { field, isJsonObject, type JsonObject } from './json-object.ts';
import { batchesOf, LineCounter, listJob } from './line-batches.ts';
import { badField, failureOfIssue } from './request-body.ts';
import { absentOr, noSuchName } from './sampling-fields.ts';

export const RERANK_SCHEMA = z.object({
  model: z.string(),
  query: z.string().min(1),
  top_n: absentOr(z.int().min(1)),
  return_documents: absentOr(z.boolean()),
});

export const RERANK: Dialect = { read, failureBody: errorBody };

function read(body: JsonObject): Reading {
  const parsed = RERANK_SCHEMA.safeParse(body);
  if (!parsed.success) return refused(failureOfIssue(parsed.error));
  const { top_n: topN, return_documents: returnDocuments } = parsed.data;
  const model = parseModelId(parsed.data.model);
  if (model === undefined) return refused(noSuchName());
  const documents = readDocuments(field(body, 'documents'));
  if ('code' in documents) return refused(documents);
  const query = parsed.data.query.toWellFormed();
  const jobs = batchesOf(documents).map((batch) => listJob(model, { type: 'rerank', query, documents: batch }));
  const options = { documents, topN: topN ?? documents.length, returnDocuments: returnDocuments ?? false };
  const show = { type: 'lines', open: (head: AnswerHead) => new ScoreWriter(head, options) } as const;
  // Nothing of one request helps the next: any node will do.
  return { type: 'asked', asked: { sessionKey: '', jobs, show } };
}

function readDocuments(value: unknown): readonly string[] | Failure {
  if (!Array.isArray(value)) return badField('documents', 'expected a list of texts');
  if (value.length === 0 || value.length > LIMITS.documents)
    return badField('documents', `expected 1 to ${LIMITS.documents}, got ${value.length}`);
  const documents: string[] = [];
  for (const [index, item] of value.entries()) {
    const text: unknown = isJsonObject(item) ? field(item, 'text') : item;
    if (typeof text !== 'string') return badField(`documents[${index}]`, 'expected a text, or an object with one');
    documents.push(text.toWellFormed());
  }
  return documents;
}

interface ScoreOptions {
  readonly documents: readonly string[];
  readonly topN: number;
  readonly returnDocuments: boolean;
}

class ScoreWriter implements LineWriter {
  readonly #head: AnswerHead;
  readonly #options: ScoreOptions;
  readonly #counter: LineCounter;
  readonly #scores: { readonly index: number; readonly score: number }[] = [];
  #tokens = 0;

  constructor(head: AnswerHead, options: ScoreOptions) {
    this.#head = head;
    this.#options = options;
    this.#counter = new LineCounter(options.documents.length);
  }

  line(job: number, line: string): boolean {
    const decoded = decodeScore(line);
    const index = this.#counter.next(job);
    if (decoded === undefined || index === undefined) return false;
    this.#scores.push({ index, score: decoded.score });
    this.#tokens += decoded.tokens;
    return true;
  }

  closed(): ReturnType<LineWriter['closed']> {
    const missing = this.#counter.check();
    if (missing !== undefined) return { type: 'failed', failure: missing };
    const { documents, topN, returnDocuments } = this.#options;
    const best = this.#scores
      .toSorted((left, right) => right.score - left.score || left.index - right.index)
      .slice(0, topN);
    const body = {
      id: `rerank-${this.#head.requestId}`,
      object: 'list',
      model: this.#head.model,
      results: best.map(({ index, score }) => ({
        index,
        relevance_score: score,
        ...(returnDocuments ? { document: { text: documents[index] } } : {}),
      })),
      usage: { prompt_tokens: this.#tokens, total_tokens: this.#tokens },
    };
    return { type: 'body', json: JSON.stringify(body) };
  }
}

function refused(reason: Failure): Reading {
  return { type: 'refused', failure: reason };
}
