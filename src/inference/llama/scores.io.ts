/**
 * How likely was a token, by the model's own judgement, before temperature, penalties and bias? llama.cpp tells the logits of one
 * evaluation only while it samples, so the last token is evaluated once more, with a sampler that changes nothing: the
 * logarithm of a probability is the logit less the largest one and the logarithm of all weights. Costs a second evaluation for each token
 * of an answer that asks for it, and none of the others. Limits: not for models that cannot take back a token (recurrent ones).
 */
import type { LlamaContextSequence, LlamaModel, SequenceEvaluateOptions, Token } from 'node-llama-cpp';
import { encodeScoredToken } from '../answer-lines.ts';
import { tokenBytes, type TokenSpelling } from './token-bytes.ts';

export interface Chance {
  readonly tokenId: Token;
  /** Finite. */
  readonly logprob: number;
}

export interface TokenScore {
  readonly logprob: number;
  /** The likeliest, best first. */
  readonly top: readonly Chance[];
}

export interface ScoreOptions {
  /** The last evaluated token, taken back. */
  readonly last: Token;
  readonly tokenId: Token;
  /** How many of the likeliest. */
  readonly top: number;
  readonly evaluationPriority: NonNullable<SequenceEvaluateOptions['evaluationPriority']>;
}

/** What JSON can say of a token that cannot come. Source: guess: no model gives so little to any token. */
const LOGPROB_MIN = -9_999;

/** Whether its cache can take back a token without evaluating everything again. */
export function canScore({ fileInsights }: LlamaModel): boolean {
  return !fileInsights.isRecurrent && !fileInsights.isHybrid;
}

/** The cache is as it was before the last token. */
export async function takeBack(sequence: LlamaContextSequence): Promise<Token> {
  const end = sequence.nextTokenIndex;
  const last = sequence.contextTokens[end - 1];
  if (last === undefined) throw new Error('there is no token before the first one');
  await sequence.eraseContextTokenRanges([{ start: end - 1, end }]);
  return last;
}

/** Of the token that was sampled after `last`, which is evaluated again. */
export async function scoreOf(sequence: LlamaContextSequence, options: ScoreOptions): Promise<TokenScore> {
  const { last, tokenId, top, evaluationPriority } = options;
  const filter = { tokens: [tokenId], includeTop: Math.max(1, top) };
  const generateNext = { logits: { filter }, totalLogitWeight: true, options: { temperature: 0 } };
  const [output] = await sequence.controlledEvaluate([[last, { generateNext }]], { evaluationPriority });
  const { logits, totalLogitWeight } = output?.next ?? {};
  if (logits === undefined || totalLogitWeight === undefined) throw new Error('the engine told no logits');
  const ranked = [...logits].toSorted(([, left], [, right]) => right - left);
  const base = (ranked[0]?.[1] ?? 0) + Math.log(totalLogitWeight);
  const chances = ranked.map(([id, logit]) => ({ tokenId: id, logprob: bounded(logit - base) }));
  return {
    logprob: chances.find((chance) => chance.tokenId === tokenId)?.logprob ?? LOGPROB_MIN,
    top: chances.slice(0, top),
  };
}

function bounded(logprob: number): number {
  return Number.isNaN(logprob) ? LOGPROB_MIN : Math.min(0, Math.max(LOGPROB_MIN, logprob));
}

/** The line of the answer that a token with its score becomes. */
export function scoreLine(
  model: LlamaModel,
  made: { readonly tokenId: Token; readonly score: TokenScore },
  text: string,
): string {
  const { logprob, top } = made.score;
  const others = top.map((one) => ({ bytes: bytesOf(model, one.tokenId), logprob: one.logprob }));
  return encodeScoredToken({ text, bytes: bytesOf(model, made.tokenId), logprob, top: others });
}

/** By the names of node-llama-cpp. */
const VOCABULARIES: Readonly<Record<string, TokenSpelling['vocabulary']>> = {
  spm: 'sentencepiece',
  ugm: 'sentencepiece',
  bpe: 'gpt-2',
};

function bytesOf(model: LlamaModel, tokenId: Token): readonly number[] {
  const text = model.detokenize([tokenId], true);
  const spelling = spellingOf(model, tokenId);
  const vocabulary = spelling === undefined ? 'other' : (VOCABULARIES[model.vocabularyType] ?? 'other');
  return tokenBytes({ vocabulary, spelling: spelling ?? '', text });
}

/** Not part of the public interface of node-llama-cpp 3.22; where it is missing, the text counts. */
function spellingOf(model: LlamaModel, tokenId: Token): string | undefined {
  const native: unknown = Reflect.get(model, '_model');
  const read: unknown =
    typeof native === 'object' && native !== null ? Reflect.get(native, 'getTokenString') : undefined;
  const spelling: unknown = typeof read === 'function' ? Reflect.apply(read, native, [tokenId]) : undefined;
  return typeof spelling === 'string' ? spelling : undefined;
}
