/**
 * The yardstick of the engine's benchmark: llama.cpp through node-llama-cpp and nothing of ours, in a process of its own.
 * `default` batches as the library does; `gather` waits until all streams have asked for their next token and orders them
 * by sequence, and attends as our engine does, which is all that it asks of llama.cpp. Prompts are evaluated in one piece.
 * It says 'ready', then answers each list of prompts with the times at which tokens came. Source: ours.
 */
import {
  type CustomBatchingPrioritizationStrategy,
  getLlama,
  type LlamaContextSequence,
  LlamaLogLevel,
} from 'node-llama-cpp';
import { ATTENTION } from '../src/inference/llama/loaded-model.io.ts';
import type { ArmJob, ArmResult } from './engine-arms.ts';

export type RawStrategy = 'default' | 'gather';

/** Turns of the microtask queue that a batch waits for streams. Source: copied, the engine's own. */
const SPINS_MAX = 32;

const [path = '', strategy = 'default', slots = '8', contextTokens = '1024', threads = '1'] = process.argv.slice(2);
/** Streams that are about to ask for their next token. */
let running = 0;
let spins = 0;

const gather: CustomBatchingPrioritizationStrategy = ({ items }) => {
  if (items.length < running && spins < SPINS_MAX) {
    spins += 1;
    return [];
  }
  spins = 0;
  return items
    .toSorted((left, right) => right.evaluationPriority - left.evaluationPriority)
    .map((item) => ({ item, processAmount: item.tokens.length }));
};

const llama = await getLlama({
  build: 'never',
  skipDownload: true,
  logLevel: LlamaLogLevel.error,
  progressLogs: false,
  maxThreads: Number(threads),
});
const model = await llama.loadModel({ modelPath: path });
const context = await model.createContext({
  sequences: Number(slots),
  contextSize: Number(contextTokens),
  batchSize: 512,
  threads: Number(threads),
  ...(strategy === 'gather' ? { ...ATTENTION, batching: { itemPrioritizationStrategy: gather } } : {}),
});
const sequences = Array.from({ length: context.totalSequences }, () => context.getSequence());
process.on('message', (job: ArmJob) => void run(job));
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.send?.('ready');

async function run({ prompts, tokens }: ArmJob): Promise<void> {
  for (const sequence of sequences) {
    // One lock serves all sequences.
    // eslint-disable-next-line no-await-in-loop
    await sequence.clearHistory();
  }
  const startedMs = performance.now();
  running = prompts.length;
  const arrivalsMs = await Promise.all(
    prompts.map(async (prompt, slot) => {
      const sequence = sequences[slot];
      if (sequence === undefined) throw new Error('more streams than sequences');
      return stream({ sequence, prompt, tokens, slot, startedMs });
    }),
  );
  const result: ArmResult = { arrivalsMs };
  process.send?.(result);
}

interface Stream {
  readonly sequence: LlamaContextSequence;
  readonly prompt: string;
  readonly tokens: number;
  readonly slot: number;
  readonly startedMs: number;
}

async function stream({ sequence, prompt, tokens, slot, startedMs }: Stream): Promise<readonly number[]> {
  const arrivalsMs: number[] = [];
  // The library takes fractions, its types do not.
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  const evaluationPriority = (5 - slot / 1_000) as 5;
  const answer = sequence.evaluate(model.tokenize(prompt), { temperature: 0, evaluationPriority });
  while (arrivalsMs.length < tokens) {
    // Tokens come one after the other.
    // eslint-disable-next-line no-await-in-loop
    const { done } = await answer.next();
    if (done === true) throw new Error('the model ended its answer');
    arrivalsMs.push(performance.now() - startedMs);
  }
  running -= 1;
  await answer.return();
  return arrivalsMs;
}
