/**
 * Loads one model in the child: header check, llama.cpp's binary (never built, never downloaded), memory estimate, weights,
 * chat template, context. Only here does anything parse the file. Each step is announced first, so that the parent knows
 * what took too long; a template that never ends is stopped, and what eats memory meanwhile ends this process.
 * Limits: memory is estimated only without a graphics card, where llama.cpp itself does not check it.
 */
import { availableParallelism } from 'node:os';
import {
  type ChatWrapper,
  getLlama,
  GgufInsights,
  InsufficientMemoryError,
  type Llama,
  type LlamaContext,
  type LlamaContextOptions,
  type LlamaContextSequence,
  LlamaLogLevel,
  type LlamaModel,
  NoBinaryFoundError,
  readGgufFileInfo,
  resolveChatWrapper,
  type Token,
} from 'node-llama-cpp';
import { GGUF_LIMITS } from '../gguf-check.ts';
import { Batching } from './batching.io.ts';
import type { LoadCommand, LoadFailure, LoadPhase } from './child-protocol.ts';
import { watchCores } from './core-use.io.ts';
import { checkGgufFile } from './gguf-file.io.ts';
import { PROMPT_BUDGET } from './prompt-budget.ts';
import { ThreadCount } from './thread-count.ts';
import { withinTime } from './time-limit.io.ts';

export interface LoadedModel {
  readonly model: LlamaModel;
  readonly wrapper: ChatWrapper;
  readonly sequences: readonly LlamaContextSequence[];
  /** Of the sequences' context. */
  readonly batching: Batching;
  readonly contextTokens: number;
  /** Ids below this exist. */
  readonly vocabularySize: number;
  /** Tokens and texts that end an answer beside the model's own end-of-generation tokens. */
  readonly stopTokens: ReadonlySet<number>;
  readonly stopTexts: readonly string[];
}

/** Tokens of one batch: no prompt gets more at once. Source: measured: more gain nothing on processors, and cost memory. */
const BATCH_TOKENS = PROMPT_BUDGET.tokensMax;
/** llama.cpp's fused attention is the slower one on these processors, from about 150 tokens on: twice as slow for an answer
 *  behind 1,000 tokens, up to 7 times for a short rest of a prompt. It needs less memory, and is faster for very short
 *  conversations and for long parts of prompts. Source: measured (x86 with AVX2); others keep the library's choice. */
export const ATTENTION = process.arch === 'x64' ? { flashAttention: false } : {};
/** Memory that everything else on the machine keeps. Source: requirement (512 MB). */
export const HEADROOM_BYTES = 536_870_912;

/** For finding out what kind of template it is, by some hundred trials. Source: measured (1 s on a busy machine). */
const TEMPLATE_TRIALS_MS_MAX = 5_000;

/** Why a model did not load, for the parent. */
class LoadError extends Error {
  readonly reason: LoadFailure;

