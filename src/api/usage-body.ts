/**
 * How are the tokens of a request counted for OpenAI's clients? Answers of several jobs add up, and a prompt counts once
 * however many choices it has.
 */
import type { Usage } from '../inference/engine.ts';

export interface UsageBody {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

export function usageBody(usage: Usage): UsageBody {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}

/** `choices`: how many jobs in a row have the same prompt. What the first of them found cached was there before the request. */
export function sumUsage(usages: readonly Usage[], choices: number): Usage {
  let promptTokens = 0;
  let completionTokens = 0;
  let cachedTokens = 0;
  for (const [job, usage] of usages.entries()) {
    completionTokens += usage.completionTokens;
    if (job % choices !== 0) continue;
    promptTokens += usage.promptTokens;
    cachedTokens += usage.cachedTokens;
  }
  return { promptTokens, completionTokens, cachedTokens };
}
