/**
 * How does a `Failure` look to a client of Ollama? As one text under `error`; the status says the rest. Ollama's clients read
 * nothing else, and show an object as "[object Object]".
 */
import type { Failure } from '../errors.ts';
import { type ParamNames, withParamNames } from './param-names.ts';

export interface OllamaErrorBody {
  readonly error: string;
}

/** What our failures call otherwise. */
const PARAM_NAMES: ParamNames = { response_format: 'format', stop: 'options.stop' };

export function ollamaErrorBody(failure: Failure): OllamaErrorBody {
  return { error: withParamNames(failure, PARAM_NAMES).message };
}
