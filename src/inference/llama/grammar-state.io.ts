/**
 * Where in its grammar is an answer? llama.cpp keeps that beside the sampler, and lets only tokens through with which the
 * text can go on. An answer that another engine began is brought to where it stopped: its tokens are read into the state
 * one by one, half characters included. What does not fit the grammar ends the run, because such a state must not be
 * used any more: llama.cpp would end the process. Control tokens are never sampled here: the grammar would take their
 * names for text ("<|im_start|>" fits any string), which nobody sees.
 * Limit: node-llama-cpp 3.22 has no public way to read tokens into a state; this uses its binding, and says so when it has changed.
 */
import {
  LlamaGrammarEvaluationState,
  type LlamaModel,
  type SequenceEvaluateOptions,
  type Token,
  TokenBias,
} from 'node-llama-cpp';
import type { Sampling } from '../engine.ts';
import type { StartCommand } from './child-protocol.ts';

/** What holds the sampler: a grammar, and tokens that are more or less wanted. Empty = nothing does. */
export type HeldSampling = Pick<SequenceEvaluateOptions, 'grammarEvaluationState' | 'tokenBias'>;

type Accept = (state: unknown, token: Token) => void;

/** A bias of so much, or less, forbids a token. Source: spec (OpenAI). */
const FORBIDDEN_BIAS = -100;

/** Of one model. */
export class GrammarStates {
  readonly #model: LlamaModel;
  #textOnly: TokenBias | undefined;

  constructor(model: LlamaModel) {
    this.#model = model;
  }

  /** `before` are the tokens of the answer so far. Throws where the grammar does not accept one of them. */
  async open(
    { grammar, sampling }: Pick<StartCommand, 'grammar' | 'sampling'>,
    before: readonly Token[],
  ): Promise<HeldSampling> {
    const model = this.#model;
    const biases = sampling.logitBias ?? [];
    if (grammar === undefined) return biases.length === 0 ? {} : { tokenBias: biased(model, biases) };
    const state = new LlamaGrammarEvaluationState({ model, grammar: await model.llama.createGrammar({ grammar }) });
    if (before.length > 0) read(model, state, before);
    this.#textOnly ??= withoutControlTokens(model, TokenBias.for(model));
    const tokenBias = biases.length === 0 ? this.#textOnly : withoutControlTokens(model, biased(model, biases));
    return { grammarEvaluationState: state, tokenBias };
  }
}

/** Tokens that end an answer cannot be biased: node-llama-cpp leaves them out. */
function biased(model: LlamaModel, biases: NonNullable<Sampling['logitBias']>): TokenBias {
  const table = TokenBias.for(model);
  const wanted = new Map(biases.map(({ token, bias }) => [token, bias]));
  // Only tokens that there are: the native code looks them up without a check.
  for (const token of model.iterateAllTokens()) {
    const bias = wanted.get(token);
    if (bias !== undefined) table.set(token, bias <= FORBIDDEN_BIAS ? 'never' : { logit: bias });
  }
  return table;
}

function withoutControlTokens(model: LlamaModel, bias: TokenBias): TokenBias {
  for (const token of model.iterateAllTokens()) {
    const { control, unknown, unused } = model.getTokenAttributes(token);
    // Those that end an answer are left out by the bias itself.
    if (control || unknown || unused) bias.set(token, 'never');
  }
  return bias;
}

function read(model: LlamaModel, state: LlamaGrammarEvaluationState, tokens: readonly Token[]): void {
  const accept = acceptOf(model);
  const native: unknown = Reflect.get(state, '_state');
  for (const [index, token] of tokens.entries()) {
    // The native code would end the process.
    if (model.isEogToken(token)) throw new Error('the answer so far is over, so that it cannot go on');
    try {
      accept(native, token);
    } catch {
      throw new Error(`the answer so far leaves the format at token ${index}, so that it cannot go on`);
    }
  }
}

function acceptOf(model: LlamaModel): Accept {
  const bindings: unknown = Reflect.get(model.llama, '_bindings');
  const sampler: unknown = isObject(bindings) ? Reflect.get(bindings, 'AddonSampler') : undefined;
  const accept: unknown = isObject(sampler) ? Reflect.get(sampler, 'acceptGrammarEvaluationStateToken') : undefined;
  if (typeof accept !== 'function') throw new Error('this version of the engine cannot go on with a formatted answer');
  return (state, token) => {
    Reflect.apply(accept, sampler, [state, token]);
  };
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' || typeof value === 'function') && value !== null;
}
