/**
 * One answer inside the child: align the sequence's cache with the prompt, evaluate the rest of it in chunks, then one
 * token after the other, each after a credit. What ends an answer: the model, a stop string, the length, a full context, a cancel.
 * A token whose text is partly held back is itself held back until the next one is known, because text can only leave with
 * a token: were the answer over, the held text would be lost.
 * Limits: resumed sampling is as random as the seed, but not the same draw; cancel takes effect between two evaluations.
 */
import type { LlamaContextSequence, SequenceEvaluateOptions, Token } from 'node-llama-cpp';
import type { FinishReason, Sampling, Usage } from '../engine.ts';
import { TextStream, TokenText } from '../text-stream.ts';
import type { ChildMessage, StartCommand } from './child-protocol.ts';
import type { Credit } from './credit.io.ts';
import type { GrammarSampling } from './grammar-state.io.ts';
import type { LoadedModel } from './loaded-model.io.ts';

/** Prompt tokens of one evaluation: it starts small, and grows or shrinks to take about this long. Source: measured (256 lets
 *  other streams breathe on two cores) and the cancel limit of 250 ms. */
const CHUNK = { tokensMin: 16, tokensStart: 64, tokensMax: 256, elapsedMsMin: 40, elapsedMsMax: 120 } as const;
/** Running answers go before prompts. Source: copied, the range of node-llama-cpp is 1 to 5. */
const PRIORITY = { prompt: 4, answer: 5 } as const;
/** Tokens that the penalties look back on. Source: guess. */
const PENALTY_TOKENS_MAX = 1_024;

export interface GenerationOptions {
  readonly loaded: LoadedModel;
  readonly sequence: LlamaContextSequence;
  readonly command: StartCommand;
  readonly prompt: readonly Token[];
  /** The tokens of the answer that another engine produced. */
  readonly resumed: readonly Token[];
  /** Where the answer is in its grammar, the resumed tokens included; absent = any text. */
  readonly grammar?: GrammarSampling;
  readonly credit: Credit;
  /** For a sampler without a seed of the client's. */
  readonly randomSeed: number;
  readonly report: (message: ChildMessage) => void;
}

export interface GenerationEnd {
  readonly finishReason: FinishReason;
  readonly usage: Usage;
}

interface Withheld {
  readonly tokenId: Token;
  readonly text: string;
}

export class Generation {
  readonly #options: GenerationOptions;
  readonly #text: TokenText;
  readonly #stream: TextStream;
  /** Prompt, then every token of the answer that is known. */
  readonly #tokens: Token[];
  readonly #lengthMax: number;
  /** Position of the next token that leaves. */
  #position: number;
  /** Text of resumed tokens that did not leave with them. */
  #owed: string;
  #withheld: Withheld | undefined;
  #cachedTokens = 0;
  /** In the cache, of the prompt and of what is resumed. */
  #foundTokens = 0;

