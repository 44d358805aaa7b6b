/**
 * Loads one model in the child: header check, llama.cpp's binary (never built, never downloaded), memory estimate, weights,
 * chat template, context. Only here does anything parse the file. Each step is announced first, so that the parent knows
 * what took too long; a template that never ends is stopped by the parent's watch, which ends this process.
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
  type LlamaContextSequence,
  LlamaLogLevel,
  type LlamaModel,
  NoBinaryFoundError,
  readGgufFileInfo,
  resolveChatWrapper,
  type Token,
} from 'node-llama-cpp';
import { GGUF_LIMITS } from '../gguf-check.ts';
import type { LoadCommand, LoadFailure, LoadPhase } from './child-protocol.ts';
import { checkGgufFile } from './gguf-file.io.ts';

export interface LoadedModel {
  readonly model: LlamaModel;
  readonly wrapper: ChatWrapper;
  readonly sequences: readonly LlamaContextSequence[];
  readonly contextTokens: number;
  /** Ids below this exist. */
  readonly vocabularySize: number;
  /** Tokens and texts that end an answer beside the model's own end-of-generation tokens. */
  readonly stopTokens: ReadonlySet<number>;
  readonly stopTexts: readonly string[];
}

/** Prompt tokens of one batch. Source: measured: 512 fills the kernels, chunks of the prompt stay below it. */
const BATCH_TOKENS = 512;
/** Share of the available memory that a model may take. Source: guess. */
const MEMORY_SHARE = 0.95;

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
  if (llama.gpu === false) await checkMemory(llama, command);
  const model = await llama.loadModel({ modelPath: command.path });
  await announce('template');
  const wrapper = resolveChatWrapper(model, { warningLogs: false });
  const stops = stopTriggers(model, wrapper);
  await announce('context');
  const context = await createContext(model, command, command.threads ?? defaultThreads(llama));
  return {
    model,
    wrapper,
    sequences: Array.from({ length: context.totalSequences }, () => context.getSequence()),
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

/** One core stays free: llama.cpp's threads spin, and a core too few makes all of them wait. Source: measured. */
function defaultThreads(llama: Llama): number {
  return Math.max(1, Math.min(llama.cpuMathCores, availableParallelism()) - 1);
}

/** llama.cpp loads into the swap what does not fit into memory. */
async function checkMemory(llama: Llama, command: LoadCommand): Promise<void> {
  const info = await readGgufFileInfo(command.path, { sourceType: 'filesystem', logWarnings: false });
  const insights = await GgufInsights.from(info, llama);
  const { cpuRam: needBytes } = await insights.estimateModelResourceRequirementsV2({ gpuLayers: 0 });
  const freeBytes = process.availableMemory() * MEMORY_SHARE;
  if (needBytes > freeBytes)
    throw new LoadError('memory', `it needs ${megabytes(needBytes)} MB, ${megabytes(freeBytes)} MB are free`);
}

/** With as many slots as fit, down to one. */
async function createContext(model: LlamaModel, command: LoadCommand, threads: number): Promise<LlamaContext> {
  const trained = model.trainContextSize > 0 ? model.trainContextSize : command.contextTokens;
  const contextSize = { max: Math.min(command.contextTokens, trained) };
  for (let sequences = command.slots; ; sequences = Math.floor(sequences / 2)) {
    try {
      // Fewer slots are tried only after more did not fit.
      // eslint-disable-next-line no-await-in-loop
      return await model.createContext({ sequences, contextSize, threads, batchSize: BATCH_TOKENS });
    } catch (error) {
      if (sequences <= 1)
        throw new LoadError('memory', error instanceof Error ? error.message : 'no room for a context');
    }
  }
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
