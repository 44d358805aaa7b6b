/**
 * POST /v1/embeddings as a dialect: one vector for each text, in order, as numbers or as base64 of little-endian 32-bit floats,
 * which OpenAI's own clients ask for. What is done with texts and vectors is in `vector-lines.ts`.
 * Limits: `LIMITS.inputs`. Source: spec (OpenAI API description, CreateEmbeddingRequest).
 */
import { z } from 'zod';
import type { Failure } from '../errors.ts';
import { parseModelId } from '../ids.ts';
import type { AnswerHead, Dialect, Reading } from './dialect.ts';
import { errorBody } from './error-body.ts';
import { field, type JsonObject } from './json-object.ts';
import { failureOfIssue } from './request-body.ts';
import { absentOr, noSuchName } from './sampling-fields.ts';
import { DIMENSIONS_MAX, readInputs, vectorJobs, VectorWriter } from './vector-lines.ts';

export const EMBEDDINGS_SCHEMA = z.object({
  model: z.string(),
  encoding_format: absentOr(z.enum(['float', 'base64'])),
  dimensions: absentOr(z.int().min(1).max(DIMENSIONS_MAX)),
});

export const OPENAI_EMBEDDINGS: Dialect = { read, failureBody: errorBody };

function read(body: JsonObject): Reading {
  const parsed = EMBEDDINGS_SCHEMA.safeParse(body);
  if (!parsed.success) return refused(failureOfIssue(parsed.error));
  const model = parseModelId(parsed.data.model);
  if (model === undefined) return refused(noSuchName());
  const inputs = readInputs(field(body, 'input'));
  if ('code' in inputs) return refused(inputs);
  const options = {
    total: inputs.length,
    base64: parsed.data.encoding_format === 'base64',
    dimensions: parsed.data.dimensions ?? undefined,
  };
  const show = { type: 'lines', open: (head: AnswerHead) => writer(head, options) } as const;
  // Nothing of one request helps the next: any node will do.
  return { type: 'asked', asked: { sessionKey: '', jobs: vectorJobs(model, inputs), show } };
}

function writer(
  { model }: AnswerHead,
  options: { readonly total: number; readonly base64: boolean; readonly dimensions: number | undefined },
): VectorWriter {
  return new VectorWriter({
    ...options,
    piece: ({ index, numbers, base64 }) => {
      const embedding = options.base64 ? `"${base64}"` : `[${numbers.join(',')}]`;
      return `{"object":"embedding","index":${index},"embedding":${embedding}}`;
    },
    whole: (pieces, tokens) => {
      const usage = { prompt_tokens: tokens, total_tokens: tokens };
      const tail = `"model":${JSON.stringify(model)},"usage":${JSON.stringify(usage)}`;
      return `{"object":"list","data":[${pieces.join(',')}],${tail}}`;
    },
  });
}

function refused(reason: Failure): Reading {
  return { type: 'refused', failure: reason };
}
