/**
 * What does an upstream say about the probabilities of its tokens? Reads `logprobs` of a choice in both shapes in use (a list of
 * tokens with bytes, as chats have it and llama-server everywhere; four parallel lists, as OpenAI's completions have it).
 * A chunk may hold several tokens, and its text may lag behind them: each token gets its own text where the tokens add up to the
 * text of the chunk, else the last one gets all of it. What is no number is told as the least there is.
 * Limits: as many alternatives as were asked for, whatever the server sends.
 */
import { utf8 } from '../bytes.ts';
import type { ScoredToken } from './answer-lines.ts';
import { isRecord, listOf, recordOf, textOf } from './upstream-json.ts';

/** Instead of minus infinity, which JSON cannot say. Source: copied (OpenAI). */
const LOGPROB_MIN = -9_999;

interface Token extends ScoredToken {
  readonly name: string;
}

/** Undefined where the choice says nothing of probabilities. */
export function scoredTokens(choice: unknown, text: string, topMax: number): readonly ScoredToken[] | undefined {
  const logprobs = recordOf(choice, 'logprobs');
  if (logprobs === undefined) return undefined;
  const content = listOf(logprobs, 'content');
  const tokens =
    content === undefined ? parallelTokens(logprobs, topMax) : content.map((item) => toToken(item, topMax));
  if (tokens.length === 0 && text !== '') return undefined;
  const addsUp = tokens.map(({ name }) => name).join('') === text;
  return tokens.map(({ name, bytes, logprob, top }, index) => {
    const last = index === tokens.length - 1 ? text : '';
    return { text: addsUp ? name : last, bytes, logprob, top };
  });
}

function toToken(item: unknown, topMax: number): Token {
  const top = (listOf(item, 'top_logprobs') ?? []).slice(0, topMax).map((other) => {
    const { bytes, logprob } = toScore(other);
    return { bytes, logprob };
  });
  return { ...toScore(item), text: '', top };
}

function toScore(item: unknown): Omit<Token, 'text' | 'top'> {
  const name = (textOf(item, 'token') ?? '').toWellFormed();
  const bytes = listOf(item, 'bytes');
  const isGiven = bytes?.every((byte) => typeof byte === 'number' && Number.isInteger(byte) && byte >= 0 && byte < 256);
  const given = isGiven === true ? (bytes ?? []).map(Number) : [...utf8(name)];
  return { name, bytes: given, logprob: toLogprob(isRecord(item) ? item['logprob'] : undefined) };
}

function parallelTokens(logprobs: unknown, topMax: number): readonly Token[] {
  const names = listOf(logprobs, 'tokens') ?? [];
  const values = listOf(logprobs, 'token_logprobs') ?? [];
  const tops = listOf(logprobs, 'top_logprobs') ?? [];
  return names.map((item, index) => {
    const name = typeof item === 'string' ? item.toWellFormed() : '';
    const top = tops[index];
    const others = Object.entries(isRecord(top) ? top : {})
      .map(([other, value]) => ({ bytes: [...utf8(other.toWellFormed())], logprob: toLogprob(value) }))
      .toSorted((left, right) => right.logprob - left.logprob)
      .slice(0, topMax);
    return { name, text: '', bytes: [...utf8(name)], logprob: toLogprob(values[index]), top: others };
  });
}

function toLogprob(value: unknown): number {
  return typeof value === 'number' ? Math.max(LOGPROB_MIN, value) : LOGPROB_MIN;
}
