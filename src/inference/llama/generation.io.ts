/**
 * One answer inside the child: align the sequence's cache with the prompt, evaluate the rest of it in chunks, then one
 * token after the other, each after a credit, all of it together with the other answers (`batching.io.ts`).
 * What ends an answer: the model, a stop string, the length, a full context, a cancel.
 * A token whose text is partly held back is itself held back until the next one is known, because text can only leave with
 * a token: were the answer over, the held text would be lost.
 * Limits: resumed sampling is as random as the seed, but not the same draw; cancel takes effect between two evaluations.
 */
import type { LlamaContextSequence, SequenceEvaluateOptions, Token } from 'node-llama-cpp';
import type { FinishReason, RunEnd, Sampling } from '../engine.ts';
import { stopIndexOf } from '../stop-strings.ts';
import { TextStream, TokenText } from '../text-stream.ts';
import { TOOL_CALL_START } from '../tool-text.ts';
import type { Batching, Seat } from './batching.io.ts';
import type { ChildMessage, StartCommand } from './child-protocol.ts';
import type { Credit } from './credit.io.ts';
import type { HeldSampling } from './grammar-state.io.ts';
import type { LoadedModel } from './loaded-model.io.ts';
import { scoreLine, scoreOf, takeBack, type TokenScore } from './scores.io.ts';

/** Tokens that the penalties look back on. Source: guess. */
const PENALTY_TOKENS_MAX = 1_024;
/** Logits are divided by it. Source: guess. */
const REPEAT_PENALTY_MIN = 0.01;

export interface GenerationOptions {
  readonly loaded: LoadedModel;
  readonly sequence: LlamaContextSequence;
  readonly batching: Batching;
  readonly seat: Seat;
  readonly command: StartCommand;
  readonly prompt: readonly Token[];
  /** The tokens of the answer that another engine produced. */
  readonly resumed: readonly Token[];
  /** A grammar is where the answer is in it, the resumed tokens included. */
  readonly held: HeldSampling;
  readonly credit: Credit;
  /** For a sampler without a seed of the client's. */
  readonly randomSeed: number;
  readonly report: (message: ChildMessage) => void;
}

type Tokens = ReturnType<LlamaContextSequence['evaluate']>;

/** A token of the answer, and how likely it was where that is asked for. */
interface Made {
  readonly tokenId: Token;
  readonly score?: TokenScore;
}