  constructor(reason: LoadFailure, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Throws a `LoadError` for what may happen, and anything else as it came. */
export async function loadModel(
  command: LoadCommand,
  announce: (phase: LoadPhase) => Promise<void>,
): Promise<LoadedModel> {
  try {
    return await loadSteps(command, announce);
  } catch (error) {
    if (error instanceof InsufficientMemoryError) throw new LoadError('memory', error.message);
    throw error;
  }
}

async function loadSteps(command: LoadCommand, announce: (phase: LoadPhase) => Promise<void>): Promise<LoadedModel> {
  const check = await checkGgufFile(command.path);
  if (check.type !== 'accepted')
    throw new LoadError(
      'model',
      check.type === 'rejected' ? `it ${check.reason}` : `its header exceeds ${GGUF_LIMITS.headerBytesMax} bytes`,
    );
  await announce('engine');
  const llama = await openLlama(command.threads);
  await announce('weights');
  const slots = await slotsThatFit(llama, command);
  const model = await loadWeights(llama, { ...command, slots });
  await announce('template');
  const { wrapper, stops } = chatTemplate(model);
  await announce('context');
  const batching = new Batching();
  const threadCount = new ThreadCount({ physicalCores: llama.cpuMathCores, availableCores: availableParallelism() });
  const context = await createContext(
    model,
    { ...command, slots },
    {
      threads: command.threads ?? threadCount.threads,
      batching: batching.options,
      ...(llama.gpu === false ? ATTENTION : {}),
    },
  );
  if (command.threads === undefined && threadCount.threads > 1)
    watchCores(threadCount, (threads) => {
      llama.maxThreads = threads;
    });
  return {
    model,
    wrapper,
    sequences: Array.from({ length: context.totalSequences }, () => context.getSequence()),
    batching,
    contextTokens: context.contextSize,
    vocabularySize: [...model.iterateAllTokens()].length,
    ...stops,
  };
}

async function openLlama(threads: number | undefined): Promise<Llama> {
  try {
    return await getLlama({
      // Never compile or fetch behind somebody's back: 'auto' has been seen compiling for minutes.
      build: 'never',
      skipDownload: true,
      gpu: 'auto',
      logLevel: LlamaLogLevel.error,
      progressLogs: false,
      ...(threads === undefined ? {} : { maxThreads: threads }),
    });
  } catch (error) {
    if (error instanceof NoBinaryFoundError) throw new LoadError('no-engine', error.message);
    throw error;
  }
}

/**
 * How many slots fit beside the weights; llama.cpp would load into the swap what does not fit into memory. A graphics card's memory
 * is llama.cpp's own to check.
 */
async function slotsThatFit(llama: Llama, command: LoadCommand): Promise<number> {
  if (llama.gpu !== false) return command.slots;
  const info = await readGgufFileInfo(command.path, { sourceType: 'filesystem', logWarnings: false });
  const insights = await GgufInsights.from(info, llama);
  const { cpuRam: weightBytes } = await insights.estimateModelResourceRequirementsV2({ gpuLayers: 0 });
  const freeBytes = process.availableMemory();
  const contextSize = Math.min(command.contextTokens, insights.trainContextSize ?? command.contextTokens);
  const shape = { contextSize, modelGpuLayers: 0, batchSize: BATCH_TOKENS, ...ATTENTION };
  for (let sequences = command.slots; ; sequences = Math.floor(sequences / 2)) {
    // Fewer slots are counted only after more did not fit.
    // eslint-disable-next-line no-await-in-loop
    const { cpuRam: contextBytes } = await insights.estimateContextResourceRequirementsV2({ ...shape, sequences });
    const needBytes = weightBytes + contextBytes + HEADROOM_BYTES;
    if (needBytes <= freeBytes) return sequences;
    if (sequences <= 1)
      throw new LoadError('memory', `it needs ${megabytes(needBytes)} MB, ${megabytes(freeBytes)} MB are free`);
  }
}

/**
 * A graphics card takes as many layers as fit beside the context of all slots, by llama.cpp's estimate and with its headroom; where
 * not even the context fits, none.
 */
async function loadWeights(llama: Llama, { path, contextTokens, slots }: LoadCommand): Promise<LlamaModel> {
  const gpuLayers = { fitContext: { contextSize: contextTokens * slots } };
  try {
    return await llama.loadModel({ modelPath: path, ...(llama.gpu === false ? {} : { gpuLayers }) });
  } catch (error) {
    if (llama.gpu === false || !(error instanceof InsufficientMemoryError)) throw error;
    return llama.loadModel({ modelPath: path, gpuLayers: 0 });
  }
}

/** With as many slots as fit, down to one. */
async function createContext(
  model: LlamaModel,
  command: LoadCommand,
  options: Pick<LlamaContextOptions, 'threads' | 'batching' | 'flashAttention'>,
): Promise<LlamaContext> {
  const trained = model.trainContextSize > 0 ? model.trainContextSize : command.contextTokens;
  const contextSize = { max: Math.min(command.contextTokens, trained) };
  for (let sequences = command.slots; ; sequences = Math.floor(sequences / 2)) {
    try {
      // Fewer slots are tried only after more did not fit.
      // eslint-disable-next-line no-await-in-loop
      return await model.createContext({ ...options, sequences, contextSize, batchSize: BATCH_TOKENS });
    } catch (error) {
      if (sequences <= 1)
        throw new LoadError('memory', error instanceof Error ? error.message : 'no room for a context');
    }
  }
}

function chatTemplate(model: LlamaModel): { wrapper: ChatWrapper; stops: ReturnType<typeof stopTriggers> } {
  const found = withinTime(TEMPLATE_TRIALS_MS_MAX, () => {
    const wrapper = resolveChatWrapper(model, { warningLogs: false });
    return { wrapper, stops: stopTriggers(model, wrapper) };
  });
  if (found.type === 'too-slow') throw new LoadError('model', 'its chat template does not end');
  return found.value;
}

function stopTriggers(
  model: LlamaModel,
  wrapper: ChatWrapper,
): { readonly stopTokens: ReadonlySet<number>; readonly stopTexts: readonly string[] } {
  const { stopGenerationTriggers } = wrapper.generateContextState({ chatHistory: [{ type: 'user', text: 'Hi' }] });
  const stopTokens = new Set<number>();
  const stopTexts: string[] = [];
  for (const trigger of stopGenerationTriggers) {
    const [first, ...rest] = trigger.values;
    const tokens: readonly Token[] = trigger.tokenize(model.tokenizer);
    if (typeof first === 'string' && rest.length === 0) stopTexts.push(first);
    else if (tokens.length === 1 && tokens[0] !== undefined) stopTokens.add(tokens[0]);
  }
  return { stopTokens, stopTexts };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1_000_000);
}
