/**
 * How do probabilities of tokens look in OpenAI's answers? In chats as a list of tokens with their bytes and alternatives; in
 * completions as four parallel lists. A token is shown as the text of its bytes, with U+FFFD where they are a part of a
 * character; the bytes beside it say what they were. Logarithms below -9999 are told as -9999, as OpenAI does.
 * Source: spec (OpenAI API description, ChatCompletionTokenLogprob and the legacy Completion).
 */
import type { ScoredToken } from '../inference/answer-lines.ts';

const LOGPROB_MIN = -9_999;

interface TokenBody {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface ChatLogprobs {
  readonly content: readonly (TokenBody & { readonly top_logprobs: readonly TokenBody[] })[];
  readonly refusal: null;
}

export function chatLogprobs(tokens: readonly ScoredToken[]): ChatLogprobs {
  return {
    content: tokens.map((token) => ({ ...tokenBody(token), top_logprobs: token.top.map(tokenBody) })),
    refusal: null,
  };
}

export interface CompletionLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
  /** Where each token begins in the text of the answer, in UTF-16 units. */
  readonly text_offset: readonly number[];
}

/** `offset`: where the text of the first token begins. */
export function completionLogprobs(tokens: readonly ScoredToken[], offset: number): CompletionLogprobs {
  const offsets: number[] = [];
  let at = offset;
  for (const token of tokens) {
    offsets.push(at);
    at += token.text.length;
  }
  return {
    tokens: tokens.map(({ bytes }) => textOf(bytes)),
    token_logprobs: tokens.map(({ logprob }) => clamp(logprob)),
    top_logprobs: tokens.map(({ top }) => bestOf(top)),
    text_offset: offsets,
  };
}

/** Several alternatives may look alike when parts of characters are shown: the likeliest, which comes first, stands for them. */
function bestOf(top: ScoredToken['top']): Readonly<Record<string, number>> {
  const best = new Map<string, number>();
  for (const { bytes, logprob } of top) if (!best.has(textOf(bytes))) best.set(textOf(bytes), clamp(logprob));
  return Object.fromEntries(best);
}

function tokenBody({ bytes, logprob }: { readonly bytes: readonly number[]; readonly logprob: number }): TokenBody {
  return { token: textOf(bytes), logprob: clamp(logprob), bytes };
}

function textOf(bytes: readonly number[]): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

function clamp(logprob: number): number {
  return Math.max(LOGPROB_MIN, logprob);
}