interface Withheld extends Made {
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
    const { loaded, prompt, resumed } = options;
    const { resume, sampling } = options.command;
    this.#options = options;
    this.#text = new TokenText((tokenIds, before) => {
      // eslint-disable-next-line typescript/no-unsafe-type-assertion
      return loaded.model.detokenize(tokenIds as readonly Token[], false, before as readonly Token[]);
    });
    const stop = stopsOf(options.command, loaded.stopTexts);
    this.#stream = new TextStream({
      stop,
      until: TOOL_CALL_START,
      ...(resume === undefined ? {} : { sent: resume.text }),
    });
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
  async run(): Promise<RunEnd | undefined> {
    const over = this.#overBeforeItBegan();
    if (over !== undefined) return this.#end(over);
    try {
      return (await this.#evaluatePrompt()) ? await this.#generate() : undefined;
    } finally {
      this.#options.seat.leave();
    }
  }

  async #generate(): Promise<RunEnd | undefined> {
    const { sequence, loaded, credit, seat } = this.#options;
    const rest = this.#tokens.slice(sequence.nextTokenIndex);
    if (rest.length === 0) throw new Error('the prompt is empty');
    const answer = sequence.evaluate(rest, this.#samplingOptions());
    let asks: 'prompt' | 'answer' = rest.length > 1 ? 'prompt' : 'answer';
    try {
      for (;;) {
        // Tokens come one after the other.
        // eslint-disable-next-line no-await-in-loop
        const next = await this.#next(answer, asks);
        if (next === undefined) return undefined;
        asks = 'answer';
        const { value, done } = next;
        const ended = done === true || loaded.stopTokens.has(value);
        this.#letWithheldLeave(ended ? this.#flush() : '');
        if (ended) return this.#end('stop');
        if (!credit.ready) seat.leave();
        // eslint-disable-next-line no-await-in-loop
        if (!(await credit.take())) return undefined;
        // eslint-disable-next-line no-await-in-loop
        const finishReason = this.#accept(await this.#scored(value));
        if (credit.closed) return undefined;
        if (finishReason !== undefined) return this.#end(finishReason);
      }
    } finally {
      await answer.return();
    }
  }

  /** Undefined when it was cancelled. */
  async #next(answer: Tokens, asks: 'prompt' | 'answer'): Promise<IteratorResult<Token, void> | undefined> {
    const { credit, seat, batching } = this.#options;
    await seat.ask(asks);
    if (credit.closed) return undefined;
    const next = await answer.next();
    batching.measure();
    return credit.closed ? undefined : next;
  }

  /** A resumed answer may be complete already. What was owed then has no token to leave with, and stays out. */
  #overBeforeItBegan(): FinishReason | undefined {
    if (this.#stream.stopped) return 'stop';
    return this.#position >= this.#lengthMax ? 'length' : undefined;
  }

  /** All but the last chunk, whose evaluation is the first that gives a new token. False when it was cancelled. */
  async #evaluatePrompt(): Promise<boolean> {
    const { sequence, prompt, credit, seat, batching } = this.#options;
    const before = this.#tokens.slice(0, -1);
    await this.#alignCache(before);
    let done = sequence.nextTokenIndex;
    this.#cachedTokens = Math.min(done, prompt.length);
    this.#foundTokens = done;
    this.#reportProgress(done);
    while (done < before.length) {
      // Chunk after chunk, so that a cancel and other runs get their turn.
      // eslint-disable-next-line no-await-in-loop
      await seat.ask('prompt');
      const { promptTokens } = batching;
      if (credit.closed || before.length - done < promptTokens) break;
      const chunk = before.slice(done, done + promptTokens);
      // eslint-disable-next-line no-await-in-loop
      await sequence.evaluateWithoutGeneratingNewTokens(chunk, { evaluationPriority: seat.priority });
      batching.measure();
      done += chunk.length;
      this.#reportProgress(done);
    }
    return !credit.closed;
  }

  /** What the cache holds beyond the common beginning goes. */
  async #alignCache(tokens: Token[]): Promise<void> {
    const { sequence, batching } = this.#options;
    if (sequence.compareContextTokens(tokens).firstDifferentIndex === sequence.nextTokenIndex) return;
    await batching.alone(async () => sequence.adaptStateToTokens(tokens, false));
  }

  #reportProgress(done: number): void {
    const { report, command } = this.#options;
    const counts = { promptTokensDone: done, promptTokens: this.#tokens.length, cachedTokens: this.#foundTokens };
    report({ type: 'progress', runId: command.runId, ...counts });
  }

  /** The cache is one token shorter for a moment, for which the others pause. */
  async #scored(tokenId: Token): Promise<Made> {
    const { sequence, command, seat, batching } = this.#options;
    const { logprobs } = command.sampling;
    if (logprobs === undefined) return { tokenId };
    seat.leave();
    const last = await batching.alone(async () => takeBack(sequence));
    await seat.ask('answer');
    const score = await scoreOf(sequence, { last, tokenId, top: logprobs, evaluationPriority: seat.priority });
    batching.measure();
    return { tokenId, score };
  }

  /** Takes in a new token: the reason to end after it, if there is one. */
  #accept(made: Made): FinishReason | undefined {
    const { tokenId } = made;
    this.#tokens.push(tokenId);
    const text = this.#owed + this.#stream.push(this.#text.push(tokenId));
    this.#owed = '';
    if (this.#stream.stopped) {
      this.#leave(made, text);
      return 'stop';
    }
    if (this.#position + 1 >= this.#lengthMax) {
      this.#leave(made, text + this.#flush());
      return 'length';
    }
    if (this.#text.holds || this.#stream.holds) this.#withheld = { ...made, text };
    else this.#leave(made, text);
    return undefined;
  }

  #letWithheldLeave(more: string): void {
    if (this.#withheld === undefined) return;
    this.#leave(this.#withheld, this.#withheld.text + more);
    this.#withheld = undefined;
  }

  #leave({ tokenId, score }: Made, plain: string): void {
    const { report, command, loaded } = this.#options;
    const text = score === undefined ? plain : scoreLine(loaded.model, { tokenId, score }, plain);
    report({ type: 'tokens', runId: command.runId, position: this.#position, tokenIds: [tokenId], text });
    this.#position += 1;
  }

  #flush(): string {
    return this.#stream.push(this.#text.flush()) + this.#stream.flush();
  }

  #end(finishReason: FinishReason): RunEnd {
    const { prompt, command } = this.#options;
    const { length: promptTokens } = prompt;
    const usage = { promptTokens, completionTokens: this.#position, cachedTokens: this.#cachedTokens };
    return { finishReason, usage, ...stopIndexOf(command.sampling.stop, this.#stream.stoppedBy) };
  }

  #samplingOptions(): SequenceEvaluateOptions {
    const { command, prompt, randomSeed, held, seat } = this.#options;
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
      ...held,
      evaluationPriority: seat.priority,
    };
  }
}

/** A grammar knows its end, and the texts that end other answers may be part of a string. Calls are never cut by a client's. */
function stopsOf({ sampling, calls, grammar }: StartCommand, ofModel: readonly string[]): readonly string[] {
  if (calls === 'only') return [];
  return grammar !== undefined && calls === undefined ? sampling.stop : [...sampling.stop, ...ofModel];
}

function penalties(sampling: Sampling, answer: () => Token[]): Pick<SequenceEvaluateOptions, 'repeatPenalty'> {
  const { frequencyPenalty, presencePenalty, repeatPenalty = 1 } = sampling;
  if (frequencyPenalty === 0 && presencePenalty === 0 && repeatPenalty === 1) return {};
  return {
    repeatPenalty: {
      penalty: Math.max(REPEAT_PENALTY_MIN, repeatPenalty),
      frequencyPenalty,
      presencePenalty,
      punishTokens: answer,
      maxPunishTokens: PENALTY_TOKENS_MAX,
    },
  };
}
