/**
 * How does a `Failure` look to a client of Ollama? As one text under `error`; the status says the rest. Ollama's clients read
 * nothing else, and show an object as "[object Object]", so that everything under `/api/` that is not our own answers
 * like this: what Ollama has and this node has not (`/api/pull`) as well as what the guard refuses.
 */
import type { Failure } from '../errors.ts';
import { errorBody } from './error-body.ts';
import { type ParamNames, withParamNames } from './param-names.ts';

export interface OllamaErrorBody {
  readonly error: string;
}

/** Paths under `/api/` that are no part of Ollama's API. */
const OWN_PATHS = /^\/api\/(?:status(?:$|\?)|requests\/)/;

/** What our failures call otherwise. */
const PARAM_NAMES: ParamNames = { response_format: 'format', stop: 'options.stop' };

export function ollamaErrorBody(failure: Failure): OllamaErrorBody {
  return { error: withParamNames(failure, PARAM_NAMES).message };
}

/** Before it is known which route a request means, or whether it means any. */
export function errorBodyAt(target: string, failure: Failure): unknown {
  return target.startsWith('/api/') && !OWN_PATHS.test(target) ? ollamaErrorBody(failure) : errorBody(failure);
}