  constructor(options: GenerationOptions) {
    const { loaded, prompt, resumed, grammar } = options;
    const { resume, sampling } = options.command;
    this.#options = options;
    this.#text = new TokenText((tokenIds, before) => {
      // eslint-disable-next-line typescript/no-unsafe-type-assertion
      return loaded.model.detokenize(tokenIds as readonly Token[], false, before as readonly Token[]);
    });
    // A grammar knows its end, and the texts that end other answers may be part of a string.
    const stop = [...sampling.stop, ...(grammar === undefined ? loaded.stopTexts : [])];
    this.#stream = new TextStream({ stop, ...(resume === undefined ? {} : { sent: resume.text }) });
    const text = resumed.map((tokenId) => this.#text.push(tokenId)).join('');
    const sent = resume?.text ?? '';
    // Another tokenizer may cut or clean differently; what the client has seen decides.
    this.#owed = this.#stream.push(text.startsWith(sent) ? text : sent);
    this.#tokens = [...prompt, ...resumed];
    this.#position = resume?.tokens ?? 0;
    const room = this.#position + loaded.contextTokens - this.#tokens.length;
    this.#lengthMax = Math.min(sampling.maxTokens ?? Infinity, room);
  }

  /** Undefined when it was cancelled. Throws what the engine throws. */
  async run(): Promise<GenerationEnd | undefined> {
    const over = this.#overBeforeItBegan();
    if (over !== undefined) return this.#end(over);
    if (!(await this.#evaluatePrompt())) return undefined;
    const { sequence, loaded, credit } = this.#options;
    const last = this.#tokens.at(-1);
    if (last === undefined) throw new Error('the prompt is empty');
    const answer = sequence.evaluate([last], this.#samplingOptions());
    try {
      for (;;) {
        // Tokens come one after the other.
        // eslint-disable-next-line no-await-in-loop
        const { value, done } = await answer.next();
        if (credit.closed) return undefined;
        const ended = done === true || loaded.stopTokens.has(value);
        this.#letWithheldLeave(ended ? this.#flush() : '');
        if (ended) return this.#end('stop');
        // eslint-disable-next-line no-await-in-loop
        if (!(await credit.take())) return undefined;
        const finishReason = this.#accept(value);
        if (finishReason !== undefined) return this.#end(finishReason);
      }
    } finally {
      await answer.return();
    }
  }

  /** A resumed answer may be complete already. What was owed then has no token to leave with, and stays out. */
  #overBeforeItBegan(): FinishReason | undefined {
    if (this.#stream.stopped) return 'stop';
    return this.#position >= this.#lengthMax ? 'length' : undefined;
  }

  /** All but the last token, whose evaluation is the first that gives a new one. False when it was cancelled. */
  async #evaluatePrompt(): Promise<boolean> {
    const { sequence, prompt, credit } = this.#options;
    const before = this.#tokens.slice(0, -1);
    await sequence.adaptStateToTokens(before, false);
    let done = sequence.nextTokenIndex;
    this.#cachedTokens = Math.min(done, prompt.length);
    this.#foundTokens = done;
    this.#reportProgress(done);
    let chunkTokens: number = CHUNK.tokensStart;
    while (done < before.length) {
      if (credit.closed) return false;
      const chunk = before.slice(done, done + chunkTokens);
      const startedMs = performance.now();
      // Chunk after chunk, so that a cancel and other runs get their turn.
      // eslint-disable-next-line no-await-in-loop
      await sequence.evaluateWithoutGeneratingNewTokens(chunk, { evaluationPriority: PRIORITY.prompt });
      done += chunk.length;
      chunkTokens = nextChunkTokens(chunkTokens, performance.now() - startedMs);
      this.#reportProgress(done);
    }
    return !credit.closed;
  }

  #reportProgress(done: number): void {
    const { report, command } = this.#options;
    const counts = { promptTokensDone: done, promptTokens: this.#tokens.length, cachedTokens: this.#foundTokens };
    report({ type: 'progress', runId: command.runId, ...counts });
  }

  /** Takes in a new token: the reason to end after it, if there is one. */
  #accept(tokenId: Token): FinishReason | undefined {
    this.#tokens.push(tokenId);
    const text = this.#owed + this.#stream.push(this.#text.push(tokenId));
    this.#owed = '';
    if (this.#stream.stopped) {
      this.#leave(tokenId, text);
      return 'stop';
    }
    if (this.#position + 1 >= this.#lengthMax) {
      this.#leave(tokenId, text + this.#flush());
      return 'length';
    }
    if (this.#text.holds || this.#stream.holds) this.#withheld = { tokenId, text };
    else this.#leave(tokenId, text);
    return undefined;
  }

  #letWithheldLeave(more: string): void {
    if (this.#withheld === undefined) return;
    this.#leave(this.#withheld.tokenId, this.#withheld.text + more);
    this.#withheld = undefined;
  }

  #leave(tokenId: Token, text: string): void {
    const { report, command } = this.#options;
    report({ type: 'tokens', runId: command.runId, position: this.#position, tokenIds: [tokenId], text });
    this.#position += 1;
  }

  #flush(): string {
    return this.#stream.push(this.#text.flush()) + this.#stream.flush();
  }

  #end(finishReason: FinishReason): GenerationEnd {
    const { length: promptTokens } = this.#options.prompt;
    const usage = { promptTokens, completionTokens: this.#position, cachedTokens: this.#cachedTokens };
    return { finishReason, usage };
  }

  #samplingOptions(): SequenceEvaluateOptions {
    const { command, prompt, randomSeed, grammar } = this.#options;
    const { sampling } = command;
    return {
      temperature: sampling.temperature,
      topP: sampling.topP,
      ...(sampling.topK === undefined ? {} : { topK: sampling.topK }),
      ...(sampling.minP === undefined ? {} : { minP: sampling.minP }),
      // A resumed answer must not repeat the draws of its beginning.
      seed: sampling.seed === undefined ? randomSeed : (sampling.seed + this.#position) % 2 ** 32,
      ...penalties(sampling, () =>
        this.#tokens.slice(Math.max(prompt.length, this.#tokens.length - PENALTY_TOKENS_MAX)),
      ),
      ...grammar,
      evaluationPriority: PRIORITY.answer,
    };
  }
}

function nextChunkTokens(tokens: number, elapsedMs: number): number {
  if (elapsedMs > CHUNK.elapsedMsMax) return Math.max(CHUNK.tokensMin, Math.floor(tokens / 2));
  return elapsedMs < CHUNK.elapsedMsMin ? Math.min(CHUNK.tokensMax, tokens * 2) : tokens;
}

function penalties(sampling: Sampling, answer: () => Token[]): Pick<SequenceEvaluateOptions, 'repeatPenalty'> {
  const { frequencyPenalty, presencePenalty } = sampling;
  if (frequencyPenalty === 0 && presencePenalty === 0) return {};
  return {
    repeatPenalty: {
      penalty: 1,
      frequencyPenalty,
      presencePenalty,
      punishTokens: answer,
      maxPunishTokens: PENALTY_TOKENS_MAX,
    },
  };
}
