/**
 * Vectors and scores inside the child: one text after the other, each after a credit, each a line of the answer, so that a list
 * stops, waits and goes on like any answer, and chats beside it get their turn between two texts. The contexts are made
 * on first use and kept, one for vectors and one for scores; several lists take turns in them, text by text.
 * Limits: a text is read in one batch, so that a model which writes takes at most `WRITER_TOKENS_MAX` tokens of it; one that is
 * too long fails the list, with its number. A cancel waits for the text under way.
 */
import type { LlamaEmbeddingContext, LlamaModel, LlamaRankingContext } from 'node-llama-cpp';
import type { Task } from '../engine.ts';
import type { ChildMessage, StartCommand } from './child-protocol.ts';
import type { Credit } from './credit.io.ts';
import { embeddingReader } from './embedding.io.ts';
import type { LoadedModel } from './loaded-model.io.ts';
import { CHARACTERS_PER_TOKEN_MAX } from './prompt.io.ts';
import { rankingReader } from './rerank.io.ts';

export type ListTask = Exclude<Task, { type: 'completion' }>;

/** How one kind of list reads its texts. */
export interface ListReader {
  readonly contextTokens: number;
  /** What goes into each line. */
  readonly texts: readonly string[];
  /** With the tokens that the model wants around the text. */
  count(index: number): number;
  line(index: number): Promise<string>;
}

export interface ListRunOptions {
  readonly command: StartCommand;
  readonly task: ListTask;
  readonly credit: Credit;
  readonly report: (message: ChildMessage) => void;
}

/** Of a model that reads in one direction. Source: guess: its vocabulary times this may be the memory of a batch. */
const WRITER_TOKENS_MAX = 2_048;
/** Of a model in which every token looks at every other. Source: guess: the square of it may be the memory of a batch. */
const READER_TOKENS_MAX = 8_192;

interface ContextOptions {
  readonly contextSize: number;
  readonly batchSize: number;
  readonly threads: number;
}

interface Made<Context> {
  readonly context: Context;
  readonly contextTokens: number;
}

export function isList(task: Task | undefined): task is ListTask {
  return task !== undefined && task.type !== 'completion';
}

/** Whether the model cannot write: it reads a text as a whole. */
export function isReader(model: LlamaModel): boolean {
  const { attention } = model.fileInfo.architectureMetadata;
  return model.fileInsights.supportsRanking || attention?.causal === false;
}

/** Of one model. */
export class Lists {
  readonly #loaded: LoadedModel;
  #embedding: Promise<Made<LlamaEmbeddingContext>> | undefined;
  #ranking: Promise<Made<LlamaRankingContext>> | undefined;

  constructor(loaded: LoadedModel) {
    this.#loaded = loaded;
  }

  /** The last message of the run. Throws what the engine throws. */
  async run({ command, task, credit, report }: ListRunOptions): Promise<ChildMessage> {
    const { runId, resume } = command;
    if (task.type === 'rerank' && !this.#loaded.model.fileInsights.supportsRanking)
      return { type: 'refused', runId, reason: 'unsupported-feature', detail: 'this model cannot rank documents' };
    report({ type: 'progress', runId, promptTokensDone: 0, promptTokens: 0, cachedTokens: 0 });
    const reader = await this.#reader(task);
    const begin = resume?.tokens ?? 0;
    let promptTokens = 0;
    for (const [index, text] of reader.texts.entries()) {
      const isTooLong = text.length > reader.contextTokens * CHARACTERS_PER_TOKEN_MAX;
      const tokens = isTooLong ? Math.ceil(text.length / CHARACTERS_PER_TOKEN_MAX) : reader.count(index);
      promptTokens += tokens;
      if (index < begin) continue;
      if (tokens >= reader.contextTokens)
        return { type: 'too-long', runId, promptTokens: tokens, contextTokens: reader.contextTokens };
      // One after the other: they share a context, and each needs a credit.
      // eslint-disable-next-line no-await-in-loop
      if (!(await credit.take())) return { type: 'released', runId };
      // eslint-disable-next-line no-await-in-loop
      const line = await reader.line(index);
      if (credit.closed) return { type: 'released', runId };
      report({ type: 'tokens', runId, position: index, tokenIds: [index], text: line });
    }
    const completionTokens = Math.max(begin, reader.texts.length);
    return { type: 'ended', runId, finishReason: 'stop', usage: { promptTokens, completionTokens, cachedTokens: 0 } };
  }

  async #reader(task: ListTask): Promise<ListReader> {
    const { model } = this.#loaded;
    if (task.type === 'rerank') {
      this.#ranking ??= this.#largest(async (options) => model.createRankingContext(options));
      return rankingReader((await this.#kept(this.#ranking)).context, task);
    }
    this.#embedding ??= this.#largest(async (options) => model.createEmbeddingContext(options));
    const { context, contextTokens } = await this.#kept(this.#embedding);
    return embeddingReader(context, contextTokens, task.inputs);
  }

  /** What could not be made is tried anew by the next list. */
  async #kept<Context>(made: Promise<Made<Context>>): Promise<Made<Context>> {
    try {
      return await made;
    } catch (error) {
      this.#embedding = undefined;
      this.#ranking = undefined;
      throw error;
    }
  }

  /** As large as fits into memory, down to a quarter. */
  async #largest<Context>(make: (options: ContextOptions) => Promise<Context>): Promise<Made<Context>> {
    const { contextTokens, model } = this.#loaded;
    const { attention } = model.fileInfo.architectureMetadata;
    const most = Math.min(contextTokens, attention?.causal === false ? READER_TOKENS_MAX : WRITER_TOKENS_MAX);
    for (let tokens = most; ; tokens = Math.ceil(tokens / 2)) {
      try {
        // Read in one batch: some kinds of models end the process where it is cut.
        const options = { contextSize: tokens, batchSize: tokens, threads: this.#threads() };
        // A smaller one is tried only after a larger one did not fit.
        // eslint-disable-next-line no-await-in-loop
        return { context: await make(options), contextTokens: tokens };
      } catch (error) {
        if (tokens <= most / 4) throw error;
      }
    }
  }

  #threads(): number {
    return this.#loaded.sequences[0]?.context.idealThreads ?? 1;
  }
}
