/**
 * The process that runs one model. It obeys its parent over the IPC channel and talks to nobody else: `load` once, then
 * `start`, `grant` and `cancel` of runs, and perhaps `leave` before its end. It says `alive` every second, sends its messages once per turn of the event loop,
 * and ends with its parent. Whatever happens to it (an assertion in native code, a template that never returns) happens to
 * it alone. Signals of the terminal go to every process of the group, so it ignores them: the parent decides when it ends.
 */
import { randomInt } from 'node:crypto';
import type { ChildMessage, ParentMessage, StartCommand } from './child-protocol.ts';
import { Credit } from './credit.io.ts';
import { Generation } from './generation.io.ts';
import type { GrammarStates } from './grammar-state.io.ts';
import { isList, isReader, Lists } from './list-run.io.ts';
import type { LoadedModel } from './loaded-model.io.ts';
import { Outbox } from './outbox.io.ts';
import { createPrompt, resumedTokens } from './prompt.io.ts';
import { canScore } from './scores.io.ts';
import { Slots } from './slots.io.ts';
import type { StateFiles } from './state-files.io.ts';

/** Source: guess, six of them fit into the parent's patience. */
const ALIVE_INTERVAL_MS = 1_000;

const outbox = new Outbox((messages) => {
  // Without a channel there is no parent: `disconnect` ends this process.
  if (process.connected) process.send?.(messages);
});
const credits = new Map<number, Credit>();
let serving:
  | {
      readonly loaded: LoadedModel;
      readonly slots: Slots;
      readonly grammars: GrammarStates;
      readonly lists: Lists;
      readonly states: StateFiles | undefined;
    }
  | undefined;

process.on('disconnect', endProcess);
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('message', (message: ParentMessage) => obey(message));
setInterval(sayAlive, ALIVE_INTERVAL_MS);
sayAlive();

/** Not exit(): it would wait for native threads. */
function endProcess(): void {
  process.kill(process.pid, 'SIGKILL');
}

function sayAlive(): void {
  // The parent may have gone before anybody listened for it.
  if (!process.connected) endProcess();
  outbox.push({ type: 'alive' });
  outbox.flush();
}

function obey(message: ParentMessage): void {
  switch (message.type) {
    case 'load':
      void load(message);
      return;
    case 'start':
      void start(message);
      return;
    case 'grant':
      credits.get(message.runId)?.grant(message.tokens);
      return;
    case 'cancel':
      credits.get(message.runId)?.close();
      return;
    case 'leave':
      void leave();
  }
}

async function load(command: Extract<ParentMessage, { type: 'load' }>): Promise<void> {
  try {
    const { loadModel } = await import('./loaded-model.io.ts');
    const { GrammarStates } = await import('./grammar-state.io.ts');
    const { StateFiles } = await import('./state-files.io.ts');
    const loaded = await loadModel(command, async (phase) => announce({ type: 'phase', phase }));
    serving = {
      loaded,
      slots: new Slots(loaded.sequences),
      grammars: new GrammarStates(loaded.model),
      lists: new Lists(loaded),
      states: command.keep === undefined ? undefined : await StateFiles.open(command.keep, loaded),
    };
    outbox.push({ type: 'ready', contextTokens: loaded.contextTokens, slots: loaded.sequences.length });
  } catch (error) {
    outbox.push({ type: 'load-failed', reason: loadFailure(error), detail: describe(error) });
  }
}

/** Waits until it is on its way: the next step may block this process for ever. */
async function announce(message: ChildMessage): Promise<void> {
  outbox.flush();
  await new Promise<void>((resolve) => {
    process.send?.([message], () => resolve());
  });
}

/** Never rejects: what could not be kept is read again by the next process. */
async function leave(): Promise<void> {
  await serving?.states?.leave(serving.slots).catch(() => undefined);
  outbox.push({ type: 'left' });
}

/** Never rejects: what goes wrong is the run's failure. */
async function start(command: StartCommand): Promise<void> {
  const { runId } = command;
  const credit = new Credit();
  credits.set(runId, credit);
  try {
    outbox.push(await answer(command, credit));
  } catch (error) {
    outbox.push({ type: 'failed', runId, detail: describe(error) });
  } finally {
    credits.delete(runId);
  }
}

/** The last message of the run. Its slot is free again when this returns. */
async function answer(command: StartCommand, credit: Credit): Promise<ChildMessage> {
  const { runId } = command;
  if (serving === undefined) throw new Error('no model is loaded');
  const { loaded, slots, grammars, lists, states } = serving;
  const { batching } = loaded;
  const { task } = command;
  if (isList(task)) return lists.run({ command, task, credit, report: (message) => outbox.push(message) });
  const refusal = refusalOf(loaded, command);
  if (refusal !== undefined) return refusal;
  const prompt = createPrompt(loaded, command);
  if (prompt.type === 'too-long')
    return { type: 'too-long', runId, promptTokens: prompt.promptTokens, contextTokens: loaded.contextTokens };
  const resumed = resumedTokens(loaded, command.resume);
  const tokens = [...prompt.tokens, ...resumed];
  const sequence = slots.take(tokens, states?.foundTokens(tokens));
  if (sequence === undefined) throw new Error('no slot is free');
  try {
    await states?.exchange(sequence, { prompt: tokens, isCancelled: () => credit.closed });
    const generation = new Generation({
      loaded,
      sequence,
      batching,
      seat: batching.seat(loaded.sequences.indexOf(sequence)),
      command,
      prompt: prompt.tokens,
      resumed,
      held: await grammars.open(command, resumed),
      credit,
      randomSeed: randomInt(2 ** 32),
      report: (message) => outbox.push(message),
    });
    const end = await generation.run();
    return end === undefined ? { type: 'released', runId } : { type: 'ended', runId, ...end };
  } catch (error) {
    // Its cache may be half written.
    await batching.alone(async () => sequence.clearHistory());
    throw error;
  } finally {
    slots.release(sequence);
  }
}

/** What the model is not made for. */
function refusalOf({ model }: LoadedModel, { runId, sampling }: StartCommand): ChildMessage | undefined {
  const refused = (detail: string): ChildMessage => ({ type: 'refused', runId, reason: 'unsupported-feature', detail });
  if (isReader(model)) return refused('this model does not write text; it is made for embeddings or reranking');
  if (sampling.logprobs !== undefined && !canScore(model)) return refused('logprobs: this model cannot tell them');
  return undefined;
}

function loadFailure(error: unknown): 'no-engine' | 'memory' | 'model' {
  if (!(error instanceof Error)) return 'model';
  if ('reason' in error && (error.reason === 'no-engine' || error.reason === 'memory')) return error.reason;
  return 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND' ? 'no-engine' : 'model';
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
