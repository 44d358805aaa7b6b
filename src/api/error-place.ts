/**
 * In whose words does a request hear that nothing comes of it, before it is known which route it means, or whether it means any?
 * Everything under `/api/` that is not our own answers as Ollama does, also for what Ollama has and this node has not
 * (`/api/pull`). Anthropic's clients say with a header that they are; without it, the path may. All others hear OpenAI's words.
 */
import { anthropicError } from './anthropic-error.ts';
import { errorBody } from './error-body.ts';
import type { Failure } from '../errors.ts';
import { ollamaErrorBody } from './ollama-error.ts';

/** Paths under `/api/` that are no part of Ollama's API. */
const OWN_PATHS = /^\/api\/(?:status(?:$|\?)|requests\/)/;
const ANTHROPIC_PATHS = /^\/v1\/messages(?:$|[?/])/;

export interface Place {
  /** The request target as sent. */
  readonly target: string;
  /** True where the client sent `anthropic-version`. */
  readonly isAnthropic: boolean;
}

export function errorBodyAt({ target, isAnthropic }: Place, failure: Failure): unknown {
  if (target.startsWith('/api/') && !OWN_PATHS.test(target)) return ollamaErrorBody(failure);
  return isAnthropic || ANTHROPIC_PATHS.test(target) ? anthropicError(failure) : errorBody(failure);
}
