/**
 * POST /api/embed and the older /api/embeddings as dialects: vectors as Ollama answers them, several texts in the one and a single
 * `prompt` in the other. Without any text both are the wish to load a model and answer without vectors.
 * What is done with texts and vectors is in `vector-lines.ts`. Source: copied (Ollama's API documentation).
 */
import { z } from 'zod';
import type { Failure } from '../errors.ts';
import type { Dialect, ReadContext, Reading, Show } from './dialect.ts';
import { field, type JsonObject } from './json-object.ts';
import { toNs } from './ollama-answer.ts';
import { ollamaErrorBody } from './ollama-error.ts';
import { isKnown, modelNamed } from './ollama-names.ts';
import { failureOfIssue } from './request-body.ts';
import { absentOr, noSuchName } from './sampling-fields.ts';
import { DIMENSIONS_MAX, readInputs, vectorJobs, type VectorOptions, VectorWriter } from './vector-lines.ts';

export const OLLAMA_EMBED_SCHEMA = z.object({
  model: z.string(),
  dimensions: absentOr(z.int().min(1).max(DIMENSIONS_MAX)),
});

export const OLLAMA_EMBEDDINGS_SCHEMA = z.object({ model: z.string(), prompt: absentOr(z.string()) });

export const OLLAMA_EMBED: Dialect = {
  read(body, context) {
    const parsed = OLLAMA_EMBED_SCHEMA.safeParse(body);
    if (!parsed.success) return refused(failureOfIssue(parsed.error));
    const { model: name, dimensions } = parsed.data;
    const empty = { model: name, embeddings: [], total_duration: 0, load_duration: 0, prompt_eval_count: 0 };
    const write = writeAll(name);
    return readTexts({ name, texts: textsOf(body), empty, write, dimensions: dimensions ?? undefined }, context);
  },
  failureBody: ollamaErrorBody,
};

export const OLLAMA_EMBEDDINGS: Dialect = {
  read(body, context) {
    const parsed = OLLAMA_EMBEDDINGS_SCHEMA.safeParse(body);
    if (!parsed.success) return refused(failureOfIssue(parsed.error));
    const { model: name, prompt } = parsed.data;
    const texts = prompt === '' ? undefined : (prompt ?? undefined);
    return readTexts({ name, texts, empty: { embedding: [] }, write: writeFirst, dimensions: undefined }, context);
  },
  failureBody: ollamaErrorBody,
};

interface Wish {
  readonly name: string;
  /** Undefined = none. */
  readonly texts: unknown;
  /** The answer where there are none. */
  readonly empty: unknown;
  readonly write: VectorOptions['whole'];
  readonly dimensions: number | undefined;
}

function readTexts({ name, texts, empty, write, dimensions }: Wish, context: ReadContext): Reading {
  const model = modelNamed(name, context.models());
  if (model === undefined) return refused(noSuchName());
  if (texts === undefined)
    return isKnown(model, context.models()) ? { type: 'answer', body: empty } : refused(noSuchName());
  const inputs = readInputs(texts);
  if ('code' in inputs) return refused(inputs);
  const options: VectorOptions = {
    total: inputs.length,
    dimensions,
    piece: ({ numbers }) => `[${numbers.join(',')}]`,
    whole: write,
  };
  const show: Show = { type: 'lines', open: () => new VectorWriter(options) };
  // Nothing of one request helps the next: any node will do.
  return { type: 'asked', asked: { sessionKey: '', jobs: vectorJobs(model, inputs), show } };
}

function textsOf(body: JsonObject): unknown {
  const input = field(body, 'input');
  return input === '' || (Array.isArray(input) && input.length === 0) ? undefined : input;
}

function writeFirst([first = '[]']: readonly string[]): string {
  return `{"embedding":${first}}`;
}

function writeAll(name: string): VectorOptions['whole'] {
  return (pieces, tokens, { totalMs }) =>
    `{"model":${JSON.stringify(name)},"embeddings":[${pieces.join(',')}],` +
    `"total_duration":${toNs(totalMs)},"load_duration":0,"prompt_eval_count":${tokens}}`;
}

function refused(failure: Failure): Reading {
  return { type: 'refused', failure };
}
