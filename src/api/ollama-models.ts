/**
 * What does a client of Ollama hear about the models of the mesh? The lists of /api/tags and /api/ps (those that are ready somewhere),
 * the details of one, and a version. Nodes do not tell each other what files they have: sizes are 0, families and
 * quantisations are '', and the digest is one of the name, because Ollama's own command line shows its first twelve digits.
 * Every model is said to complete and to call tools, which some editors ask before they show it; whether a model is for
 * embeddings only, the mesh does not know. Nothing expires: a date in the far future is shown as "forever".
 */
import { z } from 'zod';
import { sha256 } from '@noble/hashes/sha2.js';
import { toHex, utf8 } from '../bytes.ts';
import { compareIds, type ModelId } from '../ids.ts';
import type { Dialect, ReadContext, Reading } from './dialect.ts';
import { isoTime } from './iso-time.ts';
import type { JsonObject } from './json-object.ts';
import type { ModelOffer } from './models.ts';
import { ollamaErrorBody } from './ollama-error.ts';
import { modelNamed, taggedName } from './ollama-names.ts';
import { failureOfIssue } from './request-body.ts';
import { absentOr, noSuchName } from './sampling-fields.ts';

/**
 * The version of Ollama whose API this is: clients compare it with the least that they need (editors: 0.6.4; tools, schemas
 * and probabilities of tokens came by 0.12.11), and cut it at "-" before they read numbers. So the part in front is a
 * version with all that is here, and who really answers comes after it.
 */
const VERSION = { version: '0.13.0-skein' };
/** Source: copied (where Ollama puts the end of a model that stays). */
const NEVER = '2318-01-01T00:00:00Z';

const NO_DETAILS = {
  parent_model: '',
  format: '',
  family: '',
  families: [],
  parameter_size: '',
  quantization_level: '',
};

export const OLLAMA_SHOW_SCHEMA = z.object({ model: absentOr(z.string()), name: absentOr(z.string()) });

export const OLLAMA_SHOW: Dialect = { read, failureBody: ollamaErrorBody };

export function ollamaVersion(): unknown {
  return VERSION;
}

/** `createdS`: Unix seconds; the node's start stands in for the time that a model was changed. */
export function ollamaTags(offers: readonly ModelOffer[], createdS: number): unknown {
  const modified = isoTime(createdS * 1_000);
  return { models: namesOf(offers).map(({ name, model }) => ({ ...entry(name, model), modified_at: modified })) };
}

export function ollamaRunning(offers: readonly ModelOffer[]): unknown {
  const ready = new Set(offers.filter(({ state }) => state === 'ready').map(({ model }) => model));
  return {
    models: namesOf(offers)
      .filter(({ model }) => ready.has(model))
      .map(({ name, model }) => ({
        ...entry(name, model),
        expires_at: NEVER,
        size_vram: 0,
        context_length: contextOf(model, offers),
      })),
  };
}

function read(body: JsonObject, context: ReadContext): Reading {
  const parsed = OLLAMA_SHOW_SCHEMA.safeParse(body);
  if (!parsed.success) return { type: 'refused', failure: failureOfIssue(parsed.error) };
  const offers = context.models();
  const model = modelNamed(parsed.data.model ?? parsed.data.name ?? '', offers);
  if (model === undefined || !offers.some((offer) => offer.model === model))
    return { type: 'refused', failure: noSuchName() };
  const contextTokens = contextOf(model, offers);
  return {
    type: 'answer',
    body: {
      license: '',
      modelfile: '',
      parameters: '',
      template: '',
      system: '',
      details: NO_DETAILS,
      messages: [],
      // Clients find the length by the name of the architecture.
      model_info: {
        'general.architecture': 'skein',
        'general.basename': model,
        ...(contextTokens === 0 ? {} : { 'skein.context_length': contextTokens }),
      },
      capabilities: ['completion', 'tools'],
    },
  };
}

function namesOf(offers: readonly ModelOffer[]): readonly { readonly name: string; readonly model: ModelId }[] {
  const models = new Set(offers.map(({ model }) => model));
  return [...models].toSorted(compareIds).map((model) => ({ name: taggedName(model, models), model }));
}

function entry(name: string, model: ModelId): object {
  return { name, model: name, size: 0, digest: toHex(sha256(utf8(model))), details: NO_DETAILS };
}

/** The longest prompt and answer that any node takes; 0 = unknown. */
function contextOf(model: ModelId, offers: readonly ModelOffer[]): number {
  return Math.max(0, ...offers.filter((offer) => offer.model === model).map(({ contextTokens }) => contextTokens));
}
